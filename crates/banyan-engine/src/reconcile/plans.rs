//! Plans: the decision that a pass would make about uploaded files, computed separately from the passes.
//!
//! A plan can take seconds of CPU time, and any caller with the permission can request one after another. So a plan
//! blocks no pass: it starts from a snapshot of what the reader loaded last and caches nothing itself, it takes none of
//! the reader's locks, and it runs on its own low-priority thread, to which the loader's parallel work is confined too.
//! The number of waiting plans, whose files are in memory, is bounded.

mod people;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use banyan_api::finding;
use banyan_api::v1::PlanResponse;
use banyan_core::Name;
use banyan_manifest::{LoadError, Loaded, Loader, Memory};
use banyan_repo::{Admitted, Baseline, EngineContext, Revision, Uploaded, decide, load};
use banyan_state::State;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::attempt::{Attempt, other_engines};
use super::made_of::MadeOf;
use super::reader::Reader;
use crate::thread_priority;

pub(crate) use people::locked;

/// The maximum number of plans at a time: one is computed while the next one's files arrive.
const PLACES: usize = 2;
/// The lowest priority: a plan must never slow down a pass.
const NICE: i32 = 19;
/// How long a caller waits for a permit.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Plans {
    work: Arc<Work>,
    places: Arc<Semaphore>,
    pool: rayon::ThreadPool,
}

/// The inputs of plans.
struct Work {
    state: Arc<State>,
    engine: EngineContext,
    /// The engine's name, if it shares its store with others.
    name: Option<Name>,
    loader: Arc<Loader>,
    /// The reader's memory as of its last load.
    memory: Arc<ArcSwap<Memory>>,
    made_of: MadeOf,
}

/// A permit for one plan, held until the plan is computed, even if the caller disconnects.
pub(crate) struct Place(OwnedSemaphorePermit);

/// No permit became free in time.
#[derive(Debug)]
pub(crate) struct Busy;

impl Busy {
    pub(crate) fn refusal(&self) -> tonic::Status {
        tonic::Status::resource_exhausted("too many plans at once: try again in a minute")
    }
}

impl Plans {
    pub(crate) fn new(
        reader: &Reader,
        state: Arc<State>,
        engine: EngineContext,
        name: Option<Name>,
    ) -> Result<Self, rayon::ThreadPoolBuildError> {
        let (loader, memory) = reader.shared();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .thread_name(|_| "banyan-plan".to_owned())
            .start_handler(|_| thread_priority::lower(NICE))
            // The caller notices the missing reply and reports the failure.
            .panic_handler(|_| {})
            .build()?;
        Ok(Self {
            work: Arc::new(Work {
                state,
                engine,
                name,
                loader,
                memory,
                made_of: reader.made_of().clone(),
            }),
            places: Arc::new(Semaphore::new(PLACES)),
            pool,
        })
    }

    /// Waits for a permit, which a caller needs before uploading its files.
    pub(crate) async fn place(&self) -> Result<Place, Busy> {
        let place = Arc::clone(&self.places).acquire_owned();
        match tokio::time::timeout(PATIENCE, place).await {
            Ok(Ok(permit)) => Ok(Place(permit)),
            _ => Err(Busy),
        }
    }

    /// Plans these files; `None` if the computation panicked.
    pub(crate) async fn plan(
        &self,
        place: Place,
        files: BTreeMap<String, Vec<u8>>,
    ) -> Option<Result<PlanResponse, LoadError>> {
        self.run(place, move |work| work.plan(&files)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        place: Place,
        plan: impl FnOnce(&Work) -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let work = Arc::clone(&self.work);
        self.pool.spawn(move || {
            if !reply.is_closed() {
                // Fails if the caller is gone, in which case the plan is not needed.
                let _ = reply.send(plan(&work));
            }
            drop(place.0);
        });
        answer.await.ok()
    }
}

impl Work {
    fn plan(&self, files: &BTreeMap<String, Vec<u8>>) -> Result<PlanResponse, LoadError> {
        let loaded = self.load(files)?;
        let Attempt { view, now } = Attempt::new(&self.state, crate::clock::now());
        let others = other_engines(&view, self.name.as_ref());
        let made_of = self.made_of.documents_of(&view.in_force);
        let baseline = Baseline {
            in_force: &view.in_force,
            recent: &view.recent(now),
            others: &others,
            people: &view.people,
            made_of: made_of.as_ref(),
            now,
        };
        let revision = Revision::uncommitted(loaded, now);
        Ok(
            match decide(Some(&self.engine), &baseline, None, revision) {
                Ok(Admitted { target, plan, .. }) => {
                    let mut plan = PlanResponse::from(&plan);
                    let people = people::text(&view, target.objects(), now);
                    let last = plan.text.rfind("\nPlan: ").unwrap_or(plan.text.len());
                    plan.text.insert_str(last, &people);
                    plan
                }
                Err(findings) => PlanResponse {
                    generation: view.in_force.generation().0,
                    refused: true,
                    findings: findings.iter().map(finding).collect(),
                    ..PlanResponse::default()
                },
            },
        )
    }

    fn load(&self, files: &BTreeMap<String, Vec<u8>>) -> Result<Loaded, LoadError> {
        let tree = Uploaded::new(files)?;
        let (loaded, _) = load(&self.loader, &self.memory.load_full(), &tree)?;
        Ok(loaded)
    }
}

#[cfg(test)]
mod tests;
