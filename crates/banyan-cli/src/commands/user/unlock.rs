//! `banyan user unlock`.

use banyan_api::v1;
use banyan_core::Name;

use super::show;
use crate::args::{TableArgs, name};
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};

/// Lift the lock of a user
///
/// You cannot give back permissions that you do not hold, and you cannot lift your own lock.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan user unlock bob")]
pub(crate) struct Args {
    /// The user's name
    #[arg(value_parser = name)]
    name: Name,
    #[command(flatten)]
    table: TableArgs,
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
    show(user, &args.table, context)
}
