use std::sync::atomic::{AtomicBool, Ordering};

use banyan_core::Generation;
use banyan_core::fixture::t;
use banyan_state::{Found, HistoryEntry, Outcome, State, StateError};
use banyan_store::{
    LeaseId, MemoryStore, Outcome as Committed, Revision, Snapshot, Store, StoreError, Txn, Watch,
};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::*;

const NOW: &str = "2026-01-01T00:00:00Z";

/// A store that can become unavailable.
#[derive(Clone)]
struct Away {
    inner: MemoryStore,
    away: Arc<AtomicBool>,
}

impl Away {
    fn new() -> Self {
        Self {
            inner: MemoryStore::new(),
            away: Arc::default(),
        }
    }

    fn go(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::unavailable("a test", "the store is away"));
        }
        Ok(())
    }

    async fn revision(&self) -> Revision {
        self.inner.snapshot().await.unwrap().revision()
    }
}

#[tonic::async_trait]
impl Store for Away {
    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.check()?;
        self.inner.snapshot().await
    }
    async fn commit(&self, txn: Txn) -> Result<Committed, StoreError> {
        self.check()?;
        self.inner.commit(txn).await
    }
    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, StoreError> {
        self.inner.watch(prefix, after).await
    }
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.inner.grant(ttl).await
    }
    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.inner.keep_alive(lease).await
    }
    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.inner.revoke(lease).await
    }
}

struct Running {
    store: Away,
    audit: Audit,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

fn log(store: &Away) -> AuditLog {
    AuditLog::new(Arc::new(store.clone()), "north".parse().unwrap())
}

fn start(store: &Away, keep: u64) -> Running {
    let metrics = Arc::new(Metrics::new());
    let (audit, writer) = Audit::new(log(store), keep, Arc::clone(&metrics));
    let stop = CancellationToken::new();
    Running {
        store: store.clone(),
        audit,
        metrics,
        task: AbortOnDropHandle::new(tokio::spawn(writer.run(stop.clone()))),
        stop,
    }
}

impl Running {
    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    fn metric(&self, name: &str) -> String {
        let text = self.metrics.render(Generation(0), &Default::default());
        let line = text.lines().find(|line| line.starts_with(name));
        line.unwrap_or_default().to_owned()
    }
}

fn entry(number: u64) -> AuditEntry {
    AuditEntry::new(t(NOW), Actor::Engine, Action::STATE_BACKUP).generation(Generation(number))
}

/// The written entries, oldest first.
async fn entries(store: &Away) -> Vec<AuditEntry> {
    let (log, mut entries, mut before) = (log(store), Vec::new(), None);
    log.verify(None).await.unwrap();
    loop {
        let page = log.list(before, 1000).await.unwrap();
        let Some(last) = page.last() else {
            entries.reverse();
            return entries;
        };
        before = Some(last.seq);
        entries.extend(page.into_iter().map(|recorded| match recorded.found {
            Found::Entry(entry) => *entry,
            other => panic!("{other:?}"),
        }));
    }
}

fn numbers(entries: &[AuditEntry]) -> Vec<u64> {
    let numbers = entries.iter().filter_map(|entry| entry.generation);
    numbers.map(|generation| generation.0).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_recorded_is_written_in_order_and_the_head_is_shown() {
    let store = Away::new();
    let running = start(&store, 1000);
    for number in 1..300 {
        running.audit.record(entry(number));
    }
    running.audit.record_and_wait(entry(300)).await.unwrap();
    let written = entries(&store).await;
    assert_eq!(numbers(&written), (1..=300).collect::<Vec<_>>());
    let head = running.audit.head().unwrap();
    assert_eq!(head, log(&store).verify(None).await.unwrap().head);
    assert_eq!(
        running.metric("banyan_audit_head{"),
        format!("banyan_audit_head{{hash=\"{}\"}} 300", head.hash)
    );
    assert_eq!(
        running.metric("banyan_audit_entries_total"),
        "banyan_audit_entries_total 300"
    );
    running.audit.record_and_wait(entry(301)).await.unwrap();
    let text = running.metrics.render(Generation(0), &Default::default());
    assert_eq!(text.matches("banyan_audit_head{").count(), 1);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_entries_wait_and_come_when_it_is_back() {
    let store = Away::new();
    let running = start(&store, 1000);
    running.audit.record_and_wait(entry(1)).await.unwrap();
    store.go(true);
    running.audit.record(entry(2));
    let late = running.audit.record_and_wait(entry(3)).await;
    assert_eq!(late, Err(Unrecorded::Late));
    store.go(false);
    running.audit.record_and_wait(entry(4)).await.unwrap();
    assert_eq!(numbers(&entries(&store).await), [1, 2, 3, 4]);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn entries_that_do_not_fit_are_counted_and_reported() {
    let store = Away::new();
    store.go(true);
    let running = start(&store, 100_000);
    running.audit.record(entry(0));
    // One entry is being written to the store; everything else has to wait in the queue.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let fits = QUEUE as u64;
    for number in 1..=fits + 50 {
        running.audit.record(entry(number));
    }
    let full = running.audit.record_and_wait(entry(9999)).await;
    assert_eq!(full, Err(Unrecorded::Full));
    assert_eq!(
        running.metric("banyan_audit_dropped_total"),
        "banyan_audit_dropped_total 51"
    );
    store.go(false);
    // Until there is room again.
    while running.audit.record_and_wait(entry(5000)).await.is_err() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    running.end().await;
    let written = entries(&store).await;
    let expected = (0..=fits).chain([5000]).collect::<Vec<_>>();
    assert_eq!(numbers(&written), expected);
    let said: Vec<_> = (written.iter())
        .filter(|entry| entry.action == Action::AUDIT_DROPPED)
        .map(|entry| entry.detail.as_ref().unwrap().to_string())
        .collect();
    // Losses that could not be recorded for lack of room are recorded afterwards.
    let counts = said.iter().map(|text| {
        let count = text.split(' ').next().unwrap();
        count.parse::<u64>().unwrap()
    });
    assert!(counts.sum::<u64>() >= 51, "{said:?}");
    assert!(said[0].contains(&format!("between {NOW} and {NOW}")));
}

#[tokio::test(start_paused = true)]
async fn what_waits_when_the_engine_stops_is_written() {
    let store = Away::new();
    let running = start(&store, 1000);
    store.go(true);
    for number in 1..250 {
        running.audit.record(entry(number));
    }
    running.stop.cancel();
    tokio::time::sleep(Duration::from_secs(1)).await;
    store.go(false);
    running.end().await;
    assert_eq!(
        numbers(&entries(&store).await),
        (1..250).collect::<Vec<_>>()
    );
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_when_all_senders_are_dropped() {
    let store = Away::new();
    let running = start(&store, 1000);
    running.audit.record(entry(1));
    drop(running.audit);
    running.task.await.unwrap();
    assert_eq!(numbers(&entries(&store).await), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_away_does_not_keep_the_engine_from_stopping() {
    let store = Away::new();
    let running = start(&store, 1000);
    store.go(true);
    running.audit.record(entry(1));
    let began = tokio::time::Instant::now();
    let (metrics, audit) = (Arc::clone(&running.metrics), running.audit.clone());
    running.end().await;
    assert!(began.elapsed() < Duration::from_secs(7));
    let dropped = |text: &str| {
        let metrics = metrics.render(Generation(0), &Default::default());
        assert!(metrics.contains(text), "{metrics}");
    };
    dropped("banyan_audit_dropped_total 1");
    // Later entries are lost too, but counted.
    audit.record(entry(2));
    dropped("banyan_audit_dropped_total 2");
}

#[tokio::test(start_paused = true)]
async fn old_entries_go_at_the_start_and_every_hour_and_an_idle_engine_writes_nothing() {
    let store = Away::new();
    let running = start(&store, 10);
    for number in 1..=30 {
        running.audit.record_and_wait(entry(number)).await.unwrap();
    }
    tokio::time::sleep(TRIM_PASSED).await;
    assert_eq!(
        numbers(&entries(&store).await),
        (21..=30).collect::<Vec<_>>()
    );
    running.audit.record_and_wait(entry(31)).await.unwrap();
    running.end().await;
    let running = start(&store, 5);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        numbers(&entries(&store).await),
        (27..=31).collect::<Vec<_>>()
    );
    let before = store.revision().await;
    tokio::time::sleep(3 * TRIM_PASSED).await;
    assert_eq!(store.revision().await, before);
    running.end().await;
    assert_eq!(store.revision().await, before);
}

const TRIM_PASSED: Duration = Duration::from_secs(3700);

#[tokio::test(start_paused = true)]
async fn what_was_wrong_with_old_entries_is_recorded_when_they_go() {
    let store = Away::new();
    let running = start(&store, 5);
    for number in 1..=9 {
        running.audit.record_and_wait(entry(number)).await.unwrap();
    }
    let third = Txn::new().delete("audit1/north/00000000000000000003");
    store.inner.commit(third).await.unwrap();
    tokio::time::sleep(TRIM_PASSED).await;
    let written = entries(&running.store).await;
    let last = written.last().unwrap();
    assert_eq!(last.action, Action::AUDIT_BROKEN);
    let detail = last.detail.as_ref().unwrap();
    assert!(detail.as_str().contains("entry 3 is missing"), "{detail}");
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_whose_answer_was_lost_is_recorded_once_the_history_has_it() {
    let store = Away::new();
    let running = start(&store, 100);
    let state = State::open(Arc::new(store.clone())).await.unwrap();
    let commit = banyan_core::fixture::commit(7);
    let author = Actor::author(&commit);
    let id = commit.id;
    let refused = |at| {
        let entry = AuditEntry::new(t(at), author.clone(), Action::GITOPS_REFUSED);
        entry.commit(id).refused("for a reason")
    };
    let error = || StateError::Store(StoreError::unavailable("a test", "no answer"));
    let mut unsettled = Unsettled::default();
    unsettled.failed(refused(NOW), &error());
    unsettled.failed(refused("2026-01-01T00:00:07Z"), &error());
    unsettled.failed(refused(NOW), &StateError::NotLeading);
    unsettled.settle(&state.view(), &running.audit);
    let history = HistoryEntry {
        at: t(NOW),
        commit,
        took_ms: 0,
        outcome: Outcome::refused(&[]),
    };
    let term = banyan_state::Term::alone();
    assert!(state.refuse(&term, history, &state.view()).await.unwrap());
    for _ in 0..2 {
        unsettled.settle(&state.view(), &running.audit);
    }
    running.end().await;
    assert_eq!(entries(&store).await, [refused(NOW)]);
}
