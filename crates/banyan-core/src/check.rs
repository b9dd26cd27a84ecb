//! Judges all documents together: names, keys, roles, routes and addresses against each other.
//!
//! What one document alone can be blamed for (syntax, types, sealing) was found while reading it.

mod network;
mod people;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::{
    At, ClusterSpec, Digest, Document, Documents, Finding, Kind, MachineSpec, Name, Recipient,
    RoleSpec, Sealed, UserSpec, any_error, sort_findings,
};

/// A cluster repo without an error: one cluster, unique names and keys, no dangling role, a lasting admin.
#[derive(Debug, Clone)]
pub struct Checked {
    pub(crate) cluster: Arc<Document<ClusterSpec>>,
    pub(crate) users: BTreeMap<Name, Arc<Document<UserSpec>>>,
    pub(crate) roles: BTreeMap<Name, Arc<Document<RoleSpec>>>,
    pub(crate) machines: BTreeMap<Name, Arc<Document<MachineSpec>>>,
    warnings: Vec<Finding>,
}

impl Checked {
    /// Findings that do not stop a commit.
    #[must_use]
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// The cluster's recipients, in the order of the document.
    pub fn recipients(&self) -> impl Iterator<Item = &Recipient> {
        self.cluster.spec.recipients.iter().map(|at| &at.value)
    }

    /// How many documents of each kind there are: role, user, machine.
    #[must_use]
    pub fn counts(&self) -> [(Kind, usize); 3] {
        [
            (Kind::Role, self.roles.len()),
            (Kind::User, self.users.len()),
            (Kind::Machine, self.machines.len()),
        ]
    }
}

/// Digest of a cluster's recipients: SHA-256 over them, sorted, each once, joined with a line feed.
#[must_use]
pub fn recipients_digest<'a>(recipients: impl IntoIterator<Item = &'a Recipient>) -> Digest {
    let sorted: std::collections::BTreeSet<&str> =
        recipients.into_iter().map(|r| r.0.as_str()).collect();
    let joined = sorted.into_iter().collect::<Vec<_>>().join("\n");
    Digest(Sha256::digest(joined).into())
}

/// Judges all documents together.
///
/// `found` are the findings of reading them; they come back with those made here, sorted.
///
/// # Errors
/// All findings, when at least one of them is an error.
pub fn check(
    documents: &Documents,
    found: Vec<Finding>,
    now: Timestamp,
) -> Result<Checked, Vec<Finding>> {
    // What could not be read may be just what seems to be missing.
    let complete = !any_error(&found);
    let mut findings = found;
    let cluster = one_cluster(&documents.clusters, complete, &mut findings);
    let users = unique(Kind::User, &documents.users, &mut findings);
    let roles = unique(Kind::Role, &documents.roles, &mut findings);
    let machines = unique(Kind::Machine, &documents.machines, &mut findings);
    people::check(&users, &roles, now, &mut findings);
    network::check_machines(&machines, now, &mut findings);
    if let Some(cluster) = &cluster {
        if complete {
            people::check_admin(cluster, &users, &roles, now, &mut findings);
        }
        network::check_ranges(cluster, &machines, &mut findings);
        check_sealing(cluster, &users, &machines, &mut findings);
    }
    sort_findings(&mut findings);
    match cluster {
        Some(cluster) if !any_error(&findings) => Ok(Checked {
            cluster,
            users,
            roles,
            machines,
            warnings: findings,
        }),
        _ => Err(findings),
    }
}

fn one_cluster(
    clusters: &[Arc<Document<ClusterSpec>>],
    complete: bool,
    findings: &mut Vec<Finding>,
) -> Option<Arc<Document<ClusterSpec>>> {
    let Some((first, more)) = clusters.split_first() else {
        if complete {
            let message = "there is no Cluster document";
            findings.push(
                Finding::whole(&"".into(), "no-cluster", message)
                    .help("a repo has exactly one; `banyan repo init` writes it"),
            );
        }
        return None;
    };
    for other in more {
        let message = format!("a second Cluster; the first is at {}", place(first));
        findings.push(
            Finding::error(&other.path, other.pos, "second-cluster", message)
                .help("keep one of them"),
        );
    }
    Some(Arc::clone(first))
}

fn unique<T>(
    kind: Kind,
    documents: &[Arc<Document<T>>],
    findings: &mut Vec<Finding>,
) -> BTreeMap<Name, Arc<Document<T>>> {
    // One document a file named after it comes in order: a map is then built at once, without a search for each.
    if documents.is_sorted_by(|a, b| a.name.value < b.name.value) {
        let named = |d: &Arc<Document<T>>| (d.name.value.clone(), Arc::clone(d));
        return documents.iter().map(named).collect();
    }
    let mut by_name: BTreeMap<Name, Arc<Document<T>>> = BTreeMap::new();
    for document in documents {
        let name = &document.name;
        if let Some(first) = by_name.get(&name.value) {
            let message = format!(
                "{kind} {} is declared twice; first at {}",
                name.value,
                place(first)
            );
            findings.push(
                Finding::error(&document.path, name.pos, "duplicate-name", message)
                    .help("rename or remove one of them"),
            );
        } else {
            by_name.insert(name.value.clone(), Arc::clone(document));
        }
    }
    by_name
}

/// `file:line` of a document.
fn place<T>(document: &Document<T>) -> String {
    format!("{}:{}", document.path, document.pos.line)
}

fn check_sealing(
    cluster: &Document<ClusterSpec>,
    users: &BTreeMap<Name, Arc<Document<UserSpec>>>,
    machines: &BTreeMap<Name, Arc<Document<MachineSpec>>>,
    findings: &mut Vec<Finding>,
) {
    let digest = recipients_digest(cluster.spec.recipients.iter().map(|r| &r.value));
    let plain_allowed = !cluster.spec.require_sealed;
    for user in users.values() {
        if let Some(hash) = &user.spec.password_hash {
            check_sealed(&user.path, hash, digest, false, findings);
        }
    }
    for machine in machines.values() {
        check_sealed(
            &machine.path,
            &machine.spec.public_key,
            digest,
            plain_allowed,
            findings,
        );
    }
}

fn check_sealed<T>(
    path: &Arc<str>,
    sealed: &At<Sealed<T>>,
    digest: Digest,
    plain_allowed: bool,
    findings: &mut Vec<Finding>,
) {
    match &sealed.value {
        Sealed::Plain(_) if !plain_allowed => findings.push(
            Finding::error(path, sealed.pos, "not-sealed", "this value must be sealed").help(
                "seal it with `banyan seal`, or for keys set `requireSealed: false` in the Cluster",
            ),
        ),
        Sealed::Opened { recipients, .. } if *recipients != digest => findings.push(
            Finding::error(
                path,
                sealed.pos,
                "other-recipients",
                "sealed for other recipients than those of the Cluster",
            )
            .help("seal it again with `banyan seal`"),
        ),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
