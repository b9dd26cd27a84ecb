//! The ids of git objects, with one type per kind so that a blob is never mistaken for a commit.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

/// The files of a tree: path from its root, with `/`, to content. A persistent value: trees share what they have in
/// common.
pub type FileMap = OrdMap<Arc<str>, BlobId>;

/// Why a text is not an object id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} id has 40 hexadecimal digits (SHA-1) or 64 (SHA-256)")]
pub struct ObjectIdError {
    kind: &'static str,
}

/// The bytes of an id. The length is private: users see a slice or hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Bytes {
    /// Zero after its length.
    bytes: [u8; 32],
    /// 20 (SHA-1) or 32 (SHA-256).
    len: u8,
}

impl Bytes {
    fn parse(text: &str) -> Option<Self> {
        let len = match text.len() {
            40 => 20,
            64 => 32,
            _ => return None,
        };
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            for digit in pair {
                let value = char::from(*digit).to_digit(16)?;
                *byte = *byte << 4 | u8::try_from(value).ok()?;
            }
        }
        Some(Self { bytes, len })
    }

    fn as_bytes(&self) -> &[u8] {
        // The length is at most that of the array.
        self.bytes.get(..self.len.into()).unwrap_or_default()
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.as_bytes().iter();
        bytes.try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

macro_rules! object_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        ///
        /// The text form is hexadecimal digits.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Bytes);

        impl $name {
            /// The id from a SHA-1 hash.
            #[must_use]
            pub const fn from_sha1(bytes: [u8; 20]) -> Self {
                let mut padded = [0; 32];
                let (head, _) = padded.split_at_mut(20);
                head.copy_from_slice(&bytes);
                Self(Bytes {
                    bytes: padded,
                    len: 20,
                })
            }

            /// The id that SHA-256 gave.
            #[must_use]
            pub const fn from_sha256(bytes: [u8; 32]) -> Self {
                Self(Bytes { bytes, len: 32 })
            }

            /// Its bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }
        }

        impl FromStr for $name {
            type Err = ObjectIdError;

            fn from_str(text: &str) -> Result<Self, ObjectIdError> {
                Bytes::parse(text).map(Self).ok_or(ObjectIdError { kind: $kind })
            }
        }

        impl TryFrom<String> for $name {
            type Error = ObjectIdError;

            fn try_from(text: String) -> Result<Self, ObjectIdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

object_id!(
    /// The id of a commit.
    CommitId,
    "a commit"
);
object_id!(
    /// The id of a file's content. Equal ids imply equal content.
    BlobId,
    "a blob"
);
object_id!(
    /// The id of a directory.
    TreeId,
    "a tree"
);

impl CommitId {
    /// The first 12 digits, for display.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(12).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_round_trips_through_text_and_other_texts_are_refused() {
        let text = "0123456789abcdef0123456789abcdef01234567";
        let id: CommitId = text.parse().unwrap();
        assert_eq!(
            (id.to_string(), format!("{id:?}")),
            (text.into(), text.into())
        );
        assert_eq!(id.short(), "0123456789ab");
        assert_eq!(id.as_bytes()[1], 0x23);
        assert_eq!(text.to_uppercase().parse(), Ok(id));
        for bad in [
            "",
            "0123",
            &text[1..],
            &format!("{text}0"),
            &text[..32],
            &format!("{text}{}", &text[..23]),
            &text.replace('0', "g"),
            &text.replace("01", "+1"),
            &"é".repeat(20),
        ] {
            assert!(bad.parse::<CommitId>().is_err(), "{bad}");
        }
        let long = "0123456789abcdef".repeat(4);
        let id: CommitId = long.parse().unwrap();
        assert_eq!((id.to_string(), id.as_bytes().len()), (long, 32));
        assert_eq!(CommitId::try_from(String::from(id)), Ok(id));
        let padded: CommitId = format!("{text}{}", "0".repeat(24)).parse().unwrap();
        assert_ne!(padded, text.parse().unwrap());
        let error = "x".parse::<BlobId>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "a blob id has 40 hexadecimal digits (SHA-1) or 64 (SHA-256)"
        );
    }
}
