//! `banyan change-password`.

use banyan_api::v1;

use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::prompt::Prompt;
use crate::secret_input;

/// Change your own password
///
/// Asks for the current password, and twice for the new one of at least 12 characters. Your other sessions end.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan change-password")]
pub(crate) struct Args {
    /// Read the current and the new password from standard input, one per line
    #[arg(long)]
    password_stdin: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let target = context.target()?;
    let engine = context.engine_at(&target)?;
    if engine.login().is_none() {
        return Err(Failure::usage(
            "over the local socket you are the host, which has no password",
        )
        .hint("to let a user set a new one: `banyan user enroll NAME`")
        .hint("to change your own: first `banyan login --engine …`"));
    }
    let [current, new] = match args.password_stdin {
        true => secret_input::passwords()?,
        false => {
            let prompt = Prompt::open("the passwords", "`--password-stdin`")?;
            let current = prompt.secret("Current password")?;
            [current, prompt.new_secret("New password")?]
        }
    };
    let answer = engine.call("change your password", SOON, |client| {
        let request = v1::ChangePasswordRequest {
            current: current.expose().to_owned(),
            new: new.expose().to_owned(),
        };
        async move { client.auth().change_password(request).await }
    })?;
    context.ui.say(&match answer.ended_sessions {
        0 => "Your password is changed.".to_owned(),
        1 => "Your password is changed; your other session has ended.".to_owned(),
        n => format!("Your password is changed; your {n} other sessions have ended."),
    });
    Ok(Exit::Done)
}
