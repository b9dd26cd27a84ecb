//! Documents, checks, admission and plans, as plain values.
//!
//! The core cannot do IO, read a clock or generate randomness: it depends on nothing that can. Time, randomness and
//! everything observed are arguments.

mod access;
mod admit;
pub mod audit;
mod catalog;
mod change;
mod check;
mod commit;
mod denial;
mod document;
mod explain;
mod finding;
#[cfg(any(test, feature = "fixture"))]
pub mod fixture;
pub mod floor;
mod id;
mod key;
mod labels;
mod multimap;
mod name;
mod network;
mod object;
mod object_id;
pub mod people;
mod permission;
mod plan;
mod secret;

pub use access::Access;
pub use admit::{
    AdmitContext, Applied, Counts, EngineRecipients, InForce, Reduction, Target, admit, restore,
};
pub use catalog::{AnyDocument, Catalog, Edit};
pub use change::{Change, FieldChange, Object, changes};
pub use check::{Checked, check};
pub use commit::{CommitInfo, Generation};
pub use denial::Denial;
pub use document::{
    At, ClusterSpec, Digest, DigestError, Document, Documents, Kind, MachineSpec, Pos, RoleSpec,
    Sealed, UserSpec, recipients_digest,
};
pub use explain::{Explanation, ObjectState, all_roles};
pub use finding::{Finding, Severity, any_error, sort_findings};
pub use floor::{Ancestry, Descent, Floor};
pub use id::{KeyId, SessionId, TokenId, UserId};
pub use key::{KeyError, PublicKey};
pub use labels::Labels;
pub use name::{MAX_NAME_LEN, Name, NameError};
pub use network::{
    ControlPeers, ObservedPeer, PeerChange, PeerSet, PeerSetError, PeerUpdate, SESSION_LIFETIME,
    WantedPeer, assign_v4, control_range_v6, control_v4, control_v6, engine_v4, peer_changes,
    peer_changes_since,
};
pub use object::{
    Cluster, Creation, Difference, Endpoint, EndpointError, Guards, Indexed, Machine, MachineIndex,
    MachineType, Objects, Origin, Recipient, Record, Role, RoleIndex, Table, User, UserIndex,
    has_expired,
};
pub use object_id::{BlobId, CommitId, FileMap, ObjectIdError, TreeId};
pub use permission::{
    ENGINE_PERMISSIONS, MAX_PERMISSION_LEN, Permission, PermissionError, built_in_role,
    built_in_roles, known_permissions,
};
use permission::{built_in_covers, built_in_holds_everything};
pub use plan::{Effect, PeerEffect, Plan, PowerChange, plan, plan_between};
pub use secret::SecretText;
