//! What the reconciler is at, as a value. A leaf: nothing decides from it.

use banyan_api::{finding, timestamp, v1};
use banyan_core::{CommitId, CommitInfo, Finding, Name, floor};
use banyan_git::Source;
use banyan_state::{PublishedStatus as Said, View};
use banyan_store::Revision;
use jiff::Timestamp;

/// How the newest commit seen stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Standing {
    /// Nothing was looked at yet.
    #[default]
    Starting,
    /// It is in force.
    InForce,
    /// It was refused.
    Refused,
    /// Nothing could be read, or the store failed.
    Failed,
}

impl Standing {
    const ALL: [Self; 4] = [Self::Starting, Self::InForce, Self::Refused, Self::Failed];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::InForce => "in-force",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// What the last pass found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Status {
    pub(crate) standing: Standing,
    pub(crate) seen: Option<CommitInfo>,
    /// The commit that was refused last, as long as no other got into force.
    pub(crate) refused: Option<CommitId>,
    pub(crate) checked_at: Option<Timestamp>,
    pub(crate) findings: Vec<Finding>,
    /// How many findings there are in all, where these are not all of them.
    pub(crate) total: usize,
    pub(crate) error: Option<String>,
    /// Passes that failed in a row.
    pub(crate) failures: u32,
    /// When the next pass comes at the latest.
    pub(crate) next_at: Option<Timestamp>,
}

/// The most findings that other engines are told.
const MAX_SAID: usize = 50;

/// The most findings that a status carries.
const MAX_FINDINGS: usize = 200;

impl Status {
    /// The status as the leader tells it to the other engines.
    pub(crate) fn to_standing(&self, engine: Name, served: Revision, at: Timestamp) -> Said {
        Said {
            engine,
            state: self.standing.as_str().to_owned(),
            seen: self.seen.clone(),
            findings: self.findings.iter().take(MAX_SAID).cloned().collect(),
            total: self.findings.len(),
            error: self.error.clone(),
            failures: self.failures,
            served: served.0,
            at,
        }
    }

    /// The status as the leader told it.
    pub(crate) fn from_standing(said: &Said) -> Self {
        let standing = Standing::ALL.into_iter().find(|s| s.as_str() == said.state);
        Self {
            standing: standing.unwrap_or_default(),
            seen: said.seen.clone(),
            checked_at: Some(said.at),
            findings: said.findings.clone(),
            total: said.total,
            error: said.error.clone(),
            failures: said.failures,
            ..Self::default()
        }
    }

    /// The status on the wire.
    pub(crate) fn to_message(
        &self,
        view: &View,
        source: &Source,
        trigger: &str,
    ) -> v1::GitopsStatus {
        let applied = view.in_force.applied.as_ref();
        v1::GitopsStatus {
            url: source.url.to_string(),
            branch: source.branch.clone(),
            state: self.standing.as_str().to_owned(),
            seen: self.seen.as_ref().map(Into::into),
            applied: applied.map(|a| (&a.commit).into()),
            generation: view.in_force.generation().0,
            applied_at: applied.map(|a| timestamp(a.at)),
            checked_at: self.checked_at.map(timestamp),
            findings: self
                .findings
                .iter()
                .take(MAX_FINDINGS)
                .map(finding)
                .collect(),
            total_findings: u32::try_from(self.findings.len().max(self.total)).unwrap_or(u32::MAX),
            error: self.error.clone().unwrap_or_default(),
            waiting: self.waiting(view),
            verify: "off".to_owned(),
            trigger: trigger.to_owned(),
            failures: self.failures,
            ..v1::GitopsStatus::default()
        }
    }

    fn waiting(&self, view: &View) -> Vec<String> {
        let last_good = match &view.in_force.applied {
            Some(applied) => format!("commit {} stays in force", applied.commit.id.short()),
            None => "nothing is in force yet".to_owned(),
        };
        let seen = self
            .seen
            .as_ref()
            .map_or_else(String::new, |c| c.id.short());
        match self.standing {
            Standing::Starting => vec!["the first pass".to_owned()],
            Standing::InForce => Vec::new(),
            Standing::Refused if self.findings.iter().any(|f| f.rule == floor::RULE) => {
                vec![format!(
                    "commit {seen} waits to be accepted by a person; {last_good}"
                )]
            }
            Standing::Refused => vec![format!(
                "commit {seen} waits for a commit that mends it; {last_good}"
            )],
            Standing::Failed => {
                let next = self
                    .next_at
                    .map_or_else(String::new, |at| format!(", next try at {at:.0}"));
                vec![format!(
                    "the branch waits to be readable{next}; {last_good}"
                )]
            }
        }
    }
}
