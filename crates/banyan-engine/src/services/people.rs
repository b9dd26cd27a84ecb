//! What the services for people share: changes of them, each with its entry in the audit log.

use std::collections::BTreeMap;

use banyan_api::{Denial, timestamp, v1};
use banyan_core::audit::AuditEntry;
use banyan_core::{Name, SecretText, UserId};
use banyan_identity::{Code, HashingError, Password};
use banyan_state::{ChangeError, Scope, View};
use jiff::Timestamp;
use tonic::Status;
use zeroize::Zeroizing;

use super::{Shared, no_such};
use crate::access::Caller;
use crate::people::{self, ChangeRefused, Decision, DecisionContext, FirstLogin, enrolment_end};

/// With what a user logs in from now on, and the code to tell, where it is one.
pub(super) struct Login {
    pub(super) first: FirstLogin,
    code: Option<Code>,
}

impl Login {
    /// A new one-time code.
    pub(super) fn code() -> Result<Self, Status> {
        let code = Code::new().map_err(|error| internal(&error))?;
        Ok(Self {
            first: FirstLogin::Code(SecretText::new(code.hash())),
            code: Some(code),
        })
    }

    /// The code on the wire, which is told once.
    pub(super) fn enrolment(&self, now: Timestamp) -> Option<v1::Enrolment> {
        Some(v1::Enrolment {
            code: self.code.as_ref()?.expose().to_string(),
            expires: Some(timestamp(enrolment_end(now))),
        })
    }
}

impl Shared {
    /// Makes a change that somebody asked for, and writes down what came of it. What was refused need not wait for that;
    /// what was done does, and stands even when it cannot be written down.
    pub(super) async fn change<T>(
        &self,
        scope: Scope,
        by: &Caller,
        entry: AuditEntry,
        mut decide: impl FnMut(DecisionContext<'_>) -> Decision<T> + Send,
        detail: impl FnOnce(&T) -> String,
    ) -> Result<T, Status> {
        let now = entry.at;
        let changed = self
            .state
            .change(scope, |view| decide(DecisionContext { view, by, now }));
        let changed = changed.await;
        self.recorded(entry, changed, detail).await
    }

    /// Writes down what came of a change.
    pub(super) async fn recorded<T>(
        &self,
        entry: AuditEntry,
        changed: Result<T, ChangeError<ChangeRefused>>,
        detail: impl FnOnce(&T) -> String,
    ) -> Result<T, Status> {
        match changed {
            Ok(done) => {
                let entry = match detail(&done) {
                    none if none.is_empty() => entry,
                    text => entry.detail(&text),
                };
                if let Err(error) = self.audit.record_and_wait(entry).await {
                    tracing::warn!(error = crate::report(&error), "a change of people was made");
                }
                Ok(done)
            }
            Err(error) => {
                let status = people::status(error);
                self.audit.record(entry.refused(status.message()));
                Err(status)
            }
        }
    }

    /// The password that somebody gave, or a one-time code where none was given.
    pub(super) async fn new_login(&self, password: String) -> Result<Login, Status> {
        if password.is_empty() {
            return Login::code();
        }
        let password = Password::chosen(Zeroizing::new(password));
        let password = password.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let hash = self.hashing.hash(password).await;
        let hash = hash.map_err(|error| match error {
            HashingError::Busy => Denial::Busy.into(),
            other => internal(&other),
        })?;
        Ok(Login {
            first: FirstLogin::Password(hash),
            code: None,
        })
    }

    /// A user as they are in the view now.
    pub(super) fn user(&self, name: &Name) -> Result<v1::User, Status> {
        let (view, now) = (self.state.view(), crate::clock::now());
        let person = view.directory().find(name);
        let person = person.ok_or_else(|| no_such("user", name))?;
        let live = live_sessions(&view, now);
        let id = person.record.spec.id();
        Ok(v1::User::new(
            &person,
            live.get(&id).copied().unwrap_or(0),
            now,
        ))
    }
}

/// How many live sessions each user has.
pub(super) fn live_sessions(view: &View, now: Timestamp) -> BTreeMap<UserId, u32> {
    let mut live = BTreeMap::new();
    for (_, session) in view.directory().live_sessions(now) {
        let count: &mut u32 = live.entry(session.user.clone()).or_default();
        *count = count.saturating_add(1);
    }
    live
}

/// Something that is no fault of whoever calls.
pub(super) fn internal(error: &(dyn std::error::Error + 'static)) -> Status {
    Status::internal(crate::report(error))
}
