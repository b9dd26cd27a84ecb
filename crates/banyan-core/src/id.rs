//! Identifiers that are never reused.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{CommitId, Generation, Name};

/// 128 bits as 32 lower-case hexadecimal digits. `K` is the kind of object, so that ids of different kinds cannot be
/// mixed up.
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

/// A user id; a later user with the same name has a different one.
pub type UserId = Id<OfUser>;
/// A session id.
pub type SessionId = Id<OfSession>;
/// A token id.
pub type TokenId = Id<OfToken>;
/// A signing key id.
pub type KeyId = Id<OfKey>;

/// Why a text is not an [`Id`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 32 lower-case hexadecimal digits")]
pub struct IdError;

impl<K> Id<K> {
    /// An id from 16 random bytes.
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
    /// The id of a user that a commit newly declares. It depends on the time and the generation, so that a user who is
    /// removed and declared again gets another id.
    #[must_use]
    pub fn declared(name: &Name, commit: CommitId, generation: Generation, at: Timestamp) -> Self {
        Self::hashed(&[
            name.as_str(),
            &commit.to_string(),
            &generation.to_string(),
            &at.as_nanosecond().to_string(),
        ])
    }

    /// The id of a user that predates ids.
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
