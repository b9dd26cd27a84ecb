//! `banyan logout`: ends the session on the engine and deletes its tokens.

use banyan_api::{Target, v1};

use crate::context::Context;
use crate::credentials::{CredentialsFile, EngineKey};
use crate::engine::signed_in::SignedIn;
use crate::engine::{Engine, SOON};
use crate::error::{Exit, Failure};

/// Log out
///
/// Ends the session on the engine and deletes the tokens here, even if the engine is out of reach.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan logout")]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, context: &Context) -> Result<Exit, Failure> {
    let target = context.target()?;
    let Some(key) = EngineKey::of(&target) else {
        return Err(
            Failure::new(Exit::NotAuthenticated, "you are logged in nowhere").reason(format!(
                "commands go to the local socket {target}, which needs no login"
            )),
        );
    };
    let login = SignedIn::find(&target)?;
    let ended = end(&target, login);
    forget(&key)?;
    match ended {
        Ok(()) => context.ui.say(&format!("Logged out at {target}.")),
        // The session had ended already.
        Err(failure) if failure.exit() == Exit::NotAuthenticated => context.ui.say(&format!(
            "Logged out at {target}; the session had ended there before."
        )),
        Err(failure) => {
            return Err(failure.ending(Exit::Refused).hint(
                "the tokens are deleted here, but the engine accepts them until they expire: end the session from another host with `banyan session revoke`",
            ));
        }
    }
    Ok(Exit::Done)
}

fn end(target: &Target, login: Option<SignedIn>) -> Result<(), Failure> {
    let engine = Engine::connect(target)?.signed_in(login);
    engine.call("end the session", SOON, |client| async move {
        client.auth().logout(v1::LogoutRequest {}).await
    })?;
    Ok(())
}

fn forget(key: &EngineKey) -> Result<(), Failure> {
    let file = CredentialsFile::own()?;
    let locked = file.lock()?;
    let mut credentials = file.read()?;
    credentials.remove(key);
    locked.write(&credentials)
}
