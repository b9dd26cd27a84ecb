//! `banyan machine list`.

use banyan_api::v1;
use serde::Serialize;

use super::Machine;
use crate::args::{TableArgs, WatchArgs};
use crate::context::Context;
use crate::engine::{Engine, SOON};
use crate::error::{Exit, Failure};
use crate::shape;
use crate::ui::{Layout, Table, bytes};
use crate::watch;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  banyan machine list --wide\n  banyan machine list --watch=5")]
pub(crate) struct Args {
    #[command(flatten)]
    table: TableArgs,
    #[command(flatten)]
    watch: WatchArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let text = |machines: &Machines, layout: Layout| layout.text(&machines.table(layout));
    let TableArgs { output, wide } = &args.table;
    watch::run_as(&args.watch, output.output, *wide, context, ask, text)
}

fn ask(engine: &Engine) -> Result<Machines, Failure> {
    let answer = engine.call("list the machines", SOON, |client| async move {
        client
            .machines()
            .list_machines(v1::ListMachinesRequest {})
            .await
    })?;
    Ok(Machines {
        generation: answer.generation,
        machines: answer.machines.into_iter().map(Machine::new).collect(),
    })
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Machines {
    generation: u64,
    machines: Vec<Machine>,
}

impl Machines {
    fn table(&self, layout: Layout) -> Table {
        let head = [
            "NAME",
            "TYPE",
            "ADDRESS",
            "IPV6",
            "STATUS",
            "HANDSHAKE",
            "RECEIVED",
            "SENT",
            "ORIGIN",
        ];
        let mut table = Table::new(&head).extra(&["IPV6", "RECEIVED", "SENT"]);
        for machine in &self.machines {
            let peer = machine.peer.as_ref();
            let handshake = match peer.map(|peer| peer.last_handshake) {
                Some(None) => "never".to_owned(),
                at => layout.past(at.flatten()),
            };
            table.row([
                machine.name.clone(),
                machine.machine_type.clone(),
                machine.address(),
                machine.control_v6.clone().unwrap_or_default(),
                shape::status(&machine.state, machine.expires, None, layout),
                handshake,
                peer.map(|peer| bytes(peer.received)).unwrap_or_default(),
                peer.map(|peer| bytes(peer.sent)).unwrap_or_default(),
                machine.origin.place(),
            ]);
        }
        table
    }
}
