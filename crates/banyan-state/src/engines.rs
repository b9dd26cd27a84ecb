//! The engines of a cluster: which ones there are, which run, and which one leads.

use std::sync::Arc;

use banyan_core::{CommitInfo, Finding, Name, PublicKey, Recipient};
use banyan_store::{LeaseId, Revision};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An engine that belongs to the cluster, whether it runs or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Its public key in the control tunnel.
    pub public_key: PublicKey,
    /// Whom to seal for, so that it can open it; empty without an age identity.
    pub recipients: Vec<Recipient>,
    /// Its program's version.
    pub version: String,
    /// When it was first seen.
    pub registered_at: Timestamp,
}

/// An engine that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alive {
    /// When its process started.
    pub since: Timestamp,
    /// The machine that it runs on, by that machine's own word.
    pub host: String,
}

/// What is known of one engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Engine {
    /// Its registration; absent for one that was removed while it ran.
    pub registration: Option<Arc<Registration>>,
    /// Whether it runs.
    pub alive: Option<Arc<Alive>>,
}

/// The engine that reconciles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// Its name.
    pub engine: Name,
    /// Since when.
    pub since: Timestamp,
    /// The revision at which it was elected: it tells one term from the next.
    pub elected: Revision,
    /// The lease that it leads by.
    pub(crate) lease: Option<LeaseId>,
}

/// The value of the leader's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seat {
    pub(crate) engine: Name,
    pub(crate) since: Timestamp,
}

/// What the leader's last pass found, for the other engines to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedStatus {
    /// The leader that says so.
    pub engine: Name,
    /// How the newest commit seen stands, as `banyan gitops status` names it.
    pub state: String,
    /// The newest commit seen.
    pub seen: Option<CommitInfo>,
    /// What was found about it; the first ones when there are many.
    pub findings: Vec<Finding>,
    /// How many findings there are in all.
    pub total: usize,
    /// Why the last pass failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many passes had failed in a row when it was said.
    #[serde(default)]
    pub failures: u32,
    /// The newest hint that a pass has served.
    pub served: u64,
    /// When it was said.
    pub at: Timestamp,
}
