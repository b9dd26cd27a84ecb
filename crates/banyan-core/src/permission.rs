//! Permissions, the built-in roles and the engine's own vocabulary.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest permission, in bytes.
pub const MAX_PERMISSION_LEN: usize = 128;

/// `resource:action`, `resource:*` or `*`.
///
/// The vocabulary is open: other services put their own permissions into tokens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Permission(Box<str>);

/// Why a text is not a [`Permission`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PermissionError {
    /// Not one of the three forms.
    #[error("a permission is `resource:action`, `resource:*` or `*`")]
    Form,
    /// A character outside the alphabet.
    #[error("{0:?} is not allowed in a permission: use a-z, 0-9, '-', '_' and '.'")]
    Character(char),
    /// Longer than [`MAX_PERMISSION_LEN`].
    #[error("a permission has at most {MAX_PERMISSION_LEN} characters")]
    TooLong,
}

impl Permission {
    /// The permission that includes every other: `*`.
    #[must_use]
    pub fn everything() -> Self {
        Self("*".into())
    }

    /// The permission as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether holding `self` includes holding `wanted`.
    #[must_use]
    pub fn covers(&self, wanted: &Self) -> bool {
        covers(&self.0, &wanted.0)
    }

    /// Whether this is `*`.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        &*self.0 == "*"
    }
}

fn covers(mine: &str, wanted: &str) -> bool {
    if mine == "*" || mine == wanted {
        return true;
    }
    match (mine.split_once(':'), wanted.split_once(':')) {
        (Some((mine, "*")), Some((theirs, _))) => mine == theirs,
        _ => false,
    }
}

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        if text.len() > MAX_PERMISSION_LEN {
            return Err(PermissionError::TooLong);
        }
        if text != "*" {
            let (resource, action) = text.split_once(':').ok_or(PermissionError::Form)?;
            word(resource)?;
            if action != "*" {
                word(action)?;
            }
        }
        Ok(Self(text.into()))
    }
}

fn word(text: &str) -> Result<(), PermissionError> {
    if text.is_empty() || text.contains(['*', ':']) {
        return Err(PermissionError::Form);
    }
    let fits = |c: &char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.');
    match text.chars().find(|c| !fits(c)) {
        Some(bad) => Err(PermissionError::Character(bad)),
        None => Ok(()),
    }
}

impl TryFrom<String> for Permission {
    type Error = PermissionError;

    fn try_from(text: String) -> Result<Self, PermissionError> {
        text.parse()
    }
}

impl From<Permission> for String {
    fn from(permission: Permission) -> Self {
        permission.0.into()
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

/// The permissions that the engine's own calls require, each with what it allows.
pub const ENGINE_PERMISSIONS: &[(&str, &str)] = &[
    ("audit:read", "read the audit log"),
    (
        "engines:remove",
        "remove an engine that is permanently gone",
    ),
    ("gitops:operate", "suspend, resume and accept commits"),
    ("gitops:plan", "see what a tree would change"),
    ("gitops:read", "see history and origins"),
    ("gitops:sync", "request a sync now"),
    ("machines:quarantine", "take a machine off the network"),
    ("machines:read", "see machines and peers"),
    ("password:change", "change one's own password"),
    ("roles:read", "see roles and permissions"),
    ("sessions:read", "see sessions"),
    ("sessions:revoke", "end sessions"),
    ("signing-keys:read", "see the token signing keys"),
    ("signing-keys:rotate", "replace the token signing keys"),
    (
        "status:read",
        "see the status of the engine and the cluster repo",
    ),
    ("users:read", "see users"),
    (
        "users:lock",
        "lock any user in an emergency, even one who may do more",
    ),
    ("users:write", "add, change, lock and remove users"),
];

/// The built-in roles, which no manifest can override, with their permissions.
const BUILT_IN: &[(&str, &[&str])] = &[
    ("admin", &["*"]),
    (
        "deployer",
        &[
            "containers:read",
            "deployments:*",
            "logs:read",
            "password:change",
            "secrets:read",
            "status:read",
        ],
    ),
    (
        "viewer",
        &[
            "containers:read",
            "deployments:read",
            "logs:read",
            "password:change",
            "status:read",
        ],
    ),
];

/// The permissions of a built-in role; `None` if `role` is not built in.
#[must_use]
pub fn built_in_role(role: &str) -> Option<BTreeSet<Permission>> {
    let (_, permissions) = BUILT_IN.iter().find(|(name, _)| *name == role)?;
    Some(permissions.iter().filter_map(|p| p.parse().ok()).collect())
}

/// Whether a built-in role grants `*`; `None` if `role` is not built in. Does not allocate: it is called for each user.
pub(crate) fn built_in_holds_everything(role: &str) -> Option<bool> {
    let (_, permissions) = BUILT_IN.iter().find(|(name, _)| *name == role)?;
    Some(permissions.contains(&"*"))
}

/// Whether a built-in role includes a permission; `None` if `role` is not built in. Does not allocate: it is called on
/// each request.
pub(crate) fn built_in_covers(role: &str, wanted: &Permission) -> Option<bool> {
    let (_, permissions) = BUILT_IN.iter().find(|(name, _)| *name == role)?;
    Some(permissions.iter().any(|mine| covers(mine, &wanted.0)))
}

/// The names of the built-in roles, sorted.
pub fn built_in_roles<'a>() -> impl Iterator<Item = &'a str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// Every permission that the engine or a built-in role names, sorted; used to detect typing mistakes.
#[must_use]
pub fn known_permissions() -> BTreeSet<&'static str> {
    let of_roles = BUILT_IN.iter().flat_map(|(_, p)| p.iter().copied());
    let of_engine = ENGINE_PERMISSIONS.iter().map(|(p, _)| *p);
    of_roles
        .chain(of_engine)
        .filter(|p| !p.contains('*'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(text: &str) -> Permission {
        text.parse().unwrap()
    }

    #[test]
    fn a_permission_covers_itself_its_resource_and_nothing_else() {
        assert!(permission("*").covers(&permission("users:write")));
        assert!(permission("users:*").covers(&permission("users:write")));
        assert!(permission("users:*").covers(&permission("users:*")));
        assert!(permission("users:read").covers(&permission("users:read")));
        assert!(!permission("users:read").covers(&permission("users:*")));
        assert!(!permission("users:*").covers(&permission("usersx:read")));
        assert!(!permission("users:*").covers(&permission("*")));
    }

    #[test]
    fn only_the_three_forms_are_permissions() {
        for bad in ["", "users", "users:", ":read", "*:read", "a:b:c", "a:b*"] {
            assert_eq!(
                bad.parse::<Permission>(),
                Err(PermissionError::Form),
                "{bad}"
            );
        }
        assert_eq!(
            "Users:read".parse::<Permission>(),
            Err(PermissionError::Character('U'))
        );
    }

    #[test]
    fn every_permission_of_the_tables_is_one() {
        for role in built_in_roles() {
            let (_, listed) = BUILT_IN.iter().find(|(name, _)| *name == role).unwrap();
            assert_eq!(built_in_role(role).unwrap().len(), listed.len(), "{role}");
        }
        for (name, _) in ENGINE_PERMISSIONS {
            permission(name);
        }
    }
}
