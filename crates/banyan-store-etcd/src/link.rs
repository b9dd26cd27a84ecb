//! One connection at a time, to one endpoint; on failure, to the next endpoint.
//!
//! All calls and watches share the link. The first user to see it fail retires it for all, which
//! ends its watches: a store must not read from one member while it watches another that may be
//! partitioned.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use etcd_client::Client;
use tokio::sync::{OnceCell, watch};
use tokio::time::{Instant, timeout_at};

use crate::EtcdOptions;
use crate::failure::{Failure, Kind, Repeat};

/// All endpoints, and the current link.
pub(crate) struct Links {
    options: EtcdOptions,
    current: Mutex<Arc<Link>>,
}

/// A lazy connection to one endpoint.
pub(crate) struct Link {
    place: usize,
    endpoint: String,
    client: OnceCell<Client>,
    /// Whether anything was ever received over it.
    answered: AtomicBool,
    given_up: watch::Sender<bool>,
}

impl Links {
    /// The options must have been checked.
    pub(crate) fn new(options: EtcdOptions) -> Self {
        let first = Link::new(&options, 0);
        Self {
            options,
            current: Mutex::new(Arc::new(first)),
        }
    }

    pub(crate) fn options(&self) -> &EtcdOptions {
        &self.options
    }

    /// Runs one operation within the request timeout, with at most two attempts.
    pub(crate) async fn call<T, F>(
        &self,
        repeat: Repeat,
        work: impl Fn(Client) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let work = |link: Arc<Link>, sent: Arc<AtomicBool>| {
            let work = &work;
            async move {
                let client = link.client(&self.options).await?;
                sent.store(true, Ordering::Relaxed);
                let done = work(client).await;
                done.map_err(|error| Failure::of(&error, &link.endpoint, true))
            }
        };
        self.attempt(repeat, work).await
    }

    /// Like [`call`](Self::call), for work that connects by itself and classifies its own failures.
    pub(crate) async fn attempt<T, F>(
        &self,
        repeat: Repeat,
        work: impl Fn(Arc<Link>, Arc<AtomicBool>) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let start = Instant::now();
        let limit = self.options.request_timeout;
        let first = self.first_share(repeat);
        let failure = match self.once(start + first, first, &work).await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        if !failure.may_repeat(repeat) || start.elapsed() >= limit {
            return Err(failure);
        }
        let rest = limit.saturating_sub(start.elapsed());
        self.once(start + limit, rest, &work).await
    }

    /// The time limit of the first attempt. A retryable operation reserves half for another member,
    /// so that one that hangs does not fail it.
    fn first_share(&self, repeat: Repeat) -> Duration {
        let limit = self.options.request_timeout;
        if repeat == Repeat::Always && self.options.endpoints.len() > 1 {
            limit / 2
        } else {
            limit
        }
    }

    async fn once<T, F>(
        &self,
        deadline: Instant,
        share: Duration,
        work: impl Fn(Arc<Link>, Arc<AtomicBool>) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let link = Arc::clone(&self.current());
        let sent = Arc::new(AtomicBool::new(false));
        let working = work(Arc::clone(&link), Arc::clone(&sent));
        let failure = match timeout_at(deadline, working).await {
            Ok(Ok(done)) => {
                link.answered.store(true, Ordering::Relaxed);
                return Ok(done);
            }
            Ok(Err(failure)) => link.doubt_certificate(failure),
            Err(_) => Failure::timeout(&link.endpoint, share, sent.load(Ordering::Relaxed)),
        };
        self.learn_from(&link, &failure);
        Err(failure)
    }

    /// Switches to the next endpoint, or logs in again, if the failure calls for it.
    pub(crate) fn learn_from(&self, link: &Arc<Link>, failure: &Failure) {
        if failure.blames_endpoint() {
            self.give_up(link, 1);
        } else if failure.kind == Kind::StaleLogin {
            self.give_up(link, 0);
        }
    }

    /// Replaces the link by one `steps` endpoints on, unless another task already did.
    fn give_up(&self, link: &Arc<Link>, steps: usize) {
        let mut current = self.current();
        if !Arc::ptr_eq(&current, link) {
            return;
        }
        let count = self.options.endpoints.len().max(1);
        let next = Link::new(&self.options, (link.place + steps) % count);
        tracing::debug!(
            from = link.endpoint,
            to = next.endpoint,
            "changing the etcd connection"
        );
        *current = Arc::new(next);
        link.given_up.send_replace(true);
    }

    fn current(&self) -> MutexGuard<'_, Arc<Link>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the store's watches when the store is dropped.
impl Drop for Links {
    fn drop(&mut self) {
        self.current().given_up.send_replace(true);
    }
}

impl Link {
    fn new(options: &EtcdOptions, place: usize) -> Self {
        Self {
            place,
            endpoint: options.endpoints.get(place).cloned().unwrap_or_default(),
            client: OnceCell::new(),
            answered: AtomicBool::new(false),
            given_up: watch::Sender::new(false),
        }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A server that rejects or misses our certificate says so after the handshake and closes the
    /// connection; often we only see the close. That is no proof, so the failure keeps its class.
    fn doubt_certificate(&self, failure: Failure) -> Failure {
        let new = !self.answered.load(Ordering::Relaxed);
        if new && failure.kind == Kind::Broken && self.endpoint.starts_with("https://") {
            return failure.with_hint(
                "it closed the connection before its first answer: it may require a client certificate (tls.identity) signed by its authority",
            );
        }
        failure
    }

    /// The authenticated connection. Clones share it.
    pub(crate) async fn client(&self, options: &EtcdOptions) -> Result<Client, Failure> {
        let connect = || Client::connect([self.endpoint.as_str()], Some(options.connect_options()));
        let client = self.client.get_or_try_init(connect).await;
        client
            .cloned()
            .map_err(|error| Failure::of(&error, &self.endpoint, false))
    }

    /// Waits until the link is retired.
    pub(crate) async fn given_up(&self) {
        let mut given_up = self.given_up.subscribe();
        let _gone = given_up.wait_for(|given_up| *given_up).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links() -> Links {
        Links::new(EtcdOptions::new(["http://a:1", "http://b:1", "http://c:1"]))
    }

    fn at(links: &Links) -> String {
        links.current().endpoint.clone()
    }

    #[test]
    fn one_failure_seen_by_many_turns_to_the_next_endpoint_once() {
        let links = links();
        let link = Arc::clone(&links.current());
        let broken = Failure::new(Kind::Broken, link.endpoint(), "gone");
        for _ in 0..3 {
            links.learn_from(&link, &broken);
            assert_eq!(at(&links), "http://b:1");
        }
        assert!(*link.given_up.borrow(), "its watches end");
        for next in ["http://c:1", "http://a:1"] {
            let link = Arc::clone(&links.current());
            links.learn_from(&link, &broken);
            assert_eq!(at(&links), next);
        }
    }

    #[test]
    fn a_refusal_stays_and_a_stale_login_is_made_anew_where_it_was() {
        let links = links();
        let link = Arc::clone(&links.current());
        links.learn_from(&link, &Failure::new(Kind::Denied, "a", "no"));
        assert!(Arc::ptr_eq(&link, &links.current()));
        links.learn_from(&link, &Failure::new(Kind::StaleLogin, "a", "old"));
        assert!(!Arc::ptr_eq(&link, &links.current()));
        assert_eq!(at(&links), "http://a:1");
    }

    #[test]
    fn a_hang_up_before_the_first_answer_over_tls_names_the_certificate() {
        let link = |url: &str| Link::new(&EtcdOptions::new([url]), 0);
        let hinted = |link: &Link| {
            let failure = Failure::new(Kind::Broken, &link.endpoint, "broken pipe");
            let error = link.doubt_certificate(failure).into_error("committing");
            let cause = std::error::Error::source(&error).unwrap().to_string();
            cause.contains("client certificate")
        };
        let secure = link("https://a:1");
        assert!(hinted(&secure) && !hinted(&link("http://a:1")));
        secure.answered.store(true, Ordering::Relaxed);
        assert!(!hinted(&secure));
    }
}
