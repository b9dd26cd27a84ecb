//! Identifiers that are never used again.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{CommitId, Generation, Name};

/// 128 bits as 32 lower-case hexadecimal digits. `K` tells of what, so that no id stands in for one of another kind.
#[derive(Serialize, Deserialize)]
#[serde(try_from = "String", into = "String", bound = "")]
pub struct Id<K>(Box<str>, PhantomData<fn() -> K>);

/// Marks ids of users.
#[derive(Debug)]
pub enum OfUser {}
/// Marks ids of sessions.
#[derive(Debug)]
pub enum OfSession {}
/// Marks ids of tokens.
#[derive(Debug)]
pub enum OfToken {}
/// Marks ids of signing keys.
#[derive(Debug)]
pub enum OfKey {}

/// A user: another one even if an earlier user had the same name.
pub type UserId = Id<OfUser>;
/// A session.
pub type SessionId = Id<OfSession>;
/// A token.
pub type TokenId = Id<OfToken>;
/// A signing key.
pub type KeyId = Id<OfKey>;

/// Why a text is no [`Id`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 32 lower-case hexadecimal digits")]
pub struct IdError;

impl<K> Id<K> {
    /// An id of 16 random bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(hex.into(), PhantomData)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl UserId {
    /// The id of a user that a commit declares and that was not there before. It hangs on when and by which generation
    /// that happened, so that a user who is removed and declared again is another.
    #[must_use]
    pub fn declared(name: &Name, commit: CommitId, generation: Generation, at: Timestamp) -> Self {
        Self::hashed(&[
            name.as_str(),
            &commit.to_string(),
            &generation.to_string(),
            &at.as_nanosecond().to_string(),
        ])
    }

    /// The id of a user that was in force before ids were kept.
    #[must_use]
    pub fn of_name(name: &Name) -> Self {
        Self::hashed(&[name.as_str()])
    }

    fn hashed(parts: &[&str]) -> Self {
        let mut hash = Sha256::new().chain_update("banyan/user-id/v1");
        for part in parts {
            hash = hash.chain_update([0]).chain_update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut bytes = [0; 16];
        for (byte, from) in bytes.iter_mut().zip(digest) {
            *byte = from;
        }
        Self::from_bytes(bytes)
    }
}

impl<K> FromStr for Id<K> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 32 && text.bytes().all(digit) {
            Ok(Self(text.into(), PhantomData))
        } else {
            Err(IdError)
        }
    }
}

impl<K> TryFrom<String> for Id<K> {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl<K> From<Id<K>> for String {
    fn from(id: Id<K>) -> Self {
        id.0.into()
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<K> Eq for Id<K> {}

impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
