//! `banyan user remove`.

use banyan_api::v1;
use banyan_core::Name;

use crate::args::name;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::prompt::Prompt;

/// Remove a user; their sessions end
///
/// A user who is added later under the same name is another user. For a user that git declares, delete the document
/// instead.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan user remove bob")]
pub(crate) struct Args {
    /// The user's name
    #[arg(value_parser = name)]
    name: Name,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let name = &args.name;
    let engine = context.engine()?;
    if !args.yes && !Prompt::open("a yes", "`--yes`")?.yes(&format!("Remove user {name}?")) {
        return Err(
            Failure::refused(format!("user {name} is not removed")).reason("you did not say yes")
        );
    }
    let answer = engine.call(&format!("remove user {name}"), SOON, |client| {
        let name = name.to_string();
        async move {
            client
                .users()
                .remove_user(v1::RemoveUserRequest { name })
                .await
        }
    })?;
    context.ui.say(&match answer.ended_sessions {
        0 => format!("User {name} is removed."),
        1 => format!("User {name} is removed; 1 session has ended."),
        n => format!("User {name} is removed; {n} sessions have ended."),
    });
    Ok(Exit::Done)
}
