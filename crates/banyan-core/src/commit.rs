//! Commits and generations, as far as deciding needs them.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The id of a commit: 20 bytes (SHA-1), written as 40 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId([u8; 20]);

/// Why a text is no [`CommitId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a commit id has 40 hexadecimal digits")]
pub struct CommitIdError;

impl CommitId {
    /// Takes the bytes of an id.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Its 20 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The first 12 digits, enough for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(12).collect()
    }
}

impl FromStr for CommitId {
    type Err = CommitIdError;

    fn from_str(text: &str) -> Result<Self, CommitIdError> {
        let mut bytes = [0; 20];
        if text.len() != 40 || !text.is_ascii() {
            return Err(CommitIdError);
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| CommitIdError)?;
            if digits.starts_with('+') {
                return Err(CommitIdError);
            }
            *byte = u8::from_str_radix(digits, 16).map_err(|_| CommitIdError)?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for CommitId {
    type Error = CommitIdError;

    fn try_from(text: String) -> Result<Self, CommitIdError> {
        text.parse()
    }
}

impl From<CommitId> for String {
    fn from(id: CommitId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The number of a target: each one that gets into force is one more than its parent.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A commit, as far as deciding about it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitInfo {
    /// Its id.
    pub id: CommitId,
    /// `Name <address>` of the author.
    pub author: String,
    /// When it was committed, by its own word.
    pub committed_at: Timestamp,
    /// The first line of its message.
    pub summary: String,
    /// The trailers of its message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trailers: Vec<(String, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_the_way_through_text_and_nothing_else_is_one() {
        let text = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(text.parse::<CommitId>().unwrap().to_string(), text);
        assert_eq!(text.parse::<CommitId>().unwrap().short(), "0123456789ab");
        for bad in [
            "",
            "0123",
            &text[1..],
            &text.replace('0', "g"),
            &text.replace("01", "+1"),
        ] {
            assert!(bad.parse::<CommitId>().is_err(), "{bad}");
        }
    }
}
