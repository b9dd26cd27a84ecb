//! `banyan machine show`.

use std::fmt::Write as _;

use banyan_api::v1;
use banyan_core::Name;
use jiff::Timestamp;

use super::Machine;
use crate::args::OutputArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::ui::{Paint, bytes, harmless, moment};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machine's name
    name: Name,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let request = v1::GetMachineRequest {
        name: args.name.to_string(),
    };
    let what = format!("show machine {}", args.name);
    let machine = engine.call(&what, SOON, |client| {
        let request = request.clone();
        async move { client.machines().get_machine(request).await }
    })?;
    let machine = Machine::new(machine);
    context.ui.show(args.output.output, &machine, |paint| {
        text(&machine, context.now, paint)
    })?;
    Ok(Exit::Done)
}

fn text(machine: &Machine, now: Timestamp, paint: Paint) -> String {
    let mut text = String::new();
    for (label, value) in lines(machine, now) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let label = paint.bold(&format!("{label:12}"));
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{label} {}", harmless(&value));
        }
    }
    text
}

fn lines(machine: &Machine, now: Timestamp) -> Vec<(&'static str, Option<String>)> {
    let peer = machine.peer.as_ref();
    let told = |at: Option<Timestamp>| at.map(|at| moment(at, now));
    let handshake = peer.map(|peer| told(peer.last_handshake).unwrap_or("never".to_owned()));
    let protected = "yes: a commit that cuts it off is refused".to_owned();
    vec![
        ("name", Some(machine.name.clone())),
        ("type", Some(machine.machine_type.clone())),
        ("status", Some(machine.state.clone())),
        ("origin", Some(machine.origin.place())),
        ("since", told(machine.since)),
        ("expires", told(machine.expires)),
        ("protected", machine.protected.then_some(protected)),
        ("public key", Some(machine.public_key.clone())),
        ("control IPv4", machine.control_v4.clone()),
        ("control IPv6", machine.control_v6.clone()),
        ("mesh address", machine.mesh_address.clone()),
        ("routes", Some(machine.routes.join(", "))),
        ("endpoint", machine.endpoint.clone()),
        ("seen from", peer.and_then(|peer| peer.endpoint.clone())),
        ("handshake", handshake),
        ("received", peer.map(|peer| bytes(peer.received))),
        ("sent", peer.map(|peer| bytes(peer.sent))),
    ]
}
