//! `banyan user unlock`.

use banyan_api::v1;
use banyan_core::Name;

use super::show;
use crate::args::OutputArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};

/// Lift the lock of a user
///
/// What they may do then may be no more than you may do. Nobody lifts their own.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The user's name
    name: Name,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let user = engine.call(&format!("unlock user {}", args.name), SOON, |client| {
        let name = args.name.to_string();
        async move {
            client
                .users()
                .unlock_user(v1::UnlockUserRequest { name })
                .await
        }
    })?;
    show(user, &args.output, context)
}
