//! `banyan user disable`.

use banyan_api::v1;
use banyan_core::Name;

use super::show;
use crate::args::{TableArgs, name};
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};

/// Disable a user; their sessions end
///
/// For a user that git declares, set `disabled: true` in the user's document instead.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan user disable bob")]
pub(crate) struct Args {
    /// The user's name
    #[arg(value_parser = name)]
    name: Name,
    #[command(flatten)]
    table: TableArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let user = engine.call(&format!("disable user {}", args.name), SOON, |client| {
        let name = args.name.to_string();
        async move {
            client
                .users()
                .disable_user(v1::DisableUserRequest { name })
                .await
        }
    })?;
    show(user, &args.table, context)
}
