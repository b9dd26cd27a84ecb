//! People as the engines know them beside what git says: accounts, sessions, the keys that tokens are signed with, and
//! every rule on them.

mod account;
mod directory;
mod email;
mod ended;
mod session;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use account::{
    Account, Credential, Enrolment, HASH_COST, HashError, Lock, SigningKey, check_hash,
    signing_key_at,
};
pub use directory::{Directory, Inactive, Person, escalation};
pub use email::{EmailError, MAX_EMAIL, check_email};
pub use ended::{EndReason, Ended};
pub use session::{REFRESH_GRACE, RefreshToken, RefreshVerdict, Session};

pub use crate::id::{Id, KeyId, SessionId, TokenId, UserId};
pub use write::Write;

use crate::{Name, Record, User};

/// What is kept of people besides the records of git.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    /// Grows when who there is, or what they may do, changes but by a commit; 0 before the first time. What was decided
    /// on these people holds only while it is the same.
    pub revision: u64,
    /// The users that git does not declare.
    pub users: BTreeMap<Name, Arc<Record<User>>>,
    /// How users log in, by their ids.
    pub accounts: BTreeMap<UserId, Arc<Account>>,
    /// Sessions, those that ended lately too.
    pub sessions: BTreeMap<SessionId, Arc<Session>>,
    /// The keys that tokens are signed with.
    pub signing_keys: BTreeMap<KeyId, Arc<SigningKey>>,
}

/// Nobody at all: what is known of people before anybody was ever made.
pub static NOBODY: People = People {
    revision: 0,
    users: BTreeMap::new(),
    accounts: BTreeMap::new(),
    sessions: BTreeMap::new(),
    signing_keys: BTreeMap::new(),
};
