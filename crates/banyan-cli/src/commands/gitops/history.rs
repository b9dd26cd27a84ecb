//! `banyan gitops history`: the outcome of each commit.

use banyan_api::{from_finding, v1};
use jiff::Timestamp;
use serde::Serialize;

use crate::args::TableArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::shape::{self, Commit, Counts, Finding, short, without_address};
use crate::ui::{Layout, Table};

/// How many restored objects a line names.
const NAMED: usize = 3;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan gitops history --limit 5")]
pub(crate) struct Args {
    /// At most this many commits
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    table: TableArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let request = v1::ListHistoryRequest { limit: args.limit };
    let answer = engine.call("list the history", SOON, |client| async move {
        client.gitops().list_history(request).await
    })?;
    let history = History {
        entries: answer.entries.iter().map(Entry::new).collect(),
    };
    let now = context.now;
    context
        .ui
        .show_table(&args.table, &history, now, |layout| history.table(layout))?;
    Ok(Exit::Done)
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct History {
    entries: Vec<Entry>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    at: Option<Timestamp>,
    commit: Option<Commit>,
    took_ms: u64,
    /// `applied`, `refused` or `restored`.
    outcome: &'static str,
    generation: Option<u64>,
    counts: Option<Counts>,
    findings: Vec<Finding>,
    total_findings: u32,
    restored: Vec<String>,
    total_restored: u32,
    #[serde(skip)]
    reason: String,
}

impl Entry {
    fn new(entry: &v1::HistoryEntry) -> Self {
        use v1::history_entry::Outcome;
        let bare = Self {
            at: shape::at(entry.at.as_ref()),
            commit: entry.commit.as_ref().map(Commit::new),
            took_ms: entry.took_ms,
            outcome: "refused",
            generation: None,
            counts: None,
            findings: Vec::new(),
            total_findings: 0,
            restored: Vec::new(),
            total_restored: 0,
            reason: String::new(),
        };
        match &entry.outcome {
            Some(Outcome::Applied(applied)) => Self {
                outcome: "applied",
                generation: Some(applied.generation),
                counts: Some(Counts::new(applied.counts.as_ref())),
                ..bare
            },
            Some(Outcome::Refused(refused)) => Self {
                findings: Finding::all(&refused.findings),
                total_findings: refused.total_findings,
                reason: (refused.findings.first())
                    .map(|finding| from_finding(finding).to_string())
                    .unwrap_or_default(),
                ..bare
            },
            Some(Outcome::Restored(restored)) => Self {
                outcome: "restored",
                restored: restored.what.clone(),
                total_restored: restored.total,
                ..bare
            },
            None => bare,
        }
    }

    /// What was altered out of band and restored.
    fn restored_text(&self) -> String {
        let shown = self
            .restored
            .iter()
            .take(NAMED)
            .cloned()
            .collect::<Vec<_>>();
        let shown = shown.join(", ");
        let named = self.restored.len().min(NAMED);
        let more = self
            .total_restored
            .saturating_sub(u32::try_from(named).unwrap_or(u32::MAX));
        match more {
            0 => format!("restored: {shown}"),
            more => format!("restored: {shown} (and {more} more)"),
        }
    }

    fn outcome_text(&self) -> String {
        if self.outcome == "restored" {
            return self.restored_text();
        }
        match (&self.counts, self.total_findings) {
            (Some(c), _) => format!("applied +{} ~{} -{}", c.added, c.changed, c.removed),
            (None, 0 | 1) => format!("refused: {}", self.reason),
            (None, all) => format!("refused: {} (and {} more)", self.reason, all - 1),
        }
    }
}

impl History {
    fn table(&self, layout: Layout) -> Table {
        let head = ["GENERATION", "WHEN", "COMMIT", "AUTHOR", "TOOK", "OUTCOME"];
        let table = Table::new(&head).extra(&["TOOK"]);
        let mut table = table.whole(&["COMMIT"]).wrapping(&["OUTCOME"]);
        for entry in &self.entries {
            let commit = entry.commit.as_ref();
            let author = commit.map(|c| c.author.as_str()).unwrap_or_default();
            table.row([
                entry.generation.map(|g| g.to_string()).unwrap_or_default(),
                layout.past(entry.at),
                commit.map(|c| short(&c.id)).unwrap_or_default(),
                match layout.wide {
                    true => author.to_owned(),
                    false => without_address(author),
                },
                format!("{} ms", entry.took_ms),
                entry.outcome_text(),
            ]);
        }
        table
    }
}
