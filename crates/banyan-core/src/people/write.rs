//! What a decision about people writes.

use super::{Account, KeyId, Session, SessionId, SigningKey, UserId};
use crate::{Name, Record, User};

/// One value to write. `None` removes it.
#[derive(Debug, Clone)]
pub enum Write {
    /// A user that git does not declare.
    User(Name, Option<Record<User>>),
    /// How a user logs in.
    Account(UserId, Option<Account>),
    /// A session.
    Session(SessionId, Option<Session>),
    /// A signing key.
    SigningKey(KeyId, Option<SigningKey>),
}
