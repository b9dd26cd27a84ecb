//! The encoding of values: JSON, with the format number in the pointer.

use std::sync::Arc;

use banyan_core::{Applied, Kind, Name, Object};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::StateError;

/// The format of the records in the store that this program writes, and the highest it reads.
pub const FORMAT: u32 = 1;

/// The value of the pointer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pointer {
    pub(crate) format: u32,
    pub(crate) applied: Applied,
    /// The sum of all records in force, which reveals out-of-band changes to the next reader. Stores written by earlier
    /// versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sum: Option<Sum>,
}

/// The sum, modulo 2¹²⁸, of the first 16 bytes of SHA-256 of each record in force: `KIND/NAME`, a zero byte, its value.
/// It is independent of the records' order, and a commit updates it at the cost of its change. It detects accidents,
/// not attacks: a writer of records can write the pointer too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Sum(u128);

impl Sum {
    pub(crate) fn of(kind: Kind, name: &Name, value: &[u8]) -> Self {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(kind.as_str())
            .chain_update("/")
            .chain_update(name.as_str())
            .chain_update([0])
            .chain_update(value)
            .finalize()
            .into();
        Self(
            digest
                .iter()
                .take(16)
                .fold(0, |number, byte| number << 8 | u128::from(*byte)),
        )
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0))
    }
}

impl From<Sum> for String {
    fn from(sum: Sum) -> Self {
        format!("{:032x}", sum.0)
    }
}

impl TryFrom<String> for Sum {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u128::from_str_radix(&text, 16).map(Self)
    }
}

/// The fields that identify a later format before the rest is parsed.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

pub(crate) fn pointer(key: &str, value: &[u8]) -> Result<Pointer, StateError> {
    let Format { format } = decode(key, value)?;
    if format > FORMAT {
        return Err(StateError::Newer {
            found: format,
            known: FORMAT,
        });
    }
    decode(key, value)
}

pub(crate) fn decode<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, StateError> {
    serde_json::from_slice(value).map_err(|source| StateError::Corrupt {
        key: key.to_owned(),
        source: Some(source),
    })
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Arc<[u8]>, StateError> {
    let bytes = serde_json::to_vec(value).map_err(StateError::Encode)?;
    Ok(bytes.into())
}

/// A record, or `null` for a removed one.
pub(crate) fn object(kind: Kind, key: &str, value: &[u8]) -> Result<Option<Object>, StateError> {
    if value == b"null" {
        return Ok(None);
    }
    Ok(Some(match kind {
        Kind::Cluster => Object::Cluster(decode(key, value)?),
        Kind::Role => Object::Role(decode(key, value)?),
        Kind::User => Object::User(decode(key, value)?),
        Kind::Machine => Object::Machine(decode(key, value)?),
    }))
}

pub(crate) fn encode_object(object: Option<&Object>) -> Result<Arc<[u8]>, StateError> {
    match object {
        None => Ok(Arc::from(*b"null")),
        Some(Object::Cluster(record)) => encode(record),
        Some(Object::Role(record)) => encode(record),
        Some(Object::User(record)) => encode(record),
        Some(Object::Machine(record)) => encode(record),
    }
}
