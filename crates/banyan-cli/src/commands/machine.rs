//! `banyan machine …`.

mod list;
mod show;

use banyan_api::v1;
use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::shape::{self, Origin};

#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  banyan machine list")]
pub(crate) enum Command {
    /// List the machines
    List(list::Args),
    /// Show one machine: state, addresses, and what its peer was last heard doing
    Show(show::Args),
}

pub(crate) fn run(command: &Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::List(args) => list::run(args, context),
        Command::Show(args) => show::run(args, context),
    }
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Machine {
    name: String,
    #[serde(rename = "type")]
    machine_type: String,
    public_key: String,
    control_v4: Option<String>,
    control_v6: Option<String>,
    endpoint: Option<String>,
    mesh_address: Option<String>,
    routes: Vec<String>,
    expires: Option<Timestamp>,
    protected: bool,
    /// `active` or `expired`.
    state: String,
    origin: Origin,
    since: Option<Timestamp>,
    peer: Option<Peer>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Peer {
    endpoint: Option<String>,
    last_handshake: Option<Timestamp>,
    received: u64,
    sent: u64,
}

impl Machine {
    fn new(machine: v1::Machine) -> Self {
        Self {
            origin: Origin::new(machine.origin.as_ref()),
            peer: machine.peer.map(|peer| Peer {
                endpoint: shape::some(peer.endpoint),
                last_handshake: shape::at(peer.last_handshake.as_ref()),
                received: peer.received,
                sent: peer.sent,
            }),
            name: machine.name,
            machine_type: machine.r#type,
            public_key: machine.public_key,
            control_v4: shape::some(machine.control_v4),
            control_v6: shape::some(machine.control_v6),
            endpoint: shape::some(machine.endpoint),
            mesh_address: shape::some(machine.mesh_address),
            routes: machine.routes,
            expires: shape::at(machine.expires.as_ref()),
            protected: machine.protected,
            state: machine.state,
            since: shape::at(machine.since.as_ref()),
        }
    }

    /// Its address in the control tunnel: IPv4 where it has one.
    fn address(&self) -> String {
        let address = self.control_v4.as_ref().or(self.control_v6.as_ref());
        address.cloned().unwrap_or_default()
    }
}
