//! Keeps the live view in step with the store.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use banyan_store::{KeyRange, Revision, Store, Watch, read_all};
use tokio::sync::watch;
use tracing::{debug, error, warn};

use crate::key::ROOT;
use crate::view::Builder;
use crate::{StateError, View};

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

/// Follows the store until it is closed. What cannot be followed is read anew; the last good view stays meanwhile.
pub(crate) async fn run(store: Arc<dyn Store>, shared: Arc<Shared>, mut watch: Watch) {
    loop {
        let failure = match watch.next().await {
            Ok(batch) => match shared.apply(batch.revision, &batch.events) {
                Ok(()) => continue,
                Err(error) => format!("{error}"),
            },
            Err(error) => format!("{error}"),
        };
        debug!(reason = failure, "reading the state anew");
        match start(&*store).await {
            Ok((builder, next)) => {
                shared.publish(builder);
                watch = next;
            }
            Err(StateError::Store(error)) => {
                warn!(%error, "the live view has lost the store");
                return;
            }
            Err(error) => {
                error!(%error, "the live view cannot be read anew");
                return;
            }
        }
    }
}
