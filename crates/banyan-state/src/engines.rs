//! The engines of a cluster: which exist, which are running, and which one leads.

use std::sync::Arc;

use banyan_core::{CommitInfo, Finding, Name, PublicKey, Recipient};
use banyan_store::{LeaseId, Revision};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An engine that belongs to the cluster, running or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Its public key in the control tunnel.
    pub public_key: PublicKey,
    /// The recipients to seal for, so that it can decrypt; empty without an age identity.
    pub recipients: Vec<Recipient>,
    /// The program version.
    pub version: String,
    /// When it was first seen.
    pub registered_at: Timestamp,
}

/// A running engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alive {
    /// When its process started.
    pub since: Timestamp,
    /// The host it runs on, as it reports.
    pub host: String,
}

/// What is known about one engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Engine {
    /// Its registration; absent if it was removed while running.
    pub registration: Option<Arc<Registration>>,
    /// Present while it is running.
    pub alive: Option<Arc<Alive>>,
}

/// The leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// Its name.
    pub engine: Name,
    /// Since when it leads.
    pub since: Timestamp,
    /// The revision at which it was elected, which identifies the term.
    pub elected: Revision,
    /// The lease of the leader key.
    pub(crate) lease: Option<LeaseId>,
}

/// The value of the leader key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seat {
    pub(crate) engine: Name,
    pub(crate) since: Timestamp,
}

/// The result of the leader's last pass, for the other engines to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedStatus {
    /// The leader that published it.
    pub engine: Name,
    /// The state of the newest commit seen, as in `banyan gitops status`.
    pub state: String,
    /// The newest commit seen.
    pub seen: Option<CommitInfo>,
    /// Its findings; only the first ones if there are many.
    pub findings: Vec<Finding>,
    /// The total number of findings.
    pub total: usize,
    /// Why the last pass failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The number of consecutive failed passes at that time.
    #[serde(default)]
    pub failures: u32,
    /// The newest hint that a pass has handled.
    pub served: u64,
    /// When it was published.
    pub at: Timestamp,
}
