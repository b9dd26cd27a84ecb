//! How values are written down: JSON, with the format's number in the pointer.

use std::sync::Arc;

use banyan_core::{Applied, Kind, Object};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::StateError;

/// The format that this program writes, and the highest it reads.
pub(crate) const FORMAT: u32 = 1;

/// The value of the pointer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pointer {
    pub(crate) format: u32,
    pub(crate) applied: Applied,
}

/// Just enough to tell a later format before reading the rest of it.
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

/// A record, or `null` for one that is gone.
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
