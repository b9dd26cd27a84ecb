//! The objects in force: clusters, users, roles and machines, independent of any file format.

mod table;

pub use table::{Difference, Indexed, MachineIndex, RoleIndex, Table, UserIndex};

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    CommitId, Generation, Labels, Name, Permission, PublicKey, SecretText, UserId,
    built_in_holds_everything, built_in_roles,
};

/// An age recipient: an X25519 key (`age1…`) or an ssh-ed25519 public key without its comment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Recipient(pub String);

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The kind of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineType {
    /// A node with an agent.
    Agent,
    /// A person's computer.
    Cli,
}

impl fmt::Display for MachineType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Agent => "agent",
            Self::Cli => "cli",
        })
    }
}

/// The public address of a machine: `host:port`, with an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint(String);

/// Why a text is not an [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "an endpoint is `host:port`, for example vpn.example.org:51820, 192.0.2.7:51820 or [2001:db8::7]:51820"
)]
pub struct EndpointError;

impl Endpoint {
    /// The endpoint as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The endpoint as a socket address, if the host is an IP address.
    #[must_use]
    pub fn address(&self) -> Option<std::net::SocketAddr> {
        self.0.parse().ok()
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let endpoint = Self(text.to_owned());
        if let Some(address) = endpoint.address() {
            return if address.port() == 0 {
                Err(EndpointError)
            } else {
                Ok(endpoint)
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or(EndpointError)?;
        let port: u16 = port.parse().map_err(|_| EndpointError)?;
        if port == 0 || !is_host_name(host) {
            return Err(EndpointError);
        }
        Ok(endpoint)
    }
}

/// RFC 1123 §2.1: labels joined by dots, at most 253 characters. The last label must not be all digits, so that a
/// mistyped IP address is not accepted as a host name.
fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= crate::MAX_NAME_LEN
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    host.len() <= 253 && host.split('.').all(label) && !last.chars().all(|c| c.is_ascii_digit())
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What one commit may remove of a kind without a trailer. A commit is refused only if it exceeds both limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guards {
    /// Share of a kind, in percent (0 to 100).
    pub max_removed_percent: u8,
    /// Number of objects of a kind.
    pub max_removed: u32,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            max_removed_percent: 25,
            max_removed: 5,
        }
    }
}

impl Guards {
    /// The stricter of the two, for each limit.
    #[must_use]
    pub fn strictest(self, other: Self) -> Self {
        Self {
            max_removed_percent: self.max_removed_percent.min(other.max_removed_percent),
            max_removed: self.max_removed.min(other.max_removed),
        }
    }
}

/// The network as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its name.
    pub name: Name,
    /// Addresses of the control tunnel.
    pub control_range: Ipv4Net,
    /// Addresses of the mesh.
    pub mesh_range: Ipv4Net,
    /// The recipients sealed values are encrypted for.
    pub recipients: BTreeSet<Recipient>,
    /// What one commit may remove.
    pub guards: Guards,
    /// Whether keys must be sealed.
    pub require_sealed: bool,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The login name.
    pub name: Name,
    /// Labels.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// Names of roles.
    pub roles: BTreeSet<Name>,
    /// An email address, for information only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the user is disabled.
    #[serde(default)]
    pub disabled: bool,
    /// When the user becomes inactive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// A bcrypt hash declared in git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<SecretText>,
    /// The user's id, and when and by whom it was created. `None` for users that predate ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Creation>,
}

/// The creation of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Creation {
    /// The user's id, which is never reused.
    pub id: UserId,
    /// When it was created.
    pub at: Timestamp,
    /// The author of the commit, or the caller of the API.
    pub by: String,
}

impl User {
    /// The user's id, the key of everything stored about the user.
    #[must_use]
    pub fn id(&self) -> UserId {
        match &self.made {
            Some(made) => made.id.clone(),
            None => UserId::of_name(&self.name),
        }
    }

    /// Whether the user is active at `now`.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        !self.disabled && !has_expired(self.expires, now)
    }
}

/// A named set of permissions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name.
    pub name: Name,
    /// Labels.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// The permissions granted to holders.
    pub permissions: BTreeSet<Permission>,
}

/// A member of the private network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Its name.
    pub name: Name,
    /// Labels.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// The kind of machine.
    #[serde(rename = "type")]
    pub machine_type: MachineType,
    /// Its WireGuard key.
    pub public_key: PublicKey,
    /// Its IPv4 address in the control tunnel; `None` if another machine has the address derived from its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_v4: Option<Ipv4Addr>,
    /// The address it can be reached at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// A fixed address in the mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh_address: Option<Ipv4Addr>,
    /// Subnets behind it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub routes: BTreeSet<IpNet>,
    /// When it leaves the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Whether a commit that removes it is refused.
    #[serde(default)]
    pub protected: bool,
}

impl Machine {
    /// Whether the machine is active at `now`.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        !has_expired(self.expires, now)
    }
}

/// Whether an expiry has passed at `now`; the exact instant counts as expired.
#[must_use]
pub fn has_expired(expires: Option<Timestamp>, now: Timestamp) -> bool {
    expires.is_some_and(|at| at <= now)
}

/// The origin of an object, which determines who may change it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum Origin {
    /// A document of the cluster repo.
    Git {
        /// The commit that last changed the object or moved its document.
        commit: CommitId,
        /// The file.
        path: Arc<str>,
        /// The line, from 1.
        line: u32,
    },
    /// A call to the engine.
    Api,
    /// A whitelisted key file.
    File,
    /// Created when the engine was set up.
    Bootstrap,
}

/// An object with its origin and age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record<T> {
    /// The object.
    pub spec: T,
    /// Its origin.
    pub origin: Origin,
    /// The generation that last changed it (not merely moved its document).
    pub generation: Generation,
    /// When that was.
    pub since: Timestamp,
}

/// All objects, by name.
///
/// A persistent value, see [`Table`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Objects {
    /// The cluster; `None` before the first commit is in force.
    pub cluster: Option<Arc<Record<Cluster>>>,
    /// Users.
    pub users: Table<User>,
    /// Roles, without the built-in ones.
    pub roles: Table<Role>,
    /// Machines.
    pub machines: Table<Machine>,
}

impl Objects {
    /// The permissions of a role, built-in or declared; `None` if the role does not exist.
    #[must_use]
    pub fn role_permissions(&self, role: &Name) -> Option<BTreeSet<Permission>> {
        crate::built_in_role(role.as_str())
            .or_else(|| Some(self.roles.get(role)?.spec.permissions.clone()))
    }

    /// The permissions of a user at `now`; none while inactive.
    #[must_use]
    pub fn permissions(&self, user: &User, now: Timestamp) -> BTreeSet<Permission> {
        if !user.is_active(now) {
            return BTreeSet::new();
        }
        let of = |role| self.role_permissions(role).unwrap_or_default();
        user.roles.iter().flat_map(of).collect()
    }

    /// Whether a role, built-in or declared, includes a permission.
    #[must_use]
    pub fn role_covers(&self, role: &Name, wanted: &Permission) -> bool {
        crate::built_in_covers(role.as_str(), wanted).unwrap_or_else(|| {
            let role = self.roles.get(role);
            role.is_some_and(|role| role.spec.permissions.iter().any(|p| p.covers(wanted)))
        })
    }

    /// Whether a user is active at `now` and holds `*`.
    pub(crate) fn may_do_everything(&self, user: &User, now: Timestamp) -> bool {
        let declared = |role: &Name| {
            let role = self.roles.get(role);
            role.is_some_and(|role| role.spec.permissions.iter().any(Permission::is_everything))
        };
        let holds = |role: &Name| {
            built_in_holds_everything(role.as_str()).unwrap_or_else(|| declared(role))
        };
        user.is_active(now) && user.roles.iter().any(holds)
    }

    /// The next instant after `now` at which something expires.
    #[must_use]
    pub fn next_expiry(&self, now: Timestamp) -> Option<Timestamp> {
        let next = [self.users.next_expiry(now), self.machines.next_expiry(now)];
        next.into_iter().flatten().min()
    }

    /// The users with a role that grants `*`, active or not, by name.
    pub(crate) fn holders_of_everything(&self) -> BTreeSet<&Name> {
        let built_in =
            built_in_roles().filter(|role| built_in_holds_everything(role) == Some(true));
        let built_in = built_in.filter_map(|role| role.parse::<Name>().ok());
        let declared = self.roles.with_everything().cloned();
        let holders = built_in
            .chain(declared)
            .flat_map(|role| self.users.with_role(&role));
        holders.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_hosts_or_addresses_with_a_port() {
        for good in [
            "vpn.example.org:51820",
            "192.0.2.7:1",
            "[2001:db8::7]:51820",
            "host:65535",
        ] {
            assert_eq!(good.parse::<Endpoint>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "host",
            "host:0",
            "host:65536",
            ":51820",
            "192.0.2.300:1",
            "2001:db8::7:51820",
            "a b:1",
            "-a:1",
            "192.0.2.7:0",
        ] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_strictest_guards_are_taken_limit_by_limit() {
        let one = Guards {
            max_removed_percent: 10,
            max_removed: 9,
        };
        let two = Guards {
            max_removed_percent: 20,
            max_removed: 3,
        };
        let strict = Guards {
            max_removed_percent: 10,
            max_removed: 3,
        };
        assert_eq!(one.strictest(two), strict);
    }
}
