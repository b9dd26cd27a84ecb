//! `banyan user enable`.

use banyan_api::v1;
use banyan_core::Name;

use super::show;
use crate::args::OutputArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};

/// Switch a user on again
///
/// What they may do then may be no more than you may do.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The user's name
    name: Name,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let user = engine.call(&format!("enable user {}", args.name), SOON, |client| {
        let name = args.name.to_string();
        async move {
            client
                .users()
                .enable_user(v1::EnableUserRequest { name })
                .await
        }
    })?;
    show(user, &args.output, context)
}
