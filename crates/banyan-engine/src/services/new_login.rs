//! How a user logs in from now on: a chosen password, or a one-time code.

use std::sync::Arc;

use banyan_api::{denied, timestamp, v1};
use banyan_core::{Denial, SecretText};
use banyan_identity::{Code, FirstLogin, Password, enrolment_end};
use jiff::Timestamp;
use tonic::Status;
use zeroize::Zeroizing;

use crate::login::{Hashing, HashingError};
use crate::random;
use crate::refusal::internal;

/// Makes them.
#[derive(Clone)]
pub(crate) struct NewLogins {
    pub(crate) hashing: Arc<Hashing>,
}

/// A new login, and its code, if it is one.
pub(super) struct NewLogin {
    pub(super) first: FirstLogin,
    code: Option<Code>,
}

impl NewLogins {
    /// With the given password, or with a one-time code if it is empty.
    pub(super) async fn make(&self, password: String) -> Result<NewLogin, Status> {
        if password.is_empty() {
            return NewLogin::code();
        }
        let password = Password::chosen(Zeroizing::new(password));
        let password = password.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let hash = self.hashing.hash(password).await;
        let hash = hash.map_err(|error| match error {
            HashingError::Busy => denied(&Denial::Busy),
            other => internal(&other),
        })?;
        Ok(NewLogin {
            first: FirstLogin::Password(hash),
            code: None,
        })
    }
}

impl NewLogin {
    /// A new one-time code.
    pub(super) fn code() -> Result<Self, Status> {
        let code = random::code().map_err(|error| internal(&error))?;
        Ok(Self {
            first: FirstLogin::Code(SecretText::new(code.hash())),
            code: Some(code),
        })
    }

    /// The code on the wire, which is shown once.
    pub(super) fn enrolment(&self, now: Timestamp) -> Option<v1::Enrolment> {
        Some(v1::Enrolment {
            code: self.code.as_ref()?.expose().to_string(),
            expires: Some(timestamp(enrolment_end(now))),
        })
    }
}
