//! `banyan gitops status`: the newest commit, the commit in force, and what to do about the difference.

use banyan_api::v1;
use jiff::Timestamp;
use serde::Serialize;

use crate::args::{OutputArgs, WatchArgs};
use crate::context::Context;
use crate::engine::{Engine, SOON};
use crate::error::{Exit, Failure};
use crate::shape::{self, Commit, Finding};
use crate::ui::{Lines, Paint, ago, past_moment};
use crate::watch;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  banyan gitops status\n  banyan gitops status --watch")]
pub(crate) struct Args {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    watch: WatchArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    watch::run(
        &args.watch,
        args.output.output,
        context,
        |engine| Ok(Status::new(&ask(engine)?)),
        |status, layout| status.text(layout.now, layout.paint),
    )
}

pub(crate) fn ask(engine: &Engine) -> Result<v1::GitopsStatus, Failure> {
    engine.call(
        "get the status of the reconciler",
        SOON,
        |client| async move {
            client
                .gitops()
                .get_status(v1::GetGitopsStatusRequest {})
                .await
        },
    )
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    url: String,
    branch: String,
    state: String,
    verify: String,
    trigger: String,
    seen: Option<Commit>,
    applied: Option<Commit>,
    generation: u64,
    applied_at: Option<Timestamp>,
    checked_at: Option<Timestamp>,
    findings: Vec<Finding>,
    total_findings: u32,
    error: Option<String>,
    waiting: Vec<String>,
    failures: u32,
    floor: Option<String>,
    accepted: Option<String>,
    leader: Option<String>,
    from: Option<String>,
}

impl Status {
    pub(crate) fn new(status: &v1::GitopsStatus) -> Self {
        Self {
            url: status.url.clone(),
            branch: status.branch.clone(),
            state: status.state.clone(),
            verify: status.verify.clone(),
            trigger: status.trigger.clone(),
            seen: status.seen.as_ref().map(Commit::new),
            applied: status.applied.as_ref().map(Commit::new),
            generation: status.generation,
            applied_at: shape::at(status.applied_at.as_ref()),
            checked_at: shape::at(status.checked_at.as_ref()),
            findings: Finding::all(&status.findings),
            total_findings: status.total_findings,
            error: shape::some(status.error.clone()),
            waiting: status.waiting.clone(),
            failures: status.failures,
            floor: shape::some(status.floor.clone()),
            accepted: shape::some(status.accepted.clone()),
            leader: shape::some(status.leader.clone()),
            from: shape::some(status.from.clone()),
        }
    }

    /// The generation in force; 0 before the first commit.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The decision about commits that do not descend from the one in force.
    pub(crate) fn floor(&self) -> Option<&str> {
        self.floor.as_deref()
    }

    /// Whether the newest commit waits to be accepted.
    fn waits_to_be_accepted(&self) -> bool {
        self.is_refused() && self.findings.iter().any(|f| f.is_of("floor"))
    }

    /// Whether the newest commit was refused.
    pub(crate) fn is_refused(&self) -> bool {
        self.state == "refused"
    }

    /// Whether the last pass failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.state == "failed"
    }

    /// Whether the newest commit is in force.
    pub(crate) fn is_in_force(&self) -> bool {
        self.state == "in-force"
    }

    /// The state in one sentence, with the error if there is one.
    pub(crate) fn sentence_with_error(&self) -> String {
        match &self.error {
            Some(error) => format!("{}: {error}", self.sentence()),
            None => self.sentence(),
        }
    }

    /// Whether any commit is in force.
    pub(crate) fn has_applied(&self) -> bool {
        self.applied.is_some()
    }

    /// The state in one sentence.
    pub(crate) fn sentence(&self) -> String {
        let generation = self.generation;
        match (self.state.as_str(), self.has_applied()) {
            ("in-force", _) => format!("the newest commit is in force as generation {generation}"),
            ("refused", true) => {
                format!("the newest commit is refused; generation {generation} stays in force")
            }
            ("refused", false) => "the newest commit is refused; nothing is in force".to_owned(),
            ("failed", true) => {
                format!("the repo could not be read; generation {generation} stays in force")
            }
            ("failed", false) => "the repo could not be read; nothing is in force".to_owned(),
            ("starting", _) => "the first pass is not done yet".to_owned(),
            ("superseded", _) => "another engine was faster; this one follows".to_owned(),
            (other, _) => other.to_owned(),
        }
    }

    /// What to do about it, if anything.
    pub(crate) fn next_step(&self) -> Option<String> {
        if self.waits_to_be_accepted() {
            let seen = self.seen.as_ref().map(|c| shape::short(&c.id));
            Some(format!(
                "find out who pushed it and why; if it is intended: `banyan gitops accept {}`",
                seen.unwrap_or_default()
            ))
        } else if self.is_refused() {
            let branch = &self.branch;
            Some(format!(
                "push a fix to {branch}; `banyan validate` and `banyan plan` check it first"
            ))
        } else if self.has_failed() {
            Some("correct the repo or its address; the engine retries by itself".to_owned())
        } else {
            None
        }
    }

    /// The status as text.
    pub(crate) fn text(&self, now: Timestamp, paint: Paint) -> String {
        let mut lines = Lines::new(9, paint);
        let mut line = |label: &str, value: &str| lines.add(label, value);
        line("source", &format!("{}, branch {}", self.url, self.branch));
        line("state", &self.sentence());
        let commit = |commit: &Option<Commit>| {
            commit.as_ref().map_or_else(
                || "none".to_owned(),
                |c| format!("{} (by {})", c.line(), c.author),
            )
        };
        line("seen", &commit(&self.seen));
        line("applied", &commit(&self.applied));
        if let Some(at) = self.applied_at {
            line(
                "in force",
                &format!(
                    "generation {} since {}",
                    self.generation,
                    past_moment(at, now)
                ),
            );
        }
        if let Some(at) = self.checked_at {
            line(
                "checked",
                &format!("{}; changes noticed by {}", ago(at, now), self.trigger),
            );
        }
        line("verify", &self.verify);
        if let Some(by) = self.decided_by() {
            line("leader", &by);
        }
        if let Some(floor) = &self.floor {
            line("floor", floor);
        }
        if let Some(error) = &self.error {
            let times = match self.failures {
                0 | 1 => String::new(),
                times => format!(" ({times} times in a row)"),
            };
            line("error", &format!("{error}{times}"));
        }
        for waiting in &self.waiting {
            line("waiting", waiting);
        }
        for finding in self.findings_text() {
            lines.bare(&finding);
        }
        lines.maybe("next", self.next_step().as_deref());
        lines.text()
    }

    /// Which of several engines runs the passes.
    fn decided_by(&self) -> Option<String> {
        match (&self.leader, &self.from) {
            (None, None) => None,
            (Some(leader), Some(from)) if leader == from => Some(leader.clone()),
            (Some(leader), Some(from)) => Some(format!("{leader}; reported by {from}")),
            (Some(leader), None) => Some(leader.clone()),
            (None, Some(from)) => Some(format!("none now; reported by {from}")),
        }
    }

    /// The findings, a line each.
    fn findings_text(&self) -> Vec<String> {
        let findings = self.findings.iter();
        let mut lines: Vec<String> = findings.map(|f| format!("  {}", f.text())).collect();
        let shown = u32::try_from(lines.len()).unwrap_or(u32::MAX);
        if let Some(more) = self.total_findings.checked_sub(shown).filter(|n| *n > 0) {
            lines.push(format!(
                "  and {more} more: `banyan validate` shows all of them"
            ));
        }
        lines
    }
}
