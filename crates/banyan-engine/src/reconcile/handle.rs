//! Requesting passes: a trigger carries no data; it only means "run a pass".

use std::sync::Arc;

use tokio::sync::{Notify, watch};

/// The requesting side.
#[derive(Clone)]
pub(crate) struct Handle {
    shared: Arc<Shared>,
    done: watch::Receiver<Done>,
}

/// The result of a request for a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A pass that started after the request has finished.
    Served,
    /// No pass ran to its end, because this engine does not lead (any more).
    NotLeading,
    /// The reconciler stopped.
    Stopped,
}

/// How far requests have been processed.
#[derive(Debug, Clone, Copy, Default)]
struct Done {
    /// The last request taken up.
    seen: u64,
    /// The last request that a pass has served.
    served: u64,
}

/// The reconciler's side.
pub(crate) struct Requests {
    shared: Arc<Shared>,
    done: watch::Sender<Done>,
}

struct Shared {
    wanted: Notify,
    /// The number of requests so far.
    asked: std::sync::atomic::AtomicU64,
}

impl Requests {
    pub(crate) fn new() -> (Self, Handle) {
        let shared = Arc::new(Shared {
            wanted: Notify::new(),
            asked: 0.into(),
        });
        let (done, seen) = watch::channel(Done::default());
        let handle = Handle {
            shared: Arc::clone(&shared),
            done: seen,
        };
        (Self { shared, done }, handle)
    }

    /// The requests that the pass that now starts will serve.
    pub(super) fn begin(&self) -> u64 {
        self.shared.asked.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// The requests up to `asked` are finished; `led` says whether this engine led until the end of the pass.
    pub(super) fn done(&self, asked: u64, led: bool) {
        self.done.send_modify(|done| {
            done.seen = asked;
            if led {
                done.served = asked;
            }
        });
    }

    /// Waits for a request. Several requests before that count as one.
    pub(super) async fn wanted(&self) {
        self.shared.wanted.notified().await;
    }
}

impl Handle {
    /// Requests a pass.
    pub(crate) fn ask(&self) -> u64 {
        let before = self
            .shared
            .asked
            .fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.shared.wanted.notify_one();
        before + 1
    }

    /// Requests a pass and waits until one that started afterwards has finished, or it is clear that none will.
    pub(crate) async fn pass(&self) -> Asked {
        let asked = self.ask();
        let mut done = self.done.clone();
        match done.wait_for(|done| done.seen >= asked).await {
            Ok(done) if done.served >= asked => Asked::Served,
            Ok(_) => Asked::NotLeading,
            Err(_) => Asked::Stopped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a request and has the reconciler handle it, leading or not.
    async fn asked(requests: &Requests, handle: &Handle, led: bool) -> Asked {
        let reconciler = async {
            requests.wanted().await;
            requests.done(requests.begin(), led);
        };
        tokio::join!(handle.pass(), reconciler).0
    }

    #[tokio::test]
    async fn a_request_is_served_by_a_pass_of_an_engine_that_leads_to_its_end() {
        let (requests, handle) = Requests::new();
        assert_eq!(asked(&requests, &handle, true).await, Asked::Served);
        assert_eq!(asked(&requests, &handle, false).await, Asked::NotLeading);
        assert_eq!(asked(&requests, &handle, true).await, Asked::Served);
        drop(requests);
        assert_eq!(handle.pass().await, Asked::Stopped);
    }

    #[tokio::test]
    async fn a_pass_that_began_before_the_request_does_not_serve_it() {
        let (requests, handle) = Requests::new();
        let before = requests.begin();
        let reconciler = async {
            requests.wanted().await;
            requests.done(before, true);
            requests.done(requests.begin(), false);
        };
        let (answer, ()) = tokio::join!(handle.pass(), reconciler);
        assert_eq!(answer, Asked::NotLeading);
    }
}
