//! How a user logs in, locks, and the token signing keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Ended, KeyId, UserId};
use crate::{Name, Permission, SecretText};

/// What is stored about a user by id, whether git or the API declares the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The user's name.
    pub name: Name,
    /// The password the user chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Credential>,
    /// A one-time code that lets the user choose a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<Enrolment>,
    /// The last use of a one-time code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolled: Option<Enrolled>,
    /// A lock, which takes all access away until it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<Lock>,
    /// Sessions with another epoch have ended, for the reason in `ended`.
    #[serde(default)]
    pub epoch: u64,
    /// When and why the sessions of the previous epoch ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// A password hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Its bcrypt hash.
    pub hash: SecretText,
    /// When it was set.
    pub set: Timestamp,
}

/// The bcrypt cost of every password, 2¹² rounds. It is the same for all, so that the duration of a login reveals
/// nothing about the user.
pub const HASH_COST: u32 = 12;

/// Why a text is not a usable password hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Not a bcrypt hash, or damaged.
    #[error("this is not a bcrypt hash: 60 characters that begin with `$2b$`, `$2a$` or `$2y$`")]
    Malformed,
    /// A cost other than the required one.
    #[error("this bcrypt hash has cost {found} and must have cost {cost}")]
    Cost {
        /// The hash's cost.
        found: u32,
        /// The required cost.
        cost: u32,
    },
}

/// Checks that a declared or stored hash is one that a login can use: bcrypt, well-formed and of exactly this cost.
///
/// # Errors
/// If it is not; the error never shows the hash.
pub fn check_hash(text: &str, cost: u32) -> Result<(), HashError> {
    let mut parts = text.split('$');
    let version = |part| matches!(part, Some("2a" | "2b" | "2y"));
    if parts.next() != Some("") || !version(parts.next()) {
        return Err(HashError::Malformed);
    }
    let (found, rest) = (parts.next(), parts.next().unwrap_or_default());
    let found = found.filter(|text| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()));
    let found: u32 = found
        .and_then(|text| text.parse().ok())
        .ok_or(HashError::Malformed)?;
    if parts.next().is_some() || !is_salt_and_digest(rest) {
        return Err(HashError::Malformed);
    }
    match found == cost {
        true => Ok(()),
        false => Err(HashError::Cost { found, cost }),
    }
}

/// The digits of bcrypt's base64, of 6 bits each.
const DIGITS: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Whether a text is 22 digits of a 128-bit salt and 31 of a 184-bit digest, without excess bits, which a decoder refuses.
fn is_salt_and_digest(text: &str) -> bool {
    let Some((salt, digest)) = text.split_at_checked(22) else {
        return false;
    };
    let ends_with_zeros = |text: &str, excess: usize| {
        let mut values = text
            .bytes()
            .map(|byte| DIGITS.iter().position(|digit| *digit == byte));
        values.all(|value| value.is_some())
            && (text.bytes().next_back())
                .and_then(|last| DIGITS.iter().position(|digit| *digit == last))
                .is_some_and(|value| value % excess == 0)
    };
    digest.len() == 31 && ends_with_zeros(salt, 16) && ends_with_zeros(digest, 4)
}

/// A one-time code, as a hash. [`super::Directory::open_enrolment`] decides whether it can still be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The hash of the code.
    pub hash: SecretText,
    /// When it expires.
    pub expires: Timestamp,
    /// Who issued it, by name.
    pub by: String,
    /// Who issued it. A code of an older version has none and cannot be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Issuer>,
    /// What the user's roles permitted then.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub powers: BTreeSet<Permission>,
}

/// Who issued a one-time code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Issuer {
    /// The administrator of an engine's host.
    Host,
    /// A user.
    User {
        /// The user's id.
        id: UserId,
        /// The user's name.
        name: Name,
    },
}

impl Issuer {
    /// Whether it is the user with this id.
    #[must_use]
    pub fn is(&self, user: &UserId) -> bool {
        matches!(self, Self::User { id, .. } if id == user)
    }
}

/// How a user got the current password: with a one-time code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// Who issued the code.
    pub by: Issuer,
    /// When it was used.
    pub at: Timestamp,
}

/// A lock, which takes all access away from a user regardless of other settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// When the user was locked.
    pub at: Timestamp,
    /// Who locked.
    pub by: String,
    /// Why; may be empty.
    #[serde(default)]
    pub reason: String,
    /// Whether the locked user held more than whoever locked it: an emergency lock.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub emergency: bool,
}

impl Account {
    /// The account of a user about whom nothing is stored yet.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Self {
            name,
            password: None,
            enrolment: None,
            enrolled: None,
            lock: None,
            epoch: 0,
            ended: None,
        }
    }

    /// Ends all sessions.
    pub fn end_sessions(&mut self, ended: Ended) {
        self.epoch = self.epoch.saturating_add(1);
        self.ended = Some(ended);
    }
}

/// An Ed25519 token signing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// The 32 bytes of the private key, in hexadecimal digits.
    pub seed: SecretText,
    /// When it was created.
    pub made: Timestamp,
    /// When it starts to sign; until then, services that verify tokens have time to fetch it.
    pub signs_from: Timestamp,
    /// Until when its signatures are accepted; `None` until a newer key follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_until: Option<Timestamp>,
}

impl SigningKey {
    /// Whether its signatures are accepted at `now`.
    #[must_use]
    pub fn is_accepted(&self, now: Timestamp) -> bool {
        self.accepted_until.is_none_or(|until| until > now)
    }
}

/// The key that signs at `now`: the newest of those that have started.
#[must_use]
pub fn signing_key_at(
    keys: &BTreeMap<KeyId, Arc<SigningKey>>,
    now: Timestamp,
) -> Option<(&KeyId, &Arc<SigningKey>)> {
    let accepted = keys.iter().filter(|(_, key)| key.is_accepted(now));
    let newest = accepted
        .clone()
        .filter(|(_, key)| key.signs_from <= now)
        .max_by_key(|(id, key)| (key.signs_from, *id));
    // If no key has started yet because clocks differ, waiting would lock all users out.
    newest.or_else(|| accepted.min_by_key(|(id, key)| (key.signs_from, *id)))
}
