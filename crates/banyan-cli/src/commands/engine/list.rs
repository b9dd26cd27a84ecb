//! `banyan engine list`.

use banyan_api::v1;
use jiff::Timestamp;
use serde::Serialize;

use crate::args::TableArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::shape;
use crate::ui::{Layout, Table};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan engine list")]
pub(crate) struct Args {
    #[command(flatten)]
    table: TableArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let answer = engine.call("list the engines", SOON, |client| async move {
        client
            .engine()
            .list_engines(v1::ListEnginesRequest {})
            .await
    })?;
    let engines = Engines {
        engines: answer.engines.into_iter().map(Engine::new).collect(),
    };
    let now = context.now;
    context
        .ui
        .show_table(&args.table, &engines, now, |layout| engines.table(layout))?;
    Ok(Exit::Done)
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Engines {
    engines: Vec<Engine>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Engine {
    name: Option<String>,
    version: Option<String>,
    /// `leads`, `runs` or `stopped`.
    state: &'static str,
    alive: bool,
    leads: bool,
    since: Option<Timestamp>,
    host: Option<String>,
    public_key: Option<String>,
    recipients: Vec<String>,
    /// Whether it has the control range's first IPv4 address.
    v4: bool,
    registered_at: Option<Timestamp>,
    /// Whether it is the one that answered.
    #[serde(rename = "self")]
    answers: bool,
}

impl Engine {
    fn new(engine: v1::Engine) -> Self {
        Self {
            name: shape::some(engine.name),
            version: shape::some(engine.version),
            state: match (engine.alive, engine.leads) {
                (true, true) => "leads",
                (true, false) => "runs",
                (false, _) => "stopped",
            },
            alive: engine.alive,
            leads: engine.leads,
            since: shape::at(engine.since.as_ref()),
            host: shape::some(engine.host),
            public_key: shape::some(engine.public_key),
            recipients: engine.recipients,
            v4: engine.v4,
            registered_at: shape::at(engine.registered_at.as_ref()),
            answers: engine.self_,
        }
    }

    fn status(&self) -> String {
        match self.answers {
            true => format!("{}, answers", self.state),
            false => self.state.to_owned(),
        }
    }
}

impl Engines {
    fn table(&self, layout: Layout) -> Table {
        let mut table = Table::new(&["NAME", "STATUS", "SINCE", "HOST", "IPV4", "VERSION"]);
        for engine in &self.engines {
            table.row([
                engine.name.clone().unwrap_or_default(),
                engine.status(),
                layout.past(engine.since),
                engine.host.clone().unwrap_or_default(),
                if engine.v4 { "yes" } else { "no" }.to_owned(),
                engine.version.clone().unwrap_or_default(),
            ]);
        }
        table
    }
}
