//! `banyan audit list`.

use banyan_api::v1;
use jiff::Timestamp;
use serde::Serialize;

use crate::args::OutputArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::shape;
use crate::ui::{Table, moment};

/// List entries, the newest first
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// At most this many
    #[arg(long, default_value_t = 50, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// What this user did, or what was done to them
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    user: String,
    /// Of this action, like `user.add`, or of all that begin so, like `user`
    #[arg(
        long,
        value_name = "ACTION",
        default_value = "",
        hide_default_value = true
    )]
    action: String,
    /// What was refused
    #[arg(long)]
    refused: bool,
    /// What this engine of the cluster wrote
    #[arg(
        id = "by_engine",
        long = "by-engine",
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    by_engine: String,
    #[command(flatten)]
    output: OutputArgs,
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entries {
    entries: Vec<Entry>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    engine: Option<String>,
    number: u64,
    at: Option<Timestamp>,
    actor: String,
    via: Option<String>,
    action: String,
    object: Option<String>,
    outcome: String,
    reason: Option<String>,
    commit: Option<String>,
    detail: Option<String>,
    hash: String,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let request = v1::ListAuditRequest {
        limit: args.limit,
        engine: args.by_engine.clone(),
        user: args.user.clone(),
        action: args.action.clone(),
        refused: args.refused,
    };
    let answer = engine.call("list the audit log", SOON, |client| {
        let request = request.clone();
        async move { client.audit().list_audit(request).await }
    })?;
    let entries = Entries {
        entries: answer.entries.into_iter().map(Entry::new).collect(),
    };
    context.ui.show(args.output.output, &entries, |paint| {
        entries.table(context.now).text(paint)
    })?;
    Ok(Exit::Done)
}

impl Entry {
    fn new(entry: v1::AuditEntry) -> Self {
        Self {
            at: shape::at(entry.at.as_ref()),
            engine: shape::some(entry.engine),
            number: entry.number,
            actor: entry.actor,
            via: shape::some(entry.via),
            action: entry.action,
            object: shape::some(entry.object),
            outcome: entry.outcome,
            reason: shape::some(entry.reason),
            commit: shape::some(entry.commit),
            detail: shape::some(entry.detail),
            hash: entry.hash,
        }
    }

    /// What came of it, and all else that is told of it.
    fn outcome(&self) -> String {
        let commit = self.commit.as_ref();
        let commit = commit.map(|id| format!("commit {}", shape::short(id)));
        let more = [self.reason.clone(), commit, self.detail.clone()];
        let more: Vec<String> = more.into_iter().flatten().collect();
        match more.is_empty() {
            true => self.outcome.clone(),
            false => format!("{}: {}", self.outcome, more.join("; ")),
        }
    }
}

impl Entries {
    fn table(&self, now: Timestamp) -> Table {
        let mut table = Table::new(&["WHEN", "WHO", "FROM", "ACTION", "OBJECT", "OUTCOME"]);
        for entry in &self.entries {
            table.row([
                entry.at.map(|at| moment(at, now)).unwrap_or_default(),
                entry.actor.clone(),
                entry.via.clone().unwrap_or_default(),
                entry.action.clone(),
                entry.object.clone().unwrap_or_default(),
                entry.outcome(),
            ]);
        }
        table
    }
}
