//! Asking for passes: a trigger carries no data, it means "run a pass".

use std::sync::Arc;

use tokio::sync::{Notify, watch};

/// The asking side.
#[derive(Clone)]
pub(crate) struct Handle {
    shared: Arc<Shared>,
    done: watch::Receiver<u64>,
}

/// The side of the reconciler.
pub(crate) struct Requests {
    shared: Arc<Shared>,
    done: watch::Sender<u64>,
}

struct Shared {
    wanted: Notify,
    /// How many times a pass was asked for.
    asked: std::sync::atomic::AtomicU64,
}

impl Requests {
    pub(crate) fn new() -> (Self, Handle) {
        let shared = Arc::new(Shared {
            wanted: Notify::new(),
            asked: 0.into(),
        });
        let (done, seen) = watch::channel(0);
        let handle = Handle {
            shared: Arc::clone(&shared),
            done: seen,
        };
        (Self { shared, done }, handle)
    }

    /// What was asked for by now is served by the pass that begins.
    pub(super) fn begin(&self) -> u64 {
        self.shared.asked.load(std::sync::atomic::Ordering::SeqCst)
    }

    pub(super) fn done(&self, asked: u64) {
        self.done.send_replace(asked);
    }

    /// Waits until a pass is asked for. Many askings before that are one.
    pub(super) async fn wanted(&self) {
        self.shared.wanted.notified().await;
    }
}

impl Handle {
    /// Asks for a pass.
    pub(crate) fn ask(&self) -> u64 {
        let before = self
            .shared
            .asked
            .fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.shared.wanted.notify_one();
        before + 1
    }

    /// Asks for a pass and waits until one that began afterwards is over; `false` when the reconciler stopped.
    pub(crate) async fn pass(&self) -> bool {
        let asked = self.ask();
        let mut done = self.done.clone();
        done.wait_for(|served| *served >= asked).await.is_ok()
    }
}
