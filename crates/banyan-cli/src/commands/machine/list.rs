//! `banyan machine list`.

use banyan_api::v1;
use jiff::Timestamp;
use serde::Serialize;

use super::Machine;
use crate::args::OutputArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::ui::{Table, bytes, moment};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let answer = engine.call("list the machines", SOON, |client| async move {
        client
            .machines()
            .list_machines(v1::ListMachinesRequest {})
            .await
    })?;
    let machines = Machines {
        generation: answer.generation,
        machines: answer.machines.into_iter().map(Machine::new).collect(),
    };
    context.ui.show(args.output.output, &machines, |paint| {
        machines.table(context.now).text(paint)
    })?;
    Ok(Exit::Done)
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Machines {
    generation: u64,
    machines: Vec<Machine>,
}

impl Machines {
    fn table(&self, now: Timestamp) -> Table {
        let mut table = Table::new(&[
            "NAME",
            "TYPE",
            "ADDRESS",
            "STATUS",
            "HANDSHAKE",
            "RECEIVED",
            "SENT",
            "ORIGIN",
        ]);
        for machine in &self.machines {
            let peer = machine.peer.as_ref();
            let handshake = match peer.map(|peer| peer.last_handshake) {
                Some(Some(at)) => moment(at, now),
                Some(None) => "never".to_owned(),
                None => String::new(),
            };
            table.row([
                machine.name.clone(),
                machine.machine_type.clone(),
                machine.address(),
                machine.state.clone(),
                handshake,
                peer.map(|peer| bytes(peer.received)).unwrap_or_default(),
                peer.map(|peer| bytes(peer.sent)).unwrap_or_default(),
                machine.origin.place(),
            ]);
        }
        table
    }
}
