//! The reconciler: status, history, passes on demand, plans and explanations.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use banyan_api::v1::gitops_service_server::GitopsService;
use banyan_api::v1::{
    AcceptRequest, Applied, ExplainRequest, Explanation, GetGitopsStatusRequest, GitopsStatus,
    HistoryEntry, ListHistoryRequest, ListHistoryResponse, PlanRequest, PlanResponse, Refused,
    Restored, SyncRequest, history_entry,
};
use banyan_api::{MAX_PLAN_BYTES, Unavailable, finding, timestamp};
use banyan_core::{Floor, Kind, Name};
use banyan_git::Source;
use banyan_state::{Leadership, MAX_HISTORY, Outcome, State};
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};

use super::{Recorder, leader, no_such, parse_name};
use crate::access::caller;
use crate::reconcile::{Asked, Handle, Plans, Reader};
use crate::refusal::unavailable;

/// How long the upload of a plan may take: it occupies a slot that others wait for.
const UPLOAD_LIMIT: Duration = Duration::from_secs(120);
/// The most files that one plan may carry.
const MAX_PLAN_FILES: usize = 200_000;
/// How long a call waits for a pass of another engine.
const PASS_LIMIT: Duration = Duration::from_secs(120);
/// The default number of history entries.
const HISTORY: usize = 20;

/// The reconciler.
pub(crate) struct GitopsApi {
    pub(crate) state: Arc<State>,
    pub(crate) reader: Arc<Mutex<Reader>>,
    pub(crate) plans: Plans,
    pub(crate) source: Source,
    /// What triggers passes, in words.
    pub(crate) trigger: String,
    pub(crate) status: watch::Receiver<Arc<crate::status::Status>>,
    pub(crate) reconciler: Handle,
    pub(crate) role: watch::Receiver<Leadership>,
    /// The engine's name, if it shares its store with others.
    pub(crate) name: Option<Name>,
    pub(crate) recorder: Recorder,
}

#[tonic::async_trait]
impl GitopsService for GitopsApi {
    async fn get_status(
        &self,
        _: Request<GetGitopsStatusRequest>,
    ) -> Result<Response<GitopsStatus>, Status> {
        Ok(Response::new(self.gitops_status()))
    }

    async fn list_history(
        &self,
        request: Request<ListHistoryRequest>,
    ) -> Result<Response<ListHistoryResponse>, Status> {
        let limit = match request.get_ref().limit {
            0 => HISTORY,
            limit => usize::try_from(limit).map_or(MAX_HISTORY, |n| n.min(MAX_HISTORY)),
        };
        let view = self.state.view();
        let entries = view.history().take(limit).map(|entry| history_entry(entry));
        Ok(Response::new(ListHistoryResponse {
            entries: entries.collect(),
        }))
    }

    async fn sync(&self, request: Request<SyncRequest>) -> Result<Response<GitopsStatus>, Status> {
        let by = self.pass(request.get_ref().wait).await?;
        Ok(Response::new(self.status_by(by)))
    }

    async fn accept(
        &self,
        request: Request<AcceptRequest>,
    ) -> Result<Response<GitopsStatus>, Status> {
        let status = self
            .accept_commit(&caller(&request)?, &request.get_ref().commit)
            .await?;
        Ok(Response::new(status))
    }

    async fn plan(
        &self,
        request: Request<Streaming<PlanRequest>>,
    ) -> Result<Response<PlanResponse>, Status> {
        let plans = &self.plans;
        let place = plans.place().await.map_err(|busy| busy.refusal())?;
        let files = tokio::time::timeout(UPLOAD_LIMIT, receive(request.into_inner())).await;
        let files = files.map_err(|_| Status::deadline_exceeded("the files took too long"))??;
        let planned = plans.plan(place, files).await;
        let planned = planned.ok_or_else(|| Status::internal("planning broke off"))?;
        let plan = planned.map_err(|error| Status::internal(crate::report(&error)))?;
        Ok(Response::new(plan))
    }

    async fn explain(
        &self,
        request: Request<ExplainRequest>,
    ) -> Result<Response<Explanation>, Status> {
        let request = request.get_ref();
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == request.kind);
        let kind = kind.ok_or_else(|| {
            Status::invalid_argument(format!(
                "{:?} is no kind: cluster, user, role or machine",
                request.kind
            ))
        })?;
        let name = parse_name(&request.name)?;
        let view = self.state.view();
        let explanation = view.directory().explain(kind, &name, crate::clock::now());
        let explanation = explanation.ok_or_else(|| no_such(kind.as_str(), &name))?;
        Ok(Response::new((&explanation).into()))
    }
}

/// Receives the files of a plan, within limits.
async fn receive(mut stream: Streaming<PlanRequest>) -> Result<BTreeMap<String, Vec<u8>>, Status> {
    let mut files = BTreeMap::new();
    let mut bytes = 0usize;
    while let Some(message) = stream.message().await? {
        for file in message.files {
            bytes = bytes.saturating_add(file.content.len() + file.path.len());
            files.insert(file.path, file.content.to_vec());
        }
        if bytes > MAX_PLAN_BYTES || files.len() > MAX_PLAN_FILES {
            let limit = MAX_PLAN_BYTES / 1024 / 1024;
            let text = format!("a plan takes at most {limit} MiB and {MAX_PLAN_FILES} files");
            return Err(Status::resource_exhausted(text));
        }
    }
    Ok(files)
}

/// The engine whose pass it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Itself,
    Leader,
}

impl GitopsApi {
    /// Whether this engine runs the passes: it leads, or is the only one.
    fn decides(&self) -> bool {
        self.role.borrow().term().is_some()
    }

    /// Requests a pass, here or from the leader; returns whose it was.
    pub(super) async fn pass(&self, wait: bool) -> Result<By, Status> {
        if self.decides() && !wait {
            self.reconciler.ask();
            return Ok(By::Itself);
        }
        if self.decides() {
            match self.reconciler.pass().await {
                Asked::Served => return Ok(By::Itself),
                // It lost leadership meanwhile, so the result of its pass does not count.
                Asked::NotLeading => {}
                Asked::Stopped => {
                    let text = "the engine is stopping; try again when it is back";
                    return Err(Status::unavailable(text));
                }
            }
        }
        self.ask_the_leader(wait).await?;
        Ok(By::Leader)
    }

    /// Requests a pass from the leader.
    async fn ask_the_leader(&self, wait: bool) -> Result<(), Status> {
        let asked = self
            .state
            .hint()
            .await
            .map_err(|error| unavailable(&error))?;
        if !wait {
            return Ok(());
        }
        let mut changes = self.state.changes();
        let served = async {
            loop {
                let view = self.state.view();
                if view
                    .published_status
                    .as_ref()
                    .is_some_and(|said| said.served >= asked)
                {
                    return Some(());
                }
                changes.changed().await.ok()?;
            }
        };
        let answer = tokio::time::timeout(PASS_LIMIT, served).await;
        answer
            .ok()
            .flatten()
            .ok_or_else(|| Unavailable::Leader.refusal("no engine that leads has run a pass"))
    }

    /// The reconciler's status: this engine's own while it leads, otherwise as the leader published it.
    pub(super) fn gitops_status(&self) -> GitopsStatus {
        let leads = self.decides();
        self.status_by(if leads { By::Itself } else { By::Leader })
    }

    /// The reconciler's status by the pass of this engine or the leader's.
    pub(super) fn status_by(&self, by: By) -> GitopsStatus {
        let own = Arc::clone(&self.status.borrow());
        let view = self.state.view();
        let told = view.published_status.as_ref().filter(|_| by == By::Leader);
        let (status, from) = match told {
            Some(said) => (
                crate::status::Status::from_published(said),
                said.engine.to_string(),
            ),
            None => {
                let name = self.name.as_ref().map(ToString::to_string);
                ((*own).clone(), name.unwrap_or_default())
            }
        };
        GitopsStatus {
            floor: view.floor.as_ref().map(floor_text).unwrap_or_default(),
            accepted: match &view.floor {
                Some(Floor::Accepted { commit, .. }) => commit.to_string(),
                Some(Floor::Restored { .. }) | None => String::new(),
            },
            leader: leader(&view),
            from,
            ..status.to_message(&view, &self.source, &self.trigger)
        }
    }
}

/// The floor in words.
fn floor_text(floor: &Floor) -> String {
    match floor {
        Floor::Accepted { commit, at } => format!(
            "commit {} was accepted at {at:.0}: it, or what descends from it, may get into force next",
            commit.short()
        ),
        Floor::Restored { at } => format!(
            "a backup was restored at {at:.0}: no other commit gets into force until one is accepted"
        ),
    }
}

fn history_entry(entry: &banyan_state::HistoryEntry) -> HistoryEntry {
    let outcome = match &entry.outcome {
        Outcome::Applied {
            generation, counts, ..
        } => history_entry::Outcome::Applied(Applied {
            generation: generation.0,
            counts: Some((*counts).into()),
        }),
        Outcome::Restored { what, total } => history_entry::Outcome::Restored(Restored {
            what: what.iter().take(Outcome::MAX_FINDINGS).cloned().collect(),
            total: u32::try_from(*total).unwrap_or(u32::MAX),
        }),
        Outcome::Refused { findings, total } => history_entry::Outcome::Refused(Refused {
            findings: findings.iter().map(finding).collect(),
            total_findings: u32::try_from(*total).unwrap_or(u32::MAX),
        }),
    };
    HistoryEntry {
        at: Some(timestamp(entry.at)),
        commit: Some((&entry.commit).into()),
        took_ms: entry.took_ms,
        outcome: Some(outcome),
    }
}
