//! How a user logs in, what keeps one out, and the keys that tokens are signed with.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Ended, KeyId};
use crate::{Name, SecretText};

/// What is kept of a user by their id, whatever declares the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The user's name.
    pub name: Name,
    /// The password that the user chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Credential>,
    /// A one-time code with which the user may choose a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<Enrolment>,
    /// What takes all access away until it is lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<Lock>,
    /// Sessions of another epoch have ended, for the reason in `ended`.
    #[serde(default)]
    pub epoch: u64,
    /// When and why the sessions of the last epoch ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// A password, as a hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Its bcrypt hash.
    pub hash: SecretText,
    /// When it was chosen.
    pub set: Timestamp,
}

/// The cost at which every password is hashed, 2¹² rounds: the same for all, so that how long a login takes tells nothing
/// of the user.
pub const HASH_COST: u32 = 12;

/// Why a text is no usable password hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Not a bcrypt hash, or damaged.
    #[error("this is not a bcrypt hash: 60 characters that begin with `$2b$`, `$2a$` or `$2y$`")]
    Malformed,
    /// Another cost than all other hashes.
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
/// Says what is wrong; never shows the hash.
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

/// bcrypt's digits, each of which stands for 6 bits.
const DIGITS: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Whether a text is 22 digits of a 128-bit salt and 31 of a 184-bit digest, without excess bits: a decoder refuses those.
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

/// A one-time code, as a hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The hash of the code.
    pub hash: SecretText,
    /// From when on it is worth nothing.
    pub expires: Timestamp,
    /// Who made it.
    pub by: String,
}

/// What takes all access away from a user, whatever else is declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Since when.
    pub at: Timestamp,
    /// Who locked.
    pub by: String,
    /// Why, for whoever looks later; may be empty.
    #[serde(default)]
    pub reason: String,
}

impl Account {
    /// The account of a user of whom nothing is kept yet.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Self {
            name,
            password: None,
            enrolment: None,
            lock: None,
            epoch: 0,
            ended: None,
        }
    }

    /// The code with which the user may choose a password at `now`.
    #[must_use]
    pub fn open_enrolment(&self, now: Timestamp) -> Option<&Enrolment> {
        (self.enrolment.as_ref()).filter(|enrolment| enrolment.expires > now)
    }

    /// Ends all sessions.
    pub fn end_sessions(&mut self, ended: Ended) {
        self.epoch = self.epoch.saturating_add(1);
        self.ended = Some(ended);
    }
}

/// An Ed25519 key that tokens are signed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// The 32 bytes of the private key, in hexadecimal digits.
    pub seed: SecretText,
    /// When it was made.
    pub made: Timestamp,
    /// From when on it signs: whoever checks tokens has had time to fetch it.
    pub signs_from: Timestamp,
    /// Until when what it signed is accepted; `None` while no newer one follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_until: Option<Timestamp>,
}

impl SigningKey {
    /// Whether what it signed is accepted at `now`.
    #[must_use]
    pub fn is_accepted(&self, now: Timestamp) -> bool {
        self.accepted_until.is_none_or(|until| until > now)
    }
}

/// The key that signs at `now`: of those whose time has come, the newest.
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
    // Where no key's time has come, because clocks differ, waiting would keep everybody out.
    newest.or_else(|| accepted.min_by_key(|(id, key)| (key.signs_from, *id)))
}
