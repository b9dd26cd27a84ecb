//! `banyan machine show`.

use banyan_api::v1;
use banyan_core::Name;
use jiff::Timestamp;

use super::Machine;
use crate::args::{OutputArgs, name};
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::ui::{Lines, Paint, bytes, moment, past_moment};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan machine show web-1")]
pub(crate) struct Args {
    /// The machine's name
    #[arg(value_parser = name)]
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
    let mut lines = Lines::new(12, paint);
    let peer = machine.peer.as_ref();
    let past = |at: Option<Timestamp>| at.map(|at| past_moment(at, now));
    let handshake = peer.map(|peer| past(peer.last_handshake).unwrap_or("never".to_owned()));
    lines.add("machine", &machine.name);
    lines.add("type", &machine.machine_type);
    lines.add("origin", &machine.origin.long());
    lines.add("status", &status(machine, now));
    lines.maybe("changed", past(machine.since).as_deref());
    if machine.protected {
        lines.add("protected", "yes: a commit that cuts it off is refused");
    }
    lines.add("public key", &machine.public_key);
    let v4 = machine.control_v4.as_deref();
    lines.add(
        "control IPv4",
        v4.unwrap_or("none: another machine holds the address of its key"),
    );
    lines.maybe("control IPv6", machine.control_v6.as_deref());
    lines.maybe("mesh address", machine.mesh_address.as_deref());
    lines.maybe("routes", Some(&machine.routes.join(", ")));
    lines.maybe("endpoint", machine.endpoint.as_deref());
    let Some(peer) = peer else {
        lines.add("peer", "none on the device of this engine");
        return lines.text();
    };
    lines.maybe("seen from", peer.endpoint.as_deref());
    lines.maybe("handshake", handshake.as_deref());
    lines.add("received", &bytes(peer.received));
    lines.add("sent", &bytes(peer.sent));
    lines.text()
}

fn status(machine: &Machine, now: Timestamp) -> String {
    match (machine.state.as_str(), machine.expires) {
        ("expired", Some(at)) => format!("expired {}", past_moment(at, now)),
        (state, Some(at)) => format!("{state}; expires {}", moment(at, now)),
        (state, None) => state.to_owned(),
    }
}
