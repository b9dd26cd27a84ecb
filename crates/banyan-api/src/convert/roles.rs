//! Roles on the wire.

use banyan_core::people::Directory;
use banyan_core::{Origin, Role};

use super::texts;
use crate::v1;

impl v1::Role {
    /// A role with its holders.
    #[must_use]
    pub fn new(role: &Role, origin: Option<&Origin>, directory: Directory<'_>) -> Self {
        Self {
            name: role.name.to_string(),
            permissions: texts(&role.permissions),
            origin: Some(origin.map_or_else(v1::Origin::built_in, Into::into)),
            holders: texts(directory.holders(&role.name)),
        }
    }
}
