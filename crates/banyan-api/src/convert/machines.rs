//! Machines and their peers on the wire.

use std::time::Duration;

use banyan_core::{Machine, ObjectState, ObservedPeer, Record, control_v6};
use jiff::Timestamp;

use super::{text, texts, timestamp};
use crate::v1;

impl v1::Machine {
    /// A machine as of `now`, with what the device reports about it.
    #[must_use]
    pub fn new(record: &Record<Machine>, peer: Option<&ObservedPeer>, now: Timestamp) -> Self {
        let machine = &record.spec;
        Self {
            name: machine.name.to_string(),
            r#type: machine.machine_type.to_string(),
            public_key: machine.public_key.to_string(),
            control_v4: text(machine.control_v4),
            control_v6: control_v6(&machine.public_key).to_string(),
            endpoint: text(machine.endpoint.as_ref()),
            mesh_address: text(machine.mesh_address),
            routes: texts(&machine.routes),
            expires: machine.expires.map(timestamp),
            protected: machine.protected,
            state: ObjectState::of_machine(machine, now).word.to_owned(),
            origin: Some((&record.origin).into()),
            since: Some(timestamp(record.since)),
            peer: peer.map(|peer| v1::Peer::new(peer, now)),
        }
    }
}

impl v1::Peer {
    fn new(peer: &ObservedPeer, now: Timestamp) -> Self {
        let before = |ago: Duration| Some(timestamp(now.checked_sub(ago).ok()?));
        Self {
            endpoint: text(peer.endpoint),
            last_handshake: peer.last_handshake.and_then(before),
            received: peer.received,
            sent: peer.sent,
        }
    }
}
