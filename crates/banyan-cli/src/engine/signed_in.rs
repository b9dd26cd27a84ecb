//! A login in use: its access token on each call, and a new one when it has expired.
//!
//! A refresh token is valid once. So if several commands find the access token expired, one of them refreshes, under the
//! lock, and the others use what it wrote. The new pair is on disk before it is used: a killed command loses nothing.

use std::cell::RefCell;
use std::error::Error as _;

use banyan_api::{Target, denial_cause, v1};
use banyan_core::SecretText;
use jiff::Timestamp;
use tonic::Status;

use super::Engine;
use crate::clock;
use crate::credentials::{CredentialsFile, EngineKey, Login, Tokens};
use crate::error::{Exit, Failure, LOGIN};

/// A login that calls are made with.
pub(crate) struct SignedIn {
    file: CredentialsFile,
    key: EngineKey,
    login: RefCell<Login>,
}

/// What may help against a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cure {
    /// Refreshing.
    Refresh,
    /// Reading the file again: another command may have logged in.
    Reread,
    Nothing,
}

impl Cure {
    /// Only a denial of the token, before the call was processed: then the call can be repeated.
    pub(super) fn of(status: &Status) -> Self {
        match denial_cause(status) {
            Some(
                "expired" | "bad-signature" | "malformed" | "missing-kid" | "missing-sub"
                | "wrong-audience",
            ) => Self::Refresh,
            Some("session-ended") => Self::Reread,
            _ => Self::Nothing,
        }
    }
}

impl SignedIn {
    /// The login at an engine on another host; `None` for the socket, which needs none.
    pub(crate) fn find(target: &Target) -> Result<Option<Self>, Failure> {
        let Some(key) = EngineKey::of(target) else {
            return Ok(None);
        };
        let file = CredentialsFile::own()?;
        match file.read()?.get(&key) {
            Some(login) => Ok(Some(Self {
                login: RefCell::new(login.clone()),
                file,
                key,
            })),
            None => Err(not_logged_in(&key)),
        }
    }

    fn user(&self) -> String {
        self.login.borrow().user.clone()
    }

    /// When the login ends if no command renews it.
    pub(crate) fn lasts_until(&self) -> Timestamp {
        self.login.borrow().refresh_expires
    }

    /// The access token, and whether it has expired as far as this client can tell.
    pub(super) fn token(&self) -> (SecretText, bool) {
        let login = self.login.borrow();
        (
            login.access_token.clone(),
            login.access_is_over(clock::now()),
        )
    }

    /// The token that another command has written in place of a denied one.
    pub(super) fn reread(&self, refused: &SecretText) -> Result<Option<SecretText>, Failure> {
        let credentials = self.file.read()?;
        let login = credentials.get(&self.key);
        Ok(login
            .filter(|login| login.user == self.user() && login.access_token != *refused)
            .map(|login| self.hold(login)))
    }

    /// Another access token in place of an expired one.
    pub(super) fn renew(
        &self,
        engine: &Engine,
        expired: &SecretText,
    ) -> Result<SecretText, Failure> {
        let locked = self.file.lock()?;
        let mut credentials = self.file.read()?;
        let login = credentials
            .get(&self.key)
            .ok_or_else(|| not_logged_in(&self.key))?;
        if login.user != self.user() {
            // A command that started as one user must not end as another.
            let what = format!("{} has logged in here meanwhile", login.user);
            return Err(Failure::new(Exit::NotAuthenticated, what)
                .hint("to run the command as this user, run it again"));
        }
        if login.access_token != *expired && !login.access_is_over(clock::now()) {
            return Ok(self.hold(login));
        }
        let what = format!("renew the login of {} at {}", login.user, self.key.engine());
        let refresh_token = login.refresh_token.clone();
        let draft = locked.draft()?;
        let answer = refresh(engine, &what, &refresh_token)?;
        let tokens = Tokens::new(answer, clock::now());
        let tokens = tokens.ok_or_else(|| no_tokens(&what))?;
        let fresh = credentials.renew(&self.key, tokens).cloned();
        draft.finish(&credentials).map_err(|failure| {
            failure.hint("the engine may now take the login for stolen: run `banyan login`")
        })?;
        let fresh = fresh.ok_or_else(|| not_logged_in(&self.key))?;
        Ok(self.hold(&fresh))
    }

    fn hold(&self, login: &Login) -> SecretText {
        *self.login.borrow_mut() = login.clone();
        login.access_token.clone()
    }
}

/// Requests new tokens; again if the connection was lost, because the engine repeats the same response for a while.
fn refresh(engine: &Engine, what: &str, token: &SecretText) -> Result<v1::Tokens, Failure> {
    let ask = || {
        engine.once(what, super::SOON, engine.client(), &|client| {
            let refresh_token = token.expose().to_owned();
            let request = v1::RefreshRequest { refresh_token };
            async move { client.auth().refresh(request).await }
        })
    };
    let answer = match ask()? {
        Err(status) if status.source().is_some() => ask()?,
        answer => answer,
    };
    answer.map_err(|status| Failure::from_status(what, &status))
}

fn not_logged_in(key: &EngineKey) -> Failure {
    let what = format!("you are not logged in at {}", key.engine());
    let pin = key
        .pin()
        .map(|pin| format!(" --engine-ca-pin {pin}"))
        .unwrap_or_default();
    Failure::new(Exit::NotAuthenticated, what)
        .hint(format!("`banyan login --engine {}{pin}`", key.engine()))
        .hint("on the engine's host, as root: `--socket /run/banyan/engine.sock`")
}

/// The engine answered without usable tokens.
pub(crate) fn no_tokens(what: &str) -> Failure {
    Failure::refused(format!("cannot {what}"))
        .reason("the engine's response contains no tokens")
        .hint(LOGIN)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use banyan_api::denied;
    use banyan_core::Denial;

    use super::*;

    #[test]
    fn only_a_refused_token_is_cured_by_another_one() {
        let cure = |denial: Denial| Cure::of(&denied(&denial));
        assert_eq!(cure(Denial::Expired), Cure::Refresh);
        assert_eq!(cure(Denial::BadSignature), Cure::Refresh);
        assert_eq!(cure(Denial::SessionEnded), Cure::Reread);
        for denial in [
            Denial::BadCredentials,
            Denial::lacks("x"),
            Denial::TooMany {
                wait: Duration::from_secs(7),
            },
            Denial::CutOff,
        ] {
            assert_eq!(cure(denial), Cure::Nothing);
        }
        assert_eq!(Cure::of(&Status::unauthenticated("x")), Cure::Nothing);
    }
}
