//! `banyan user lock`.

use banyan_api::v1;
use banyan_core::Name;

use super::show;
use crate::args::{TableArgs, name};
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};

/// Lock a user: all access is gone at once, until the lock is lifted
///
/// Applies to users that git declares as well. Their sessions end.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan user lock bob --reason \"left the company\"")]
pub(crate) struct Args {
    /// The user's name
    #[arg(value_parser = name)]
    name: Name,
    /// Why, for those who look later; at most 200 characters
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
    #[command(flatten)]
    table: TableArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let user = engine.call(&format!("lock user {}", args.name), SOON, |client| {
        let request = v1::LockUserRequest {
            name: args.name.to_string(),
            reason: args.reason.clone(),
        };
        async move { client.users().lock_user(request).await }
    })?;
    show(user, &args.table, context)
}
