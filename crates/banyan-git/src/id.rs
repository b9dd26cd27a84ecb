//! Object ids: one type for each kind of object, so that a tree is never taken for a commit.

use std::fmt;
use std::str::FromStr;

use git2::Oid;

use crate::GitError;

/// A text that is no object id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "an object id is 40 hexadecimal digits, this text has {length} characters or others than those"
)]
pub struct IdError {
    length: usize,
}

macro_rules! object_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 20]);

        impl $name {
            /// An id from its 20 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 20]) -> Self {
                Self(bytes)
            }

            /// The id's 20 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 20] {
                &self.0
            }
        }

        impl From<Oid> for $name {
            fn from(oid: Oid) -> Self {
                Self(from_oid(oid))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hex(text).map(Self)
            }
        }
    };
}

object_id!(
    /// The id of a commit.
    CommitId
);
object_id!(
    /// The id of a file's content.
    BlobId
);
object_id!(
    /// The id of a directory.
    TreeId
);

impl BlobId {
    pub(crate) fn oid(self) -> Oid {
        to_oid(self.0)
    }
}

impl BlobId {
    /// The id that git gives to a file of this content.
    ///
    /// # Errors
    /// The content is larger than git can count.
    pub fn of(content: &[u8]) -> Result<Self, GitError> {
        let id = Oid::hash_object(git2::ObjectType::Blob, content);
        id.map(Into::into)
            .map_err(|error| GitError::object("blob", Oid::ZERO_SHA1, error))
    }
}

impl CommitId {
    pub(crate) fn oid(self) -> Oid {
        to_oid(self.0)
    }

    /// The first 12 digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{self:.12}")
    }
}

fn hex(bytes: &[u8; 20]) -> String {
    use fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(40), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn parse_hex(text: &str) -> Result<[u8; 20], IdError> {
    let error = IdError {
        length: text.chars().count(),
    };
    if text.len() != 40 {
        return Err(error);
    }
    let mut id = [0; 20];
    for (byte, pair) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let mut value = 0;
        for digit in pair {
            let digit = char::from(*digit)
                .to_digit(16)
                .ok_or_else(|| error.clone())?;
            value = value << 4 | digit;
        }
        *byte = u8::try_from(value).map_err(|_| error.clone())?;
    }
    Ok(id)
}

fn from_oid(oid: Oid) -> [u8; 20] {
    let mut id = [0; 20];
    for (to, from) in id.iter_mut().zip(oid.as_bytes()) {
        *to = *from;
    }
    id
}

fn to_oid(id: [u8; 20]) -> Oid {
    // `from_bytes` refuses other lengths than 20 only.
    Oid::from_bytes(&id).unwrap_or(Oid::ZERO_SHA1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_and_shown_as_forty_digits() {
        let text = "0123456789abcdef0123456789abcdef01234567";
        let id: CommitId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(id.short(), "0123456789ab");
        assert_eq!(CommitId::from(id.oid()), id);
        assert_eq!(id.as_bytes()[1], 0x23);
        assert_eq!(text.to_uppercase().parse(), Ok(id));
        for bad in [
            "",
            "0123",
            &text[1..],
            &format!("{text}0"),
            &"é".repeat(20),
            &"g".repeat(40),
        ] {
            assert!(bad.parse::<BlobId>().is_err(), "{bad}");
        }
    }
}
