//! The documents of a cluster repo, with the position of everything a finding may point at.
//!
//! This form lies between the file format (which `banyan-manifest` knows) and what is in force ([`crate::Objects`],
//! which has no positions).

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    Endpoint, Guards, Labels, MachineType, Name, Permission, PublicKey, Recipient, SecretText,
};

/// The kinds of document, in the order in which plans list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The one document about the network as a whole.
    Cluster,
    /// A set of permissions.
    Role,
    /// A person.
    User,
    /// A member of the private network.
    Machine,
}

impl Kind {
    /// The name in lower case, as plans, trailers and commands use it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Role => "role",
            Self::User => "user",
            Self::Machine => "machine",
        }
    }

    /// The name as a document's `kind:` has it.
    #[must_use]
    pub fn in_document(self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::Role => "Role",
            Self::User => "User",
            Self::Machine => "Machine",
        }
    }

    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Cluster, Self::Role, Self::User, Self::Machine];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A position in a file: line and column, both from 1.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Pos {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// A value and its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Its start.
    pub pos: Pos,
}

impl<T> At<T> {
    /// A value at a position.
    pub fn new(value: T, pos: Pos) -> Self {
        Self { value, pos }
    }
}

/// One document: its name, position and `spec`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document<T> {
    /// `metadata.name`.
    pub name: At<Name>,
    /// `metadata.labels`.
    pub labels: Labels,
    /// The file, relative to the root of the cluster repo.
    pub path: Arc<str>,
    /// The start of the document.
    pub pos: Pos,
    /// The `spec`.
    pub spec: T,
}

/// A SHA-256 digest, written as 64 lowercase hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

/// Why a text is not a [`Digest`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest has 64 lowercase hexadecimal digits")]
pub struct DigestError;

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if text.len() != 64 || !text.bytes().all(digit) {
            return Err(DigestError);
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| DigestError)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| DigestError)?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A value that may be sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sealed<T> {
    /// In clear text.
    Plain(T),
    /// Sealed, and opened.
    Opened {
        /// The value.
        value: T,
        /// The digest of the recipients the value says it is sealed for.
        recipients: Digest,
    },
    /// Sealed, with no identity to open it.
    Closed {
        /// The digest of the ciphertext.
        ciphertext: Digest,
    },
}

impl<T> Sealed<T> {
    /// The value, unless it is closed.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Plain(value) | Self::Opened { value, .. } => Some(value),
            Self::Closed { .. } => None,
        }
    }
}

/// Digest of a cluster's recipients: SHA-256 over the sorted, unique recipients joined with line feeds.
#[must_use]
pub fn recipients_digest<'a>(recipients: impl IntoIterator<Item = &'a Recipient>) -> Digest {
    let sorted: std::collections::BTreeSet<&str> =
        recipients.into_iter().map(|r| r.0.as_str()).collect();
    let joined = sorted.into_iter().collect::<Vec<_>>().join("\n");
    Digest(Sha256::digest(joined).into())
}

impl Sealed<PublicKey> {
    /// The key, or for a closed value one derived from its ciphertext: a plan without an identity can then still tell
    /// whether the value was sealed again. Such a target is never applied, because an engine refuses closed values.
    pub(crate) fn key(&self) -> PublicKey {
        match self {
            Self::Plain(key) | Self::Opened { value: key, .. } => *key,
            Self::Closed { ciphertext } => stand_in(ciphertext.0),
        }
    }
}

fn stand_in(mut bytes: [u8; 32]) -> PublicKey {
    loop {
        if let Ok(key) = PublicKey::from_bytes(bytes) {
            return key;
        }
        bytes = bytes.map(|byte| byte.wrapping_add(1));
    }
}

/// `spec` of a `Cluster`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSpec {
    /// Addresses of the control tunnel.
    pub control_range: At<Ipv4Net>,
    /// Addresses of the mesh.
    pub mesh_range: At<Ipv4Net>,
    /// The recipients sealed values are encrypted for.
    pub recipients: Vec<At<Recipient>>,
    /// What one commit may remove.
    pub guards: Guards,
    /// Whether keys must be sealed.
    pub require_sealed: bool,
}

/// `spec` of a `User`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSpec {
    /// Names of roles.
    pub roles: Vec<At<Name>>,
    /// An email address, for information only.
    pub email: Option<String>,
    /// Whether the user is disabled, with the position of the field.
    pub disabled: Option<At<bool>>,
    /// When the user becomes inactive.
    pub expires: Option<At<Timestamp>>,
    /// A bcrypt hash.
    pub password_hash: Option<At<Sealed<SecretText>>>,
}

/// `spec` of a `Role`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSpec {
    /// The permissions granted to holders.
    pub permissions: Vec<At<Permission>>,
}

/// `spec` of a `Machine`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineSpec {
    /// The kind of machine.
    pub machine_type: MachineType,
    /// Its WireGuard key.
    pub public_key: At<Sealed<PublicKey>>,
    /// The address it can be reached at.
    pub endpoint: Option<Endpoint>,
    /// A fixed address in the mesh.
    pub mesh_address: Option<At<Ipv4Addr>>,
    /// Subnets behind it.
    pub routes: Vec<At<IpNet>>,
    /// When it leaves the network.
    pub expires: Option<At<Timestamp>>,
    /// Whether a commit that removes it is refused.
    pub protected: bool,
}

/// Every document that could be read, in the order of path and position.
///
/// The documents are shared, so a document that was read once is passed from commit to commit without copying.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Documents {
    /// All `Cluster` documents; a valid repo has exactly one.
    pub clusters: Vec<Arc<Document<ClusterSpec>>>,
    /// All `User` documents.
    pub users: Vec<Arc<Document<UserSpec>>>,
    /// All `Role` documents.
    pub roles: Vec<Arc<Document<RoleSpec>>>,
    /// All `Machine` documents.
    pub machines: Vec<Arc<Document<MachineSpec>>>,
}
