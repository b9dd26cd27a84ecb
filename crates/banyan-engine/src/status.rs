//! The result of the last pass, as the API reports it. Nothing is decided from it.

use banyan_api::{finding, timestamp, v1};
use banyan_core::{CommitId, CommitInfo, Finding, Name, floor};
use banyan_git::Source;
use banyan_state::{PublishedStatus, View};
use banyan_store::Revision;
use jiff::Timestamp;

/// The state of the newest commit that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum HeadState {
    /// No pass has ended yet.
    #[default]
    Starting,
    /// It is in force.
    InForce,
    /// It was refused.
    Refused,
    /// Nothing could be read, or the store failed.
    Failed,
}

impl HeadState {
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

/// The result of the last pass.
#[derive(Debug, Clone, Default)]
pub(crate) struct Status {
    pub(crate) state: HeadState,
    pub(crate) seen: Option<CommitInfo>,
    /// The commit that was refused last, until another comes into force.
    pub(crate) refused: Option<CommitId>,
    pub(crate) checked_at: Option<Timestamp>,
    pub(crate) findings: Vec<Finding>,
    /// The number of findings, some of which may be omitted.
    pub(crate) total: usize,
    pub(crate) error: Option<String>,
    /// The number of passes that failed in a row.
    pub(crate) failures: u32,
    /// When the next pass comes at the latest.
    pub(crate) next_at: Option<Timestamp>,
}

/// How many findings are published to other engines.
const MAX_PUBLISHED: usize = 50;

/// How many findings a status contains.
const MAX_FINDINGS: usize = 200;

impl Status {
    /// The status as the leader publishes it to the other engines.
    pub(crate) fn to_published(
        &self,
        engine: Name,
        served: Revision,
        at: Timestamp,
    ) -> PublishedStatus {
        PublishedStatus {
            engine,
            state: self.state.as_str().to_owned(),
            seen: self.seen.clone(),
            findings: self.findings.iter().take(MAX_PUBLISHED).cloned().collect(),
            total: self.findings.len(),
            error: self.error.clone(),
            failures: self.failures,
            served: served.0,
            at,
        }
    }

    /// The status as the leader published it.
    pub(crate) fn from_published(published: &PublishedStatus) -> Self {
        let state = HeadState::ALL
            .into_iter()
            .find(|s| s.as_str() == published.state);
        Self {
            state: state.unwrap_or_default(),
            seen: published.seen.clone(),
            checked_at: Some(published.at),
            findings: published.findings.clone(),
            total: published.total,
            error: published.error.clone(),
            failures: published.failures,
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
            state: self.state.as_str().to_owned(),
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
        match self.state {
            HeadState::Starting => vec!["the first pass".to_owned()],
            HeadState::InForce => Vec::new(),
            HeadState::Refused if self.findings.iter().any(|f| f.rule == floor::RULE) => {
                vec![format!(
                    "commit {seen} waits to be accepted by a person; {last_good}"
                )]
            }
            HeadState::Refused => vec![format!(
                "commit {seen} waits for a commit that mends it; {last_good}"
            )],
            HeadState::Failed => {
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
