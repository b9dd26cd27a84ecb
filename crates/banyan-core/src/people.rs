//! What the engines store about users besides git: accounts, sessions and token signing keys, with all rules on them.

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
    Account, Credential, Enrolled, Enrolment, HASH_COST, HashError, Issuer, Lock, SigningKey,
    check_hash, signing_key_at,
};
pub use directory::{Directory, Inactive, PasswordInForce, Person, escalation};
pub use email::{EmailError, MAX_EMAIL, check_email};
pub use ended::{EndReason, Ended};
pub use session::{REFRESH_GRACE, RefreshToken, RefreshVerdict, Session};

pub use crate::id::{Id, KeyId, SessionId, TokenId, UserId};
pub use write::Write;

use crate::{Name, Record, User};

/// What is stored about users besides the records from git.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    /// Incremented whenever users or their permissions change other than by a commit; 0 initially. A decision based on
    /// this value is valid only while the revision is unchanged.
    pub revision: u64,
    /// The users that git does not declare.
    pub users: BTreeMap<Name, Arc<Record<User>>>,
    /// How users log in, by user id.
    pub accounts: BTreeMap<UserId, Arc<Account>>,
    /// Sessions, including recently ended ones.
    pub sessions: BTreeMap<SessionId, Arc<Session>>,
    /// The token signing keys.
    pub signing_keys: BTreeMap<KeyId, Arc<SigningKey>>,
}

/// The empty value: nothing is stored about any user.
pub static NOBODY: People = People {
    revision: 0,
    users: BTreeMap::new(),
    accounts: BTreeMap::new(),
    sessions: BTreeMap::new(),
    signing_keys: BTreeMap::new(),
};
