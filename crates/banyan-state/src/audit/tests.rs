//! The audit log over the strict in-memory store, which fails on demand.

mod damage;
mod faults;

use std::sync::Arc;

use banyan_core::Generation;
use banyan_core::audit::{Action, Actor, Anchor, Anchored};
use banyan_core::fixture::t;
use banyan_store::{EmbeddedStore, KeyRange, MemoryStore, Store, Txn, read_all};

use super::*;

const NOW: &str = "2026-01-01T00:00:00Z";

fn engine() -> Name {
    "north".parse().unwrap()
}

fn log(store: &MemoryStore) -> AuditLog {
    AuditLog::new(Arc::new(store.clone()), engine())
}

fn entry(number: u64) -> AuditEntry {
    AuditEntry::new(t(NOW), Actor::Engine, Action::STATE_BACKUP).generation(Generation(number))
}

fn numbered(range: std::ops::Range<u64>) -> Vec<AuditEntry> {
    range.map(entry).collect()
}

/// Appends all of them, in as many transactions as needed.
async fn append(log: &AuditLog, mut entries: &[AuditEntry]) -> Head {
    let mut head = log.head(t(NOW)).await.unwrap();
    while !entries.is_empty() {
        let appended = log.append(entries).await.unwrap();
        assert!(appended.written > 0);
        entries = &entries[appended.written..];
        head = appended.head;
    }
    head
}

/// The numbers of the entries, oldest first; 0 for one about the log itself.
async fn numbers(log: &AuditLog) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut before = None;
    loop {
        let page = log.list(before, 7).await.unwrap();
        let Some(last) = page.last() else {
            numbers.reverse();
            return numbers;
        };
        before = Some(last.seq);
        numbers.extend(page.into_iter().map(|recorded| match recorded.found {
            Found::Entry(entry) => entry.generation.map_or(0, |g| g.0),
            other => panic!("{other:?}"),
        }));
    }
}

async fn keys(store: &dyn Store) -> Vec<String> {
    let snapshot = store.snapshot().await.unwrap();
    let entries = read_all(&*snapshot, &KeyRange::all()).await.unwrap();
    entries.into_iter().map(|entry| entry.key).collect()
}

async fn revision(store: &MemoryStore) -> Revision {
    store.snapshot().await.unwrap().revision()
}

#[tokio::test]
async fn the_next_process_continues_a_log_and_it_is_listed_newest_first() {
    let store = MemoryStore::new();
    let first = log(&store);
    assert_eq!(first.list(None, 10).await.unwrap(), []);
    assert_eq!(first.verify(None).await.unwrap().head.kept(), 0);
    append(&first, &numbered(1..6)).await;
    let store = store.reopen().await;
    let second = log(&store);
    let head = append(&second, &numbered(6..9)).await;
    assert_eq!(numbers(&second).await, (1..9).collect::<Vec<_>>());
    let page = second.list(Some(7), 2).await.unwrap();
    assert_eq!(page.iter().map(|r| r.seq).collect::<Vec<_>>(), [6, 5]);
    assert_eq!(second.verify(None).await.unwrap().head, head);
    assert_eq!(second.list(Some(1), 2).await.unwrap(), []);
    assert_eq!(second.list(None, 0).await.unwrap(), []);
    insta::assert_snapshot!(stored_text(&store).await);
}

/// The stored text, to detect changes caused by a changed type.
async fn stored_text(store: &MemoryStore) -> String {
    let snapshot = store.snapshot().await.unwrap();
    let mut text = String::new();
    for key in [key::audit(&engine(), 1), key::audit_head(&engine())] {
        let entry = snapshot.get(&key).await.unwrap().unwrap();
        text += &format!("{key} {}\n", std::str::from_utf8(&entry.value).unwrap());
    }
    text
}

#[tokio::test]
async fn a_log_on_disk_verifies_after_it_was_closed_in_between() {
    let folder = tempfile::tempdir().unwrap();
    for begin in [1, 250, 500] {
        let path = folder.path().join("store.redb");
        let store = tokio::task::spawn_blocking(move || EmbeddedStore::open(path));
        let store: Arc<dyn Store> = Arc::new(store.await.unwrap().unwrap());
        let log = AuditLog::new(store, engine());
        append(&log, &numbered(begin..begin + 249)).await;
        log.trim(600).await.unwrap();
        let head = log.verify(None).await.unwrap().head;
        assert_eq!(head.kept(), (begin + 248).min(600));
    }
}

#[tokio::test]
async fn a_batch_of_the_longest_entries_stays_within_a_transaction() {
    let store = MemoryStore::new();
    let log = log(&store);
    let worst = "\\\"\u{10ffff}".repeat(1000);
    let long = entry(1)
        .via(&worst)
        .on(&worst)
        .refused(&worst)
        .detail(&worst);
    let entries = vec![long; 150];
    let appended = log.append(&entries).await.unwrap();
    assert!((10..100).contains(&appended.written), "{appended:?}");
    assert_eq!(
        append(&log, &entries).await.seq as usize,
        appended.written + 150
    );
    let short = log.append(&numbered(0..150)).await.unwrap();
    assert_eq!(short.written, MAX_BATCH);
    log.verify(None).await.unwrap();
    assert_eq!(log.append(&[]).await.unwrap().written, 0);
}

#[tokio::test]
async fn two_processes_under_one_name_make_one_chain() {
    let store = MemoryStore::new();
    let write = |from: u64| {
        let log = log(&store);
        async move {
            for number in from..from + 20 {
                append(&log, &[entry(number)]).await;
            }
        }
    };
    tokio::join!(write(100), write(200), write(300));
    let log = log(&store);
    log.verify(None).await.unwrap();
    let mut numbers = numbers(&log).await;
    for from in [100, 200, 300] {
        let own = numbers.iter().filter(|n| (from..from + 20).contains(*n));
        assert!(own.is_sorted(), "{numbers:?}");
    }
    numbers.sort_unstable();
    let all = (100..120).chain(200..220).chain(300..320);
    assert_eq!(numbers, all.collect::<Vec<_>>());
}

#[tokio::test]
async fn each_engine_has_a_log_of_its_own() {
    let store = MemoryStore::new();
    let state = State::open(Arc::new(store.clone())).await.unwrap();
    assert_eq!(state.audited_engines().await.unwrap(), []);
    let names = ["north", "north-2", "south"].map(|name| name.parse::<Name>().unwrap());
    for name in &names {
        append(&state.audit(name.clone()), &numbered(1..4)).await;
    }
    let head = Txn::new().delete(key::audit_head(&names[1]));
    store.commit(head).await.unwrap();
    assert_eq!(state.audited_engines().await.unwrap(), names);
    for name in [&names[0], &names[2]] {
        assert_eq!(numbers(&state.audit(name.clone())).await, [1, 2, 3]);
    }
}

#[tokio::test]
async fn a_log_is_not_part_of_the_live_view() {
    let store = MemoryStore::new();
    let state = State::open(Arc::new(store.clone())).await.unwrap();
    let before = state.view().revision;
    append(&state.audit(engine()), &numbered(1..20)).await;
    // A change the view does follow, written after the log's.
    state.hint().await.unwrap();
    assert_eq!(state.view().tampered.len(), 0);
    assert_eq!(state.view().revision, revision(&store).await);
    assert!(state.view().revision > before);
    let again = State::open(Arc::new(store.clone())).await.unwrap();
    assert_eq!(again.view().engines.len(), 0);
}

#[tokio::test]
async fn what_is_trimmed_is_gone_and_the_rest_verifies() {
    let store = MemoryStore::new();
    let log = log(&store);
    let early = append(&log, &numbered(1..11)).await;
    let middle = append(&log, &numbered(11..300)).await;
    let last = append(&log, &numbered(300..331)).await;
    assert_eq!(log.trim(40).await.unwrap().removed, 290);
    let verified = log.verify(None).await.unwrap();
    assert_eq!((verified.head.first, verified.head.kept()), (291, 40));
    assert_eq!(verified.head.hash, last.hash);
    assert_eq!(keys(&store).await.len(), 41);
    assert_eq!(numbers(&log).await, (291..331).collect::<Vec<_>>());
    for (head, anchored) in [
        (early, Anchored::TooOld),
        (middle, Anchored::Holds),
        (last, Anchored::Holds),
    ] {
        let Head { seq, hash, .. } = head;
        let anchor = Some(Anchor { seq, hash });
        assert_eq!(log.verify(anchor).await.unwrap().anchored, anchored);
    }
    append(&log, &numbered(331..340)).await;
    log.verify(None).await.unwrap();
    // One entry is always kept, because the chain needs it.
    assert_eq!(log.trim(0).await.unwrap().removed, 48);
    append(&log, &numbered(340..341)).await;
    assert_eq!(numbers(&log).await, [339, 340]);
    log.verify(None).await.unwrap();
}

#[tokio::test]
async fn nothing_is_written_if_there_is_nothing_to_do() {
    let store = MemoryStore::new();
    let log = log(&store);
    for _ in 0..2 {
        let before = revision(&store).await;
        assert_eq!(log.trim(10).await.unwrap(), Trimmed::default());
        log.head(t(NOW)).await.unwrap();
        log.append(&[]).await.unwrap();
        log.verify(None).await.unwrap();
        assert_eq!(revision(&store).await, before);
        append(&log, &numbered(1..11)).await;
        log.trim(10).await.unwrap();
    }
}
