//! Keeps the live view in step with the store.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use banyan_store::{KeyRange, Revision, Store, Watch, read_all};
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::key::ROOT;
use crate::view::Builder;
use crate::{StateError, View};

/// The first wait after the store failed, and the longest.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(2);

/// What the follower and the readers of the view share.
pub(crate) struct Shared {
    pub(crate) view: ArcSwap<View>,
    /// The revision of the view; grows with every swap.
    pub(crate) seen: watch::Sender<Revision>,
    pub(crate) builder: Mutex<Builder>,
}

impl Shared {
    fn publish(&self, builder: Builder) {
        let view = builder.view();
        let revision = view.revision;
        *self.builder.lock().unwrap_or_else(PoisonError::into_inner) = builder;
        self.view.store(view);
        self.seen.send_replace(revision);
    }

    fn apply(&self, revision: Revision, events: &[banyan_store::Event]) -> Result<(), StateError> {
        let view = {
            let mut builder = self.builder.lock().unwrap_or_else(PoisonError::into_inner);
            builder.apply(revision, events)?;
            builder.view()
        };
        self.view.store(view);
        self.seen.send_replace(revision);
        Ok(())
    }
}

/// Reads everything once and starts the watch right after it.
pub(crate) async fn start(store: &dyn Store) -> Result<(Builder, Watch), StateError> {
    let snapshot = store.snapshot().await?;
    let entries = read_all(&*snapshot, &KeyRange::prefix(ROOT)).await?;
    let builder = Builder::new(&entries, snapshot.revision())?;
    let watch = store.watch(ROOT, snapshot.revision()).await?;
    Ok((builder, watch))
}

/// Follows the store for good. What cannot be followed is read anew, as often as it takes; the last good view stays
/// meanwhile.
pub(crate) async fn run(store: Arc<dyn Store>, shared: Arc<Shared>, mut watch: Watch) {
    loop {
        let failure = match watch.next().await {
            Ok(batch) => match shared.apply(batch.revision, &batch.events) {
                Ok(()) => continue,
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        debug!(reason = failure, "reading the state anew");
        let (builder, next) = start_anew(&*store).await;
        shared.publish(builder);
        watch = next;
    }
}

/// Tries until it works, at longer and longer intervals.
async fn start_anew(store: &dyn Store) -> (Builder, Watch) {
    let mut wait = FIRST_RETRY;
    loop {
        match start(store).await {
            Ok(started) => return started,
            Err(error) => {
                warn!(%error, "the live view cannot follow the store; the last good one stays");
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LAST_RETRY);
    }
}
