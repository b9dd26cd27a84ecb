//! The peers of the engine's control tunnel: exactly the active machines, each with its own addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;

use crate::{
    Machine, Name, Objects, PeerSet, PeerSetError, PublicKey, Record, Table, WantedPeer, control_v6,
};

impl Objects {
    /// The peers of the control tunnel at `now`.
    ///
    /// Distinct keys have distinct addresses by construction. A machine whose address another one has nevertheless
    /// (that would take an 80-bit SHA-256 collision) is left out and returned, so that no address has two owners.
    #[must_use]
    pub fn control_peers(&self, now: Timestamp) -> (PeerSet, Vec<PeerSetError>) {
        let mut members = ControlPeers::default();
        members.follow(self, now);
        (members.peers, members.left_out)
    }
}

/// The peers of the control tunnel, updated from one set of objects to the next at the cost of the difference.
#[derive(Debug, Clone, Default)]
pub struct ControlPeers {
    /// The machines, and the time, the set was computed from.
    machines: Table<Machine>,
    at: Option<Timestamp>,
    peers: PeerSet,
    left_out: Vec<PeerSetError>,
}

impl ControlPeers {
    /// The set as of the last [`Self::follow`].
    #[must_use]
    pub fn peers(&self) -> &PeerSet {
        &self.peers
    }

    /// The machines that are left out, see [`Objects::control_peers`].
    #[must_use]
    pub fn left_out(&self) -> &[PeerSetError] {
        &self.left_out
    }

    /// Updates the set to the machines of `objects` that are active at `now`. Returns the keys of the peers that may
    /// differ from those of the previous call.
    pub fn follow(&mut self, objects: &Objects, now: Timestamp) -> BTreeSet<PublicKey> {
        if !self.left_out.is_empty() {
            // The order decides which machine is left out, so recompute from scratch.
            let before = std::mem::take(self);
            let keys = before.peers.iter().map(|peer| peer.key).collect();
            return self.follow_from(objects, now, keys);
        }
        self.follow_from(objects, now, BTreeSet::new())
    }

    fn follow_from(
        &mut self,
        objects: &Objects,
        now: Timestamp,
        mut keys: BTreeSet<PublicKey>,
    ) -> BTreeSet<PublicKey> {
        let was = self.at.unwrap_or(Timestamp::MIN);
        let active = |record: &Option<&Arc<Record<Machine>>>, at| {
            record.filter(|r| r.spec.is_active(at)).cloned()
        };
        let mut names: BTreeSet<Name> = (self.machines.diff(&objects.machines))
            .map(|difference| difference.name.clone())
            .collect();
        // If the clock was set back, machines that expired meanwhile are active again.
        names.extend(
            objects
                .machines
                .expiring(was.min(now), was.max(now))
                .cloned(),
        );
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for name in &names {
            gone.extend(active(&self.machines.get(name), was));
            come.extend(active(&objects.machines.get(name), now));
        }
        for record in gone {
            self.peers.remove(&record.spec.public_key);
            keys.insert(record.spec.public_key);
        }
        for record in come {
            keys.insert(record.spec.public_key);
            if let Err(error) = self.peers.insert(control_peer(&record.spec)) {
                self.left_out.push(error);
            }
        }
        self.machines = objects.machines.clone();
        self.at = Some(now);
        keys
    }
}

fn control_peer(machine: &Machine) -> WantedPeer {
    let v6 = IpAddr::V6(control_v6(&machine.public_key));
    let v4 = machine.control_v4.map(IpAddr::V4);
    WantedPeer {
        key: machine.public_key,
        allowed_ips: v4.into_iter().chain([v6]).map(IpNet::from).collect(),
        endpoint: None,
        keepalive: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{documents, machine, pos, t};
    use crate::{AdmitContext, At, CommitInfo, Documents, Guards, InForce, admit, check};

    const NOW: &str = "2026-01-01T00:00:00Z";

    fn in_force(repo: &Documents) -> Objects {
        let now = t(NOW);
        let circumstances = AdmitContext {
            guards: Guards::default(),
            engine_recipients: &[],
            recent: &[],
            people: &crate::people::NOBODY,
            made_of: None,
            now,
        };
        let commit = CommitInfo {
            id: crate::CommitId::from_sha1([1; 20]),
            author: String::new(),
            committed_at: now,
            summary: String::new(),
            trailers: Vec::new(),
        };
        let checked = check(repo, Vec::new(), now).unwrap();
        let target = admit(&InForce::default(), &checked, &commit, &circumstances).unwrap();
        target.objects().clone()
    }

    #[test]
    fn the_set_holds_the_active_machines_only_and_drops_one_at_its_expiry() {
        let mut repo = documents();
        let mut guest = (*machine("guest", 50)).clone();
        guest.spec.expires = Some(At::new(t("2026-06-01T00:00:00Z"), pos(4)));
        repo.machines.push(guest.into());
        let objects = in_force(&repo);
        let count = |at: &str| objects.control_peers(t(at)).0.len();
        assert_eq!(count("2026-05-31T23:59:59Z"), 3);
        assert_eq!(count("2026-06-01T00:00:00Z"), 2);
        assert_eq!(objects.next_expiry(t(NOW)), Some(t("2026-06-01T00:00:00Z")));
    }

    #[test]
    fn following_equals_computing_from_scratch() {
        let mut guest = (*machine("guest", 50)).clone();
        guest.spec.expires = Some(At::new(t("2026-06-01T00:00:00Z"), pos(4)));
        let states = [
            vec![machine("a", 11), machine("b", 12)],
            vec![machine("a", 11), machine("b", 13), guest.clone().into()],
            vec![machine("b", 11), guest.into()],
            vec![machine("a", 12), machine("b", 13), machine("c", 11)],
            vec![],
        ];
        let mut members = ControlPeers::default();
        for machines in states {
            let mut repo = documents();
            repo.machines = machines;
            let objects = in_force(&repo);
            for at in [NOW, "2026-06-01T00:00:00Z", NOW] {
                members.follow(&objects, t(at));
                assert_eq!(members.peers(), &objects.control_peers(t(at)).0);
                assert!(members.left_out().is_empty());
            }
        }
    }
}
