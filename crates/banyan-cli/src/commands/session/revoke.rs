//! `banyan session revoke`.

use banyan_api::v1;
use banyan_core::Name;

use crate::args::name;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};

/// End a session, or all sessions of a user
///
/// Their tokens fail on the next call.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  banyan session revoke 1f0c5e7a9b3d4c2e8f6a7b5c3d1e0f2a\n  banyan session revoke --user bob"
)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["id", "user"])))]
pub(crate) struct Args {
    /// The session, as `banyan session list` shows it
    id: Option<String>,
    /// All sessions of a user
    #[arg(long, value_name = "NAME", value_parser = name)]
    user: Option<Name>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let request = v1::RevokeSessionsRequest {
        id: args.id.clone().unwrap_or_default(),
        user: args.user.as_ref().map(Name::to_string).unwrap_or_default(),
    };
    let what = match &args.user {
        Some(user) => format!("end the sessions of {user}"),
        None => format!("end session {}", request.id),
    };
    let answer = engine.call(&what, SOON, |client| {
        let request = request.clone();
        async move { client.sessions().revoke_sessions(request).await }
    })?;
    context.ui.say(&match answer.ended {
        0 => "No session was active.".to_owned(),
        1 => "1 session has ended.".to_owned(),
        n => format!("{n} sessions have ended."),
    });
    Ok(Exit::Done)
}
