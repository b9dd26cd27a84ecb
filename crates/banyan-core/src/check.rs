//! Checks all documents against each other: names, keys, roles, routes and addresses.
//!
//! Errors within a single document (syntax, types, sealing) are found while reading it.

mod network;
mod people;

use std::net::Ipv4Addr;
use std::sync::Arc;

use imbl::OrdMap;
use jiff::Timestamp;

use crate::catalog::{Catalog, Shelf};
use crate::multimap::Multimap;
use crate::{
    At, ClusterSpec, Document, Documents, Finding, Kind, MachineSpec, Name, Recipient, RoleSpec,
    Sealed, UserSpec, any_error, sort_findings,
};

/// A cluster repo without errors: one cluster, unique names and keys, no dangling role, a permanent admin.
///
/// A persistent value: cloning is cheap, and the difference of two costs only what differs.
#[derive(Debug, Clone)]
pub struct Checked {
    catalog: Catalog,
    cluster: Arc<Document<ClusterSpec>>,
    warnings: Vec<Finding>,
}

impl Checked {
    /// Findings that do not prevent a commit.
    #[must_use]
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// The cluster's recipients, in document order.
    pub fn recipients(&self) -> impl Iterator<Item = &Recipient> {
        self.cluster.spec.recipients.iter().map(|at| &at.value)
    }

    /// The number of documents of each kind: role, user, machine.
    #[must_use]
    pub fn counts(&self) -> [(Kind, usize); 3] {
        [
            (Kind::Role, self.roles().len()),
            (Kind::User, self.users().len()),
            (Kind::Machine, self.machines().len()),
        ]
    }

    pub(crate) fn cluster(&self) -> &Document<ClusterSpec> {
        &self.cluster
    }

    pub(crate) fn users(&self) -> &OrdMap<Name, Arc<Document<UserSpec>>> {
        self.catalog.users.first()
    }

    pub(crate) fn roles(&self) -> &OrdMap<Name, Arc<Document<RoleSpec>>> {
        self.catalog.roles.first()
    }

    pub(crate) fn machines(&self) -> &OrdMap<Name, Arc<Document<MachineSpec>>> {
        self.catalog.machines.first()
    }

    /// The machines whose keys give an IPv4 address in the control range.
    pub(crate) fn candidates(&self) -> &Multimap<Ipv4Addr, Name> {
        &self.catalog.index.candidates
    }
}

/// Checks all documents from scratch; see [`Catalog::check`].
///
/// # Errors
/// All findings, if at least one is an error.
pub fn check(
    documents: &Documents,
    found: Vec<Finding>,
    now: Timestamp,
) -> Result<Checked, Vec<Finding>> {
    Catalog::of(documents).check(found, now)
}

impl Catalog {
    /// Checks all documents together. The cost is that of the findings, not of the documents.
    ///
    /// `found` are the findings from reading the documents; they are returned with the new ones, sorted.
    ///
    /// # Errors
    /// All findings, if at least one is an error.
    pub fn check(&self, found: Vec<Finding>, now: Timestamp) -> Result<Checked, Vec<Finding>> {
        // A document that could not be read may be the one that seems to be missing.
        let complete = !any_error(&found);
        let mut findings = found;
        self.check_clusters(complete, &mut findings);
        for subject in &self.suspects {
            self.check_subject(subject, &mut findings);
        }
        self.check_expiries(now, &mut findings);
        let cluster = self.cluster();
        if let Some(cluster) = cluster {
            if complete {
                self.check_admin(cluster, now, &mut findings);
            }
            network::check_ranges(cluster, &mut findings);
        }
        sort_findings(&mut findings);
        match cluster {
            Some(cluster) if !any_error(&findings) => Ok(Checked {
                cluster: Arc::clone(cluster),
                catalog: self.clone(),
                warnings: findings,
            }),
            _ => Err(findings),
        }
    }

    /// Whether a document has a finding that does not depend on the time.
    pub(crate) fn is_suspect(&self, subject: &(Kind, Name)) -> bool {
        let mut findings = Vec::new();
        self.check_subject(subject, &mut findings);
        !findings.is_empty()
    }

    fn check_subject(&self, (kind, name): &(Kind, Name), findings: &mut Vec<Finding>) {
        match kind {
            Kind::Cluster => {}
            Kind::Role => {
                unique(*kind, &self.roles, name, findings);
                if let Some(role) = self.roles.first().get(name) {
                    self.check_role(role, findings);
                }
            }
            Kind::User => {
                unique(*kind, &self.users, name, findings);
                if let Some(user) = self.users.first().get(name) {
                    self.check_user(user, findings);
                }
            }
            Kind::Machine => {
                unique(*kind, &self.machines, name, findings);
                if let Some(machine) = self.machines.first().get(name) {
                    self.check_machine(machine, findings);
                }
            }
        }
    }

    /// Warns of expired objects: they are inactive, and the repo stays valid.
    fn check_expiries(&self, now: Timestamp, findings: &mut Vec<Finding>) {
        for (_, (kind, name)) in self.index.expiring.range(..=now) {
            let place = match kind {
                Kind::User => self
                    .users
                    .first()
                    .get(name)
                    .map(|user| expiry(user, &user.spec.expires)),
                Kind::Machine => {
                    let machine = self.machines.first().get(name);
                    machine.map(|machine| expiry(machine, &machine.spec.expires))
                }
                Kind::Role | Kind::Cluster => None,
            };
            if let Some((path, Some(expires))) = place {
                findings.push(expired(path, *kind, name, expires));
            }
        }
    }

    fn check_clusters(&self, complete: bool, findings: &mut Vec<Finding>) {
        let mut clusters = self.clusters.values();
        let Some(first) = clusters.next() else {
            if complete {
                let message = "there is no Cluster document";
                findings.push(
                    Finding::whole(&"".into(), "no-cluster", message)
                        .help("a repo has exactly one; `banyan repo init` writes it"),
                );
            }
            return;
        };
        for other in clusters {
            let message = format!("a second Cluster; the first is at {}", place(first));
            findings.push(
                Finding::error(&other.path, other.pos, "second-cluster", message)
                    .help("keep one of them"),
            );
        }
    }

    /// Checks that a sealable value is sealed for the Cluster's recipients.
    fn check_sealed<T>(
        &self,
        path: &Arc<str>,
        sealed: &At<Sealed<T>>,
        plain_allowed: bool,
        findings: &mut Vec<Finding>,
    ) {
        match &sealed.value {
            Sealed::Plain(_) if !plain_allowed => findings.push(
                Finding::error(path, sealed.pos, "not-sealed", "this value must be sealed").help(
                    "seal it with `banyan seal`, or for keys set `requireSealed: false` in the Cluster",
                ),
            ),
            Sealed::Opened { recipients, .. } if Some(*recipients) != self.recipients => findings.push(
                Finding::error(
                    path,
                    sealed.pos,
                    "other-recipients",
                    "sealed for recipients other than the Cluster's",
                )
                .help("seal it again with `banyan seal`"),
            ),
            _ => {}
        }
    }
}

fn unique<T>(kind: Kind, shelf: &Shelf<T>, name: &Name, findings: &mut Vec<Finding>) {
    let Some((first, later)) = shelf.several(name).split_first() else {
        return;
    };
    for document in later {
        let message = format!("{kind} {name} is declared twice; first at {}", place(first));
        findings.push(
            Finding::error(&document.path, document.name.pos, "duplicate-name", message)
                .help("rename or remove one of them"),
        );
    }
}

fn expiry<'a, T>(
    document: &'a Document<T>,
    expires: &'a Option<At<Timestamp>>,
) -> (&'a Arc<str>, Option<&'a At<Timestamp>>) {
    (&document.path, expires.as_ref())
}

fn expired(path: &Arc<str>, kind: Kind, name: &Name, expires: &At<Timestamp>) -> Finding {
    let message = format!("{kind} {name} expired at {} and is inactive", expires.value);
    Finding::warning(path, expires.pos, "expired", message)
        .help("remove it, or set a later `expires`")
}

/// `file:line` of a document.
fn place<T>(document: &Document<T>) -> String {
    format!("{}:{}", document.path, document.pos.line)
}

#[cfg(test)]
mod tests;
