//! `banyan user lock`.

use banyan_api::v1;
use banyan_core::Name;

use super::show;
use crate::args::OutputArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};

/// Take all access from a user at once, until it is unlocked
///
/// It holds whatever declares the user, git too. Their logins end.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The user's name
    name: Name,
    /// Why, for whoever looks later; at most 200 characters
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
    #[command(flatten)]
    output: OutputArgs,
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
    show(user, &args.output, context)
}
