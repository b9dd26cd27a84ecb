//! The writes that a decision about users results in.

use super::{Account, KeyId, Session, SessionId, SigningKey, UserId};
use crate::{Name, Record, User};

/// A write to the stored user data. `None` removes the entry.
#[derive(Debug, Clone)]
pub enum Write {
    /// A user created through the API.
    User(Name, Option<Record<User>>),
    /// An account.
    Account(UserId, Option<Account>),
    /// A session.
    Session(SessionId, Option<Session>),
    /// A signing key.
    SigningKey(KeyId, Option<SigningKey>),
}
