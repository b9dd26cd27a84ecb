//! Several engines on one store: one leads, and the others do not write.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use banyan_core::{Name, PublicKey};
use banyan_store::{LeaseId, Outcome as Committed, Revision, Snapshot, StoreError, Watch};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::{Alive, Election, Leadership, Member, Options, Registration};

/// A store from which one engine can be disconnected.
struct Cut {
    inner: MemoryStore,
    broken: watch::Sender<bool>,
    calls: AtomicU64,
}

impl Cut {
    fn new(store: &MemoryStore) -> Arc<Self> {
        Arc::new(Self {
            inner: store.clone(),
            broken: watch::Sender::new(false),
            calls: 0.into(),
        })
    }

    fn check(&self) -> Result<(), StoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if *self.broken.borrow() {
            return Err(StoreError::unavailable("a test", "the network is cut"));
        }
        Ok(())
    }
}

#[async_trait]
impl Store for Cut {
    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.check()?;
        self.inner.snapshot().await
    }
    async fn commit(&self, txn: Txn) -> Result<Committed, StoreError> {
        self.check()?;
        self.inner.commit(txn).await
    }
    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, StoreError> {
        self.check()?;
        let mut inner = self.inner.watch(prefix, after).await?;
        let (sender, watch) = Watch::channel(16);
        let mut broken = self.broken.subscribe();
        tokio::spawn(async move {
            loop {
                let next = tokio::select! {
                    next = inner.next() => next,
                    _ = broken.wait_for(|broken| *broken) => return,
                };
                match next {
                    Ok(batch) => {
                        if !sender.send(batch, Duration::from_secs(1)).await {
                            return;
                        }
                    }
                    Err(error) => return sender.end(error),
                }
            }
        });
        Ok(watch)
    }
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.check()?;
        self.inner.grant(ttl).await
    }
    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.check()?;
        self.inner.keep_alive(lease).await
    }
    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.check()?;
        self.inner.revoke(lease).await
    }
}

struct Engine {
    store: Arc<Cut>,
    state: Arc<State>,
    role: watch::Receiver<Leadership>,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

async fn engine(store: &MemoryStore, called: &str) -> Engine {
    let store = Cut::new(store);
    let options = Options {
        probe: Some(Duration::from_millis(200)),
        ..Options::default()
    };
    let opened = State::open_with(Arc::<Cut>::clone(&store), options).await;
    let state = Arc::new(opened.unwrap());
    let me = Member {
        name: name(called),
        alive: Alive {
            since: t(NOW),
            host: "here".into(),
        },
        registration: Registration {
            public_key: PublicKey::from_bytes([7; 32]).unwrap(),
            recipients: Vec::new(),
            version: "1".into(),
            registered_at: t(NOW),
        },
    };
    let (election, role) = Election::new(Arc::clone(&state), me, || t(NOW));
    let stop = CancellationToken::new();
    let task = AbortOnDropHandle::new(tokio::spawn(election.run(stop.clone())));
    Engine {
        store,
        state,
        role,
        stop,
        task,
    }
}

impl Engine {
    async fn leads(&mut self) -> Term {
        let leads = |role: &Leadership| role.term().is_some();
        let role = tokio::time::timeout(Duration::from_secs(20), self.role.wait_for(leads));
        role.await.expect("it never leads").unwrap().term().unwrap()
    }

    async fn becomes(&mut self, word: &str) {
        let is = |role: &Leadership| role.as_str() == word;
        let role = tokio::time::timeout(Duration::from_secs(20), self.role.wait_for(is));
        role.await
            .unwrap_or_else(|_| panic!("it never {word}"))
            .unwrap();
    }
}

#[tokio::test]
async fn one_of_three_leads_and_the_next_one_takes_over_within_seconds_of_its_death() {
    let store = MemoryStore::new();
    let mut one = engine(&store, "one").await;
    one.leads().await;
    let mut two = engine(&store, "two").await;
    let mut three = engine(&store, "three").await;
    two.becomes("follows").await;
    three.becomes("follows").await;
    assert_eq!(
        two.state.view().leader.as_ref().unwrap().engine,
        name("one")
    );
    // Killed: it stops renewing and releases nothing.
    drop(one.task);
    let died = tokio::time::Instant::now();
    tokio::select! {
        _ = two.leads() => {}
        _ = three.leads() => {}
    }
    let took = died.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    let leading = [&two, &three].map(|e| e.role.borrow().term().is_some());
    assert_eq!(leading.iter().filter(|leads| **leads).count(), 1);
    let engines = two.state.view().engines.clone();
    assert_eq!(
        engines.len(),
        3,
        "the dead one belongs to the cluster still"
    );
    assert!(engines[&name("one")].alive.is_none());
}

#[tokio::test]
async fn an_engine_that_stops_hands_the_lead_over_at_once() {
    let store = MemoryStore::new();
    let mut one = engine(&store, "one").await;
    one.leads().await;
    let mut two = engine(&store, "two").await;
    two.becomes("follows").await;
    let stopped = tokio::time::Instant::now();
    one.stop.cancel();
    two.leads().await;
    assert!(
        stopped.elapsed() < Duration::from_secs(1),
        "{:?}",
        stopped.elapsed()
    );
    one.task.await.unwrap();
}

#[tokio::test]
async fn a_deposed_leader_cannot_write_even_if_it_believes_it_leads() {
    let store = MemoryStore::new();
    let mut one = engine(&store, "one").await;
    let old = one.leads().await;
    let first = target(&one.state.view(), &repo(&set(0..20)), 1);
    one.state.advance(&old, &first, 0).await.unwrap();
    let stale = target(&one.state.view(), &repo(&set(0..21)), 2);
    // It is paused, its lease expires, another engine takes over, and it resumes, with its clock still trusting the
    // lease.
    drop(one.task);
    let mut two = engine(&store, "two").await;
    let new = two.leads().await;
    old.extend(tokio::time::Instant::now() + Duration::from_secs(60));
    let before = store.snapshot().await.unwrap().revision();
    let error = one.state.advance(&old, &stale, 0).await.unwrap_err();
    assert!(
        matches!(error, AdvanceError::State(StateError::NotLeading)),
        "{error:?}"
    );
    let refusal = HistoryEntry {
        at: t(NOW),
        commit: commit(2),
        took_ms: 0,
        outcome: Outcome::refused(&[]),
    };
    assert!(
        one.state
            .refuse(&old, refusal, &one.state.view())
            .await
            .is_err()
    );
    assert!(
        one.state.collect_garbage(&old, t(NOW)).await.is_ok(),
        "there is none"
    );
    let written = keys(&store, "v1/record/").await;
    assert!(
        written
            .iter()
            .all(|key| key.contains("/00000000000000000001/")),
        "{written:?}"
    );
    assert!(store.snapshot().await.unwrap().revision() >= before);
    two.state
        .advance(&new, &target(&two.state.view(), &repo(&set(0..22)), 3), 0)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_disconnected_leader_steps_down_in_time_by_its_own_clock() {
    let store = MemoryStore::new();
    let mut one = engine(&store, "one").await;
    let term = one.leads().await;
    let mut two = engine(&store, "two").await;
    two.becomes("follows").await;
    one.store.broken.send_replace(true);
    one.becomes("cut-off").await;
    let said = |role: &Leadership| role.reason().contains("the network is cut");
    one.role.wait_for(said).await.unwrap();
    assert!(!term.is_valid());
    assert!(!one.state.freshness().borrow().following);
    two.leads().await;
    // It recovers without intervention.
    one.store.broken.send_replace(false);
    one.becomes("follows").await;
    let mut freshness = one.state.freshness();
    freshness.wait_for(|f| f.following).await.unwrap();
}

#[tokio::test]
async fn of_two_engines_with_one_name_one_leads_and_the_other_reports_it() {
    let store = MemoryStore::new();
    let mut one = engine(&store, "one").await;
    one.leads().await;
    let mut twin = engine(&store, "one").await;
    let said = |role: &Leadership| role.reason().contains("engine.name");
    twin.role.wait_for(said).await.unwrap();
    assert!(one.role.borrow().term().is_some());
    one.stop.cancel();
    twin.leads().await;
}

#[tokio::test]
async fn an_engine_that_does_not_run_can_be_removed_and_one_that_runs_cannot() {
    let store = MemoryStore::new();
    let mut one = engine(&store, "one").await;
    one.leads().await;
    let mut two = engine(&store, "two").await;
    two.becomes("follows").await;
    let error = two.state.remove_engine(&name("one")).await.unwrap_err();
    assert!(matches!(error, StateError::Conflict { .. }), "{error}");
    one.stop.cancel();
    two.leads().await;
    assert_eq!(two.state.view().v4_holder, Some(name("one")));
    two.state.remove_engine(&name("one")).await.unwrap();
    assert_eq!(two.state.view().v4_holder, None);
    let left: Vec<_> = two.state.view().engines.keys().cloned().collect();
    assert_eq!(left, [name("two")]);
}

#[tokio::test]
async fn a_leader_whose_key_is_deleted_is_elected_again_under_another_term() {
    let store = MemoryStore::new();
    let mut one = engine(&store, "one").await;
    let before = one.leads().await;
    store.commit(Txn::new().delete("v1/leader")).await.unwrap();
    let again = |role: &Leadership| {
        role.term()
            .is_some_and(|term| term.elected_at() != before.elected_at())
    };
    one.role.wait_for(again).await.unwrap();
    let target = target(&one.state.view(), &repo(&set(0..3)), 1);
    assert!(one.state.advance(&before, &target, 0).await.is_err());
    let term = one.leads().await;
    one.state.advance(&term, &target, 0).await.unwrap();
}

#[tokio::test]
async fn no_engine_begins_to_run_on_a_store_that_is_being_restored() {
    let store = MemoryStore::new();
    let mut one = engine(&store, "one").await;
    one.leads().await;
    let mut two = engine(&store, "two").await;
    two.becomes("follows").await;
    // Two has read the store; its lease is lost, and the restore starts before it has a new one.
    let lease = store.snapshot().await.unwrap();
    let lease = lease.get("v1/alive/two").await.unwrap().unwrap().lease;
    store
        .commit(Txn::new().put("v1/restoring", *b"{}"))
        .await
        .unwrap();
    store.revoke(lease.unwrap()).await.unwrap();
    two.role
        .wait_for(|role| role.reason().contains("being restored"))
        .await
        .unwrap();
    assert_eq!(keys(&store, "v1/alive/two").await, [""; 0]);
    store
        .commit(Txn::new().delete("v1/restoring"))
        .await
        .unwrap();
    two.becomes("follows").await;
}

/// It was disconnected when the engines were stopped, so the restore did not see it.
#[tokio::test]
async fn an_engine_that_comes_back_after_a_restore_takes_what_was_restored() {
    let store = MemoryStore::new();
    let mut one = engine(&store, "one").await;
    let term = one.leads().await;
    let old = target(&one.state.view(), &repo(&set(0..20)), 1);
    one.state.advance(&term, &old, 0).await.unwrap();
    let backup = one.state.archive(t(NOW)).await.unwrap();
    let new = target(&one.state.view(), &repo(&set(0..25)), 2);
    one.state.advance(&term, &new, 0).await.unwrap();
    one.store.broken.send_replace(true);
    one.becomes("cut-off").await;
    let mut gone = store.watch("v1/alive/", Revision(0)).await.unwrap();
    while !keys(&store, "v1/alive/").await.is_empty() {
        gone.next().await.unwrap();
    }
    crate::restore(&store, &backup, true, t(NOW)).await.unwrap();
    one.store.broken.send_replace(false);
    let term = one.leads().await;
    let mut changes = one.state.changes();
    let restored = || one.state.view().in_force.objects == *old.objects();
    while !restored() {
        changes.changed().await.unwrap();
    }
    assert!(one.state.put_back(&term, t(NOW)).await.unwrap().is_empty());
    assert_eq!(open(&store).await.view().in_force.objects, *old.objects());
}
