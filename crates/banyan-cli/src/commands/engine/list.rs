//! `banyan engine list`.

use banyan_api::v1;
use jiff::Timestamp;
use serde::Serialize;

use crate::args::OutputArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::shape;
use crate::ui::{Table, moment};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    output: OutputArgs,
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
    context.ui.show(args.output.output, &engines, |paint| {
        engines.table(context.now).text(paint)
    })?;
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
        let status = match (self.alive, self.leads) {
            (true, true) => "leads",
            (true, false) => "runs",
            (false, _) => "does not run",
        };
        match self.answers {
            true => format!("{status}, answers here"),
            false => status.to_owned(),
        }
    }
}

impl Engines {
    fn table(&self, now: Timestamp) -> Table {
        let mut table = Table::new(&["NAME", "STATUS", "SINCE", "HOST", "IPV4", "VERSION"]);
        for engine in &self.engines {
            table.row([
                engine.name.clone().unwrap_or_default(),
                engine.status(),
                engine.since.map(|at| moment(at, now)).unwrap_or_default(),
                engine.host.clone().unwrap_or_default(),
                if engine.v4 { "yes" } else { "no" }.to_owned(),
                engine.version.clone().unwrap_or_default(),
            ]);
        }
        table
    }
}
