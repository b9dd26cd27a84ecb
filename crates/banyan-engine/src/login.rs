//! Logging in: passwords, codes, tokens and sessions.
//!
//! A login is decided twice: first to find the hash that the password is compared with, and again in the transaction that
//! starts the session, on the user as of then.

mod hashing;
mod reaper;
mod signing_keys;
#[cfg(test)]
mod tests;
mod tokens;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

use banyan_api::{Unavailable, denied};
use banyan_core::audit::{Action, Actor, AuditEntry, Text};
use banyan_core::people::{Credential, Person, RefreshToken, TokenId};
use banyan_core::{Denial, Name, SecretText, SessionId, UserId};
use banyan_identity::login::{self, Proof, declared_password};
use banyan_identity::{
    Caller, Code, Kind, LOCAL, Limits, Password, PasswordError, STALE_LIMIT, Settings,
};
use banyan_state::{ChangeError, Scope, State, StateError, View};
use jiff::{SignedDuration, Timestamp};
use tonic::Status;

use crate::access::{Denials, KeyringCache};
use crate::audit::Audit;
use crate::ops::metrics::Metrics;
use crate::random;
pub(crate) use hashing::{Hashing, HashingError};
pub(crate) use reaper::SessionReaper;
pub(crate) use signing_keys::{ensure, revoke};
pub(crate) use tokens::Issued;

/// Everything that a login needs.
pub(crate) struct Login {
    pub(crate) state: Arc<State>,
    pub(crate) keys: Arc<KeyringCache>,
    pub(crate) settings: Settings,
    pub(crate) hashing: Arc<Hashing>,
    pub(crate) limits: Limits,
    pub(crate) denials: Denials,
    pub(crate) audit: Audit,
    pub(crate) metrics: Arc<Metrics>,
    /// The start of the limits' clock.
    pub(crate) began: Instant,
}

/// Why a login fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    /// It is denied.
    #[error("{0}")]
    Denied(Denial),
    /// The text cannot be a password.
    #[error("{0}")]
    Password(#[from] PasswordError),
    /// The engine cannot do it now.
    #[error("{}", .0.message())]
    Status(Status),
}

impl LoginError {
    /// The cause, as counted in metrics.
    fn cause(&self) -> &'static str {
        match self {
            Self::Denied(denial) => denial.cause(),
            Self::Password(_) => "bad-password",
            Self::Status(_) => "unavailable",
        }
    }
}

impl From<Denial> for LoginError {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

impl From<LoginError> for Status {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Denied(denial) => denied(&denial),
            LoginError::Password(error) => Self::invalid_argument(error.to_string()),
            LoginError::Status(status) => status,
        }
    }
}

impl From<ChangeError<Denial>> for LoginError {
    fn from(error: ChangeError<Denial>) -> Self {
        match error {
            ChangeError::Refused(denial) => Self::Denied(denial),
            ChangeError::State(error) => state(&error),
        }
    }
}

fn state(error: &StateError) -> LoginError {
    let text = crate::report(error);
    LoginError::Status(match error {
        StateError::Store(_) | StateError::Stopped => Unavailable::Store.refusal(text),
        _ => Status::internal(text),
    })
}

impl Login {
    /// Logs a user in with a password.
    pub(crate) async fn login(
        &self,
        caller: &Caller,
        name: &str,
        password: String,
    ) -> Result<Issued, LoginError> {
        let name = &folded(name);
        let entry = attempt(Action::LOGIN, caller, name);
        let issued = self.login_inner(caller, name, password).await;
        self.note(entry, issued)
    }

    async fn login_inner(
        &self,
        caller: &Caller,
        name: &str,
        password: String,
    ) -> Result<Issued, LoginError> {
        let password = Password::entered(password)?;
        self.may_try(caller, name)?;
        let view = self.state.view();
        let known = find(&view, name)
            .and_then(|person| Some((person.record.spec.id(), person.password()?.hash().clone())));
        let expected = known.as_ref().map(|(_, hash)| hash.clone());
        let fits = self.verify(name, password, expected).await?;
        let Some((id, hash)) = known.filter(|_| fits) else {
            self.limits.failed(name, self.began.elapsed());
            return Err(Denial::BadCredentials.into());
        };
        self.limits.succeeded(name);
        self.begin(caller, &Proof::Password { id, hash }, name)
            .await
    }

    /// Logs a user in with a one-time code, which sets a new password.
    pub(crate) async fn enroll(
        &self,
        caller: &Caller,
        name: &str,
        code: &str,
        password: String,
    ) -> Result<Issued, LoginError> {
        let name = &folded(name);
        let entry = attempt(Action::LOGIN_ENROLL, caller, name);
        let issued = self.enroll_inner(caller, name, code, password).await;
        self.note(entry, issued)
    }

    async fn enroll_inner(
        &self,
        caller: &Caller,
        name: &str,
        code: &str,
        password: String,
    ) -> Result<Issued, LoginError> {
        let password = Password::chosen(password)?;
        self.may_try(caller, name)?;
        let (view, now) = (self.state.view(), crate::clock::now());
        let code = Code::read(code).ok();
        let known = find(&view, name).and_then(|person| {
            let open = view.directory().open_enrolment(&person, now)?;
            let fits = code.is_some_and(|code| code.matches(open.hash.expose()));
            fits.then(|| (person.record.spec.id(), open.hash.clone()))
        });
        let Some((id, code)) = known else {
            // The same work as for a valid code, so that timing does not reveal who has one.
            self.verify(name, password, None).await?;
            self.limits.failed(name, self.began.elapsed());
            return Err(Denial::BadCredentials.into());
        };
        let hash = self.hash(name, password).await?;
        self.limits.succeeded(name);
        let chosen = Credential { hash, set: now };
        self.begin(caller, &Proof::Code { id, code, chosen }, name)
            .await
    }

    /// Continues a session with its refresh token.
    pub(crate) async fn refresh(&self, caller: &Caller, token: &str) -> Result<Issued, LoginError> {
        let now = crate::clock::now();
        let view = self.fresh_view()?;
        let keyring = self.keys.at(&view.people.signing_keys, now);
        let keyring = keyring.ok_or(Denial::BadSignature)?;
        let claims = keyring.verify(Kind::Refresh, token, &self.settings, now);
        let claims = claims.map_err(Denial::from);
        let claims = claims.inspect_err(|denial| {
            let entry = attempt(Action::LOGIN_REFRESH, caller, "");
            self.denials
                .record(entry.refused(&denial.to_string()), denial.cause());
        })?;
        let malformed = |_| Denial::Malformed;
        let sid: SessionId = claims.sid.parse().map_err(malformed)?;
        let user: UserId = claims.sub.parse().map_err(malformed)?;
        let presented: TokenId = claims.jti.parse().map_err(malformed)?;
        let next = self.new_refresh_token(&view, now)?;
        let refreshed = self.state.change(Scope::Own, |view| {
            login::refresh(
                view.directory(),
                &sid,
                &user,
                &presented,
                &next,
                caller.via(),
                now,
            )
        });
        let begun = refreshed.await.map_err(LoginError::from)?;
        let entry = |action| {
            let actor = Actor::User {
                id: Text::new(user.as_str()),
                name: Text::new(begun.session.name.as_str()),
            };
            AuditEntry::new(now, actor, action)
                .via(caller.via())
                .on(&format!("session {sid}"))
        };
        if begun.session.ended.is_some() {
            tracing::warn!(user = %begun.session.name, session = %sid, from = caller.via(), "a refresh token was used twice; the session is ended");
            let denial = Denial::SessionEnded;
            self.denials.record(
                entry(Action::LOGIN_REUSE).refused("a refresh token was used twice"),
                denial.cause(),
            );
            return Err(denial.into());
        }
        let issued = self.issue(&begun, now)?;
        self.audit.record(entry(Action::LOGIN_REFRESH));
        self.metrics.logged_in("refresh");
        Ok(issued)
    }

    /// Ends the caller's session.
    pub(crate) async fn logout(&self, caller: &Caller) -> Result<(), LoginError> {
        let Caller::User { session, .. } = caller else {
            return Err(LoginError::Status(Status::failed_precondition(
                "over the local socket there is no session to end",
            )));
        };
        let now = crate::clock::now();
        let ended = self
            .state
            .change(Scope::Own, |view| {
                login::logout(view.directory(), session, now)
            })
            .await;
        ended.map_err(LoginError::from)?;
        self.audit.record(
            caller
                .did(Action::LOGOUT, now)
                .on(&format!("session {session}")),
        );
        Ok(())
    }

    /// Changes the caller's own password; returns how many other sessions ended.
    pub(crate) async fn change_password(
        &self,
        caller: &Caller,
        current: String,
        new: String,
    ) -> Result<u32, LoginError> {
        let Caller::User {
            id, name, session, ..
        } = caller
        else {
            return Err(LoginError::Status(Status::failed_precondition(
                "the host has no password; log in as a user, or see `banyan-engine recover-admin`",
            )));
        };
        let now = crate::clock::now();
        let changed = async {
            let (current, new) = (Password::entered(current)?, Password::chosen(new)?);
            self.may_try(caller, name.as_str())?;
            let view = self.state.view();
            let person = find(&view, name.as_str()).filter(|person| person.is(id));
            if let Some(declared) = person.and_then(|person| declared_password(&person)) {
                self.limits.unjudged(name.as_str());
                return Err(LoginError::Status(Status::failed_precondition(declared)));
            }
            let expected = person.and_then(|person| Some(person.password()?.hash().clone()));
            if !self
                .verify(name.as_str(), current, expected.clone())
                .await?
            {
                self.limits.failed(name.as_str(), self.began.elapsed());
                return Err(Denial::BadCredentials.into());
            }
            self.limits.succeeded(name.as_str());
            let hash = self.hash(name.as_str(), new).await?;
            let chosen = Credential { hash, set: now };
            let written = self.state.change(Scope::Own, |view| {
                login::change_password(
                    view.directory(),
                    id,
                    name,
                    session,
                    expected.as_ref(),
                    &chosen,
                    now,
                )
            });
            Ok(written.await?)
        };
        let changed: Result<u32, LoginError> = changed.await;
        let entry = caller
            .did(Action::PASSWORD_CHANGE, now)
            .on(&format!("user {name}"));
        match &changed {
            Ok(_) => self.recorded(entry).await,
            Err(error) => self
                .denials
                .record(entry.refused(&error.to_string()), error.cause()),
        }
        changed
    }

    /// Writes an entry before the response is sent. The change stands even if that takes too long.
    async fn recorded(&self, entry: AuditEntry) {
        if let Err(error) = self.audit.record_and_wait(entry).await {
            tracing::warn!(%error, "a change was made, but is not in the audit log yet");
        }
    }

    /// Records the result of an attempt.
    fn note(
        &self,
        entry: AuditEntry,
        issued: Result<Issued, LoginError>,
    ) -> Result<Issued, LoginError> {
        match issued {
            Ok(issued) => {
                let kind = if entry.action == Action::LOGIN {
                    "password"
                } else {
                    "enrolment"
                };
                self.metrics.logged_in(kind);
                let actor = Actor::User {
                    id: Text::new(issued.user.as_str()),
                    name: Text::new(issued.name.as_str()),
                };
                let on = format!("session {}", issued.session);
                self.audit.record(AuditEntry { actor, ..entry }.on(&on));
                Ok(issued)
            }
            Err(error) => {
                let cause = error.cause();
                self.denials
                    .record(entry.refused(&error.to_string()), cause);
                Err(error)
            }
        }
    }

    fn may_try(&self, caller: &Caller, name: &str) -> Result<(), LoginError> {
        self.fresh_view()?;
        let address: Option<IpAddr> = match caller.via() {
            LOCAL => None,
            // Callers that cannot be told apart are counted together.
            via => Some(via.parse().unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED))),
        };
        let tried = self.limits.attempt(address, name, self.began.elapsed());
        tried.map_err(|wait| {
            Denial::TooMany {
                wait: wait.duration(),
            }
            .into()
        })
    }

    /// The view, unless it is too old to serve users.
    fn fresh_view(&self) -> Result<Arc<View>, Denial> {
        match self.state.age() {
            Some(age) if age <= STALE_LIMIT => Ok(self.state.view()),
            _ => Err(Denial::CutOff),
        }
    }

    async fn verify(
        &self,
        name: &str,
        password: Password,
        expected: Option<SecretText>,
    ) -> Result<bool, LoginError> {
        let verified = self.hashing.verify(password, expected).await;
        match verified {
            Err(HashingError::Hash(error)) => {
                tracing::error!(user = name, %error, "the stored password hash cannot be used; make a new enrolment code");
                Ok(false)
            }
            verified => verified.map_err(|error| self.unhashed(name, &error)),
        }
    }

    async fn hash(&self, name: &str, password: Password) -> Result<SecretText, LoginError> {
        let hashed = self.hashing.hash(password).await;
        hashed.map_err(|error| self.unhashed(name, &error))
    }

    /// The password was not checked, for a reason on our side.
    fn unhashed(&self, name: &str, error: &HashingError) -> LoginError {
        self.limits.unjudged(name);
        match error {
            HashingError::Busy => Denial::Busy.into(),
            other => LoginError::Status(Status::internal(crate::report(other))),
        }
    }

    /// Starts a session for an authenticated user.
    async fn begin(
        &self,
        caller: &Caller,
        entry: &Proof,
        name: &str,
    ) -> Result<Issued, LoginError> {
        let now = crate::clock::now();
        let view = self.state.view();
        let name: Name = name.parse().map_err(|_| Denial::BadCredentials)?;
        let sid: SessionId = id()?;
        let token = self.new_refresh_token(&view, now)?;
        let begun = self.state.change(Scope::Own, |view| {
            login::begin(
                view.directory(),
                &name,
                entry,
                &sid,
                &token,
                caller.via(),
                now,
            )
        });
        let begun = begun.await.map_err(LoginError::from)?;
        self.issue(&begun, now)
    }

    /// A new refresh token.
    fn new_refresh_token(&self, view: &View, now: Timestamp) -> Result<RefreshToken, LoginError> {
        let keyring = self.keys.at(&view.people.signing_keys, now);
        let keyring = keyring.ok_or_else(|| {
            LoginError::Status(Unavailable::Store.refusal("there is no token signing key yet"))
        })?;
        let lasts = SignedDuration::try_from(self.settings.refresh_expiry).unwrap_or_default();
        Ok(RefreshToken {
            id: id()?,
            key: keyring.signing_kid().and_then(|kid| kid.parse().ok()),
            issued: now,
            expires: now.checked_add(lasts).unwrap_or(now),
        })
    }
}

/// The user name in lower case, as names are declared.
fn folded(name: &str) -> String {
    name.trim().to_ascii_lowercase()
}

fn attempt(action: Action, caller: &Caller, name: &str) -> AuditEntry {
    let claimed = (!name.is_empty()).then(|| Text::new(name));
    AuditEntry::new(crate::clock::now(), Actor::Nobody { claimed }, action).via(caller.via())
}

/// A fresh id.
fn id<K>() -> Result<banyan_core::people::Id<K>, LoginError> {
    random::id().map_err(|error| LoginError::Status(Status::internal(crate::report(&error))))
}

fn find<'v>(view: &'v View, name: &str) -> Option<Person<'v>> {
    view.directory().find(&name.parse().ok()?)
}
