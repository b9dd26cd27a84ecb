//! `banyan audit list`.

use banyan_api::v1;
use banyan_core::Name;
use jiff::Timestamp;
use serde::Serialize;

use crate::args::{TableArgs, name};
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::shape;
use crate::ui::{Layout, Table};

/// List entries, newest first
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  banyan audit list --action user.lock\n  banyan audit list --refused"
)]
pub(crate) struct Args {
    /// At most this many entries
    #[arg(long, default_value_t = 50, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// What this user did, or what was done to them
    #[arg(long, value_name = "NAME", value_parser = name)]
    user: Option<Name>,
    /// Entries of this action, like `user.add`, or of all actions that begin so, like `user`
    #[arg(
        long,
        value_name = "ACTION",
        default_value = "",
        hide_default_value = true
    )]
    action: String,
    /// Only what was refused
    #[arg(long)]
    refused: bool,
    /// Only what this engine of the cluster wrote
    #[arg(
        id = "by_engine",
        long = "by-engine",
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    by_engine: String,
    #[command(flatten)]
    table: TableArgs,
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
        user: args.user.as_ref().map(Name::to_string).unwrap_or_default(),
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
    let now = context.now;
    context
        .ui
        .show_table(&args.table, &entries, now, |layout| entries.table(layout))?;
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

    /// The outcome with its reason, commit and details.
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
    fn table(&self, layout: Layout) -> Table {
        let table = Table::new(&["WHEN", "WHO", "FROM", "ACTION", "OBJECT", "OUTCOME"]);
        let mut table = table.extra(&["FROM"]).wrapping(&["OUTCOME"]);
        for entry in &self.entries {
            table.row([
                layout.past(entry.at),
                match layout.wide {
                    true => entry.actor.clone(),
                    false => shape::without_address(&entry.actor),
                },
                entry.via.clone().unwrap_or_default(),
                entry.action.clone(),
                entry.object.clone().unwrap_or_default(),
                entry.outcome(),
            ]);
        }
        table
    }
}
