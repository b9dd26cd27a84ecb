//! The peer set of the engine's control tunnel: exactly the active machines, each at its own addresses.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;

use crate::{Machine, Objects, PeerSet, PeerSetError, WantedPeer, control_v6};

impl Objects {
    /// The peers of the control tunnel at `now`.
    ///
    /// Addresses of distinct keys are distinct by construction; a machine whose addresses another one holds all the
    /// same (80 bits of SHA-256 would have to collide) is left out and returned, so that no address has two owners.
    #[must_use]
    pub fn control_peers(&self, now: Timestamp) -> (PeerSet, Vec<PeerSetError>) {
        let mut peers = PeerSet::new();
        let mut left_out = Vec::new();
        let active = self.machines.values().map(|record| &record.spec);
        for machine in active.filter(|machine| machine.is_active(now)) {
            if let Err(error) = peers.insert(control_peer(machine)) {
                left_out.push(error);
            }
        }
        (peers, left_out)
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
    use crate::fixture::{documents, t};
    use crate::{At, Circumstances, CommitInfo, Guards, InForce, admit, check};

    #[test]
    fn the_set_holds_the_active_machines_only_and_drops_one_at_its_expiry() {
        let mut repo = documents();
        let mut guest = (*crate::fixture::machine("guest", 50)).clone();
        guest.spec.expires = Some(At::new(t("2026-06-01T00:00:00Z"), crate::fixture::pos(4)));
        repo.machines.push(guest.into());
        let now = t("2026-01-01T00:00:00Z");
        let circumstances = Circumstances {
            guards: Guards::default(),
            engine_recipient: None,
            recent: &[],
            cannot_log_in: &[],
            now,
        };
        let commit = CommitInfo {
            id: crate::CommitId::from_bytes([1; 20]),
            author: String::new(),
            committed_at: now,
            summary: String::new(),
            trailers: Vec::new(),
        };
        let checked = check(&repo, Vec::new(), now).unwrap();
        let target = admit(&InForce::default(), &checked, &commit, &circumstances).unwrap();
        let count = |at: &str| target.objects().control_peers(t(at)).0.len();
        assert_eq!(count("2026-05-31T23:59:59Z"), 3);
        assert_eq!(count("2026-06-01T00:00:00Z"), 2);
        assert_eq!(
            target.objects().next_expiry(now),
            Some(t("2026-06-01T00:00:00Z"))
        );
    }
}
