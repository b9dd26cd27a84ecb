//! `banyan user lock`.

use banyan_api::v1;
use banyan_core::Name;
use jiff::Timestamp;

use super::show;
use crate::args::{TableArgs, name};
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::shape;
use crate::ui::past_moment;

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
    let answer = engine.call(&format!("lock user {}", args.name), SOON, |client| {
        let request = v1::LockUserRequest {
            name: args.name.to_string(),
            reason: args.reason.clone(),
        };
        async move { client.users().lock_user(request).await }
    })?;
    warn(&answer, context);
    let user = answer.user.unwrap_or_default();
    show(user, &args.table, context)
}

/// What else the lock did, and which users to look at next.
fn warn(answer: &v1::LockUserResponse, context: &Context) {
    if !answer.voided_codes.is_empty() {
        let names = answer.voided_codes.join(", ");
        (context.ui).note(&format!(
            "one-time codes for these users are void now: {names}"
        ));
    }
    if !answer.enrolled.is_empty() {
        let when = |at: Option<Timestamp>| {
            at.map(|at| format!(" ({})", past_moment(at, context.now)))
                .unwrap_or_default()
        };
        let users = answer.enrolled.iter();
        let users = users.map(|user| format!("{}{}", user.name, when(shape::at(user.at.as_ref()))));
        let users: Vec<String> = users.collect();
        (context.ui).note(&format!(
            "these users set a password with a code from the locked user in the last 7 days, and can still log in: {}",
            users.join(", ")
        ));
    }
}
