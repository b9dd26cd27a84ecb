//! Archives over the strict in-memory store, which fails on order.

use std::sync::Arc;
use std::time::Duration;

use banyan_core::fixture::{commit, documents, lenient, t, user};
use banyan_core::{admit, check};
use banyan_store::{Fault, MemoryStore, Store, Txn};
use proptest::prelude::*;

use super::unfit::{MOVED, RESTORING};
use super::*;
use crate::key::{FLOOR, POINTER};

const NOW: &str = "2026-01-01T00:00:00Z";
const LATER: &str = "2026-01-02T00:00:00Z";
const FAULTS: [Fault; 4] = [
    Fault::Refuse,
    Fault::LoseAnswer,
    Fault::CrashBefore,
    Fault::CrashAfter,
];

/// Brings a commit with this many more users into force.
async fn apply(store: &MemoryStore, number: u8, users: u16) {
    let state = State::open(Arc::new(store.clone())).await.unwrap();
    let mut repo = documents();
    for n in 0..users {
        repo.users.push(user(&format!("user-{n}"), &["viewer"]));
    }
    let checked = check(&repo, Vec::new(), t(NOW)).unwrap();
    let mut commit = commit(number);
    let there = state.view().in_force.objects.users.len();
    for count in 0..there {
        let trailer = ("Banyan-Allow-Removals".into(), format!("user={count}"));
        commit.trailers.push(trailer);
    }
    let target = admit(&state.view().in_force, &checked, &commit, &lenient(t(NOW)));
    state
        .advance(&crate::Term::alone(), &target.unwrap(), 0)
        .await
        .unwrap();
}

/// A store with a commit in force.
async fn store(number: u8, users: u16) -> MemoryStore {
    let store = MemoryStore::new();
    apply(&store, number, users).await;
    store
}

async fn take(store: &MemoryStore) -> Archive {
    Archive::take(store, t(NOW)).await.unwrap()
}

async fn put(store: &MemoryStore, key: &str, value: &str) {
    let txn = Txn::new().put(key, value.as_bytes());
    store.commit(txn).await.unwrap();
}

async fn entries(store: &MemoryStore) -> Vec<Entry> {
    read_once(store).await.unwrap()
}

async fn text(store: &MemoryStore, key: &str) -> Option<String> {
    let entries = entries(store).await;
    let entry = find(&entries, key)?;
    Some(String::from_utf8(entry.value.to_vec()).unwrap())
}

fn written(archive: &Archive) -> Vec<u8> {
    let mut bytes = Vec::new();
    archive.write(&mut bytes).unwrap();
    bytes
}

fn reread(bytes: &[u8]) -> Result<Archive, ArchiveError> {
    Archive::read(&mut &*bytes)
}

/// What lasts in a store but the floor.
async fn state(store: &MemoryStore) -> Values {
    let mut values = lasting(&entries(store).await);
    values.remove(FLOOR);
    values
}

/// Whether an engine would run on the store, with a state from before.
async fn usable(store: &MemoryStore) -> bool {
    let entries = entries(store).await;
    unfit(&entries).unwrap().is_none() && find(&entries, POINTER).is_some()
}

/// What is on disk must stay readable: whoever changes this changes the format's number.
#[tokio::test(start_paused = true)]
async fn the_file_is_what_it_was() {
    let bytes = written(&take(&store(1, 0).await).await);
    insta::assert_snapshot!(String::from_utf8(bytes).unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_lasts_is_in_an_archive_and_what_is_of_the_moment_is_not() {
    let store = store(1, 300).await;
    put(&store, "v1/engine/one", r#"{"name":"one"}"#).await;
    let before = entries(&store).await;
    let lease = store.grant(Duration::from_secs(60)).await.unwrap();
    let leased = Txn::new()
        .put_leased("v1/leader", *b"{}", lease)
        .put_leased("v1/alive/one", *b"{}", lease)
        .put_leased("v1/other", *b"{}", lease);
    store.commit(leased).await.unwrap();
    for key in [
        "v1/leader",
        "v1/alive/two",
        "v1/hint",
        "v1/standing",
        "v2/x",
    ] {
        put(&store, key, "{}").await;
    }
    let archive = take(&store).await;
    let keys: Vec<&String> = archive.entries.keys().collect();
    let expected: Vec<&String> = before.iter().map(|entry| &entry.key).collect();
    assert_eq!(keys, expected);
    let summary = archive.summary();
    assert_eq!(summary.entries, before.len());
    assert_eq!(summary.commit, commit(1).id);
    assert_eq!(summary.cluster, Some("demo".parse().unwrap()));
    assert_eq!(reread(&written(&archive)).unwrap(), archive);
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_the_store_forgets_meanwhile_is_tried_anew() {
    let store = store(1, 300).await;
    let calm = take(&store).await;
    for nth in [2, 5] {
        store.inject(nth, Fault::Refuse);
    }
    assert_eq!(take(&store).await, calm);
    for nth in 1..20 {
        store.inject(nth, Fault::Refuse);
    }
    Archive::take(&store, t(NOW)).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_store_without_a_commit_or_with_a_broken_record_gives_no_archive() {
    let empty = Archive::take(&MemoryStore::new(), t(NOW)).await;
    assert!(matches!(empty, Err(ArchiveError::NothingInForce)));
    for key in ["v1/record/x", "v1/record/00000000000000000001/user/vera"] {
        let store = store(1, 0).await;
        put(&store, key, "{}").await;
        let error = Archive::take(&store, t(NOW)).await.unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
}

/// No engine stops for these, so no backup may.
#[tokio::test(start_paused = true)]
async fn a_broken_entry_that_decides_nothing_is_left_out() {
    let store = store(1, 0).await;
    let calm = take(&store).await;
    for (key, value) in [
        ("v1/history/x", "{}"),
        ("v1/floor", "{}"),
        ("v1/engine/x", "{"),
    ] {
        put(&store, key, value).await;
    }
    assert_eq!(take(&store).await, calm);
}

#[tokio::test(start_paused = true)]
async fn a_file_with_any_byte_changed_or_cut_off_is_refused() {
    let bytes = written(&take(&store(1, 0).await).await);
    for at in 0..bytes.len() {
        reread(&bytes[..at]).unwrap_err();
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        reread(&altered).unwrap_err();
    }
    let longer = [bytes.as_slice(), b"\n"].concat();
    reread(&longer).unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_file_is_said() {
    let bytes = written(&take(&store(1, 0).await).await);
    let text = String::from_utf8(bytes).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let error = |text: &str| reread(text.as_bytes()).unwrap_err().to_string();
    let without_last = format!("{}\n", lines[..lines.len() - 1].join("\n"));
    insta::assert_snapshot!(
        [
            error(""),
            error("apiVersion: banyan/v1\n"),
            error(&text.replacen("\"format\":1", "\"format\":2", 1)),
            error(&text[..text.len() / 2]),
            error(&without_last),
            error(&text.replace("alice", "aiice")),
            error(&text.replacen("v1/record", "v2/record", 1)),
            error(&text.replacen("{\"key\"", "{\"kee\"", 1)),
        ]
        .join("\n")
    );
}

/// A digest proves that a file is whole, not that this program wrote it.
#[tokio::test(start_paused = true)]
async fn a_sound_file_of_an_unsound_state_is_refused() {
    let whole = take(&store(1, 0).await).await;
    for (key, value) in [
        ("v2/x", "{}"),
        ("v1/leader", "{}"),
        ("v1/restoring", "{}"),
        ("v1/record/x", "{}"),
        ("v1/history/x", "{}"),
        ("v1/floor", "{}"),
        ("v1/engine/x", "{"),
        ("v1/\0", "{}"),
    ] {
        let mut archive = whole.clone();
        archive
            .entries
            .insert(key.to_owned(), value.as_bytes().into());
        archive.summary.entries += 1;
        let error = reread(&written(&archive)).unwrap_err();
        assert!(
            matches!(error, ArchiveError::Unsound { .. }),
            "{key}: {error}"
        );
    }
    let mut archive = whole;
    archive.summary.generation = Generation(7);
    reread(&written(&archive)).unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_restored_store_holds_the_commit_of_the_backup_and_waits() {
    let archive = take(&store(1, 300).await).await;
    let target = MemoryStore::new();
    restore(&target, &archive, false, t(LATER)).await.unwrap();
    assert_eq!(state(&target).await, archive.entries);
    let floor = text(&target, FLOOR).await.unwrap();
    assert_eq!(floor, format!(r#"{{"floor":"restored","at":"{LATER}"}}"#));
    assert!(usable(&target).await);
    // The next commit is applied on top of it as of any other.
    apply(&target, 2, 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_with_a_state_is_replaced_only_when_that_is_asked_for() {
    let archive = take(&store(1, 300).await).await;
    let target = store(9, 20).await;
    put(&target, "v1/engine/old", "{}").await;
    put(&target, FLOOR, r#"{"floor":"accepted"}"#).await;
    let before = entries(&target).await;
    let refused = restore(&target, &archive, false, t(LATER)).await;
    assert!(matches!(refused, Err(ArchiveError::InForce { .. })));
    assert_eq!(entries(&target).await, before);
    restore(&target, &archive, true, t(LATER)).await.unwrap();
    assert_eq!(state(&target).await, archive.entries);
    // Doing it again changes nothing, and is no loss.
    restore(&target, &archive, false, t(LATER)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_engines_run_on_is_left_alone_and_they_are_named() {
    let archive = take(&store(1, 0).await).await;
    let target = MemoryStore::new();
    for name in ["one", "two"] {
        put(&target, &format!("v1/alive/{name}"), "{}").await;
    }
    let error = restore(&target, &archive, true, t(LATER))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("one, two"), "{error}");
    assert_eq!(entries(&target).await.len(), 2);
}

/// A store on which an engine starts when the mark is written.
struct Starting(MemoryStore);

#[async_trait::async_trait]
impl Store for Starting {
    async fn snapshot(&self) -> Result<Arc<dyn banyan_store::Snapshot>, StoreError> {
        self.0.snapshot().await
    }
    async fn commit(&self, txn: Txn) -> Result<banyan_store::Outcome, StoreError> {
        let outcome = self.0.commit(txn).await;
        put(&self.0, "v1/alive/late", "{}").await;
        outcome
    }
    async fn watch(
        &self,
        prefix: &str,
        after: banyan_store::Revision,
    ) -> Result<banyan_store::Watch, StoreError> {
        self.0.watch(prefix, after).await
    }
    async fn grant(&self, ttl: Duration) -> Result<banyan_store::LeaseId, StoreError> {
        self.0.grant(ttl).await
    }
    async fn keep_alive(&self, lease: banyan_store::LeaseId) -> Result<(), StoreError> {
        self.0.keep_alive(lease).await
    }
    async fn revoke(&self, lease: banyan_store::LeaseId) -> Result<(), StoreError> {
        self.0.revoke(lease).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_starts_as_the_restore_begins_keeps_its_state() {
    let archive = take(&store(1, 0).await).await;
    let target = store(9, 20).await;
    let before = state(&target).await;
    let starting = Starting(target.clone());
    let error = restore(&starting, &archive, true, t(LATER))
        .await
        .unwrap_err();
    assert!(matches!(error, ArchiveError::EnginesRun { .. }), "{error}");
    assert_eq!(state(&target).await, before);
    assert!(usable(&target).await);
}

/// Restores with the store failing at one operation, then again with what the next process finds.
async fn cut_restore(at: u64, fault: Fault, old: Option<u16>, archive: &Archive) -> bool {
    let store = match old {
        Some(users) => store(9, users).await,
        None => MemoryStore::new(),
    };
    let before = state(&store).await;
    let operations = store.operations();
    store.inject(at, fault);
    let result = restore(&store, archive, old.is_some(), t(LATER)).await;
    let reached = store.operations() >= operations + at;
    let store = store.reopen().await;
    let after = state(&store).await;
    let whole = after == archive.entries;
    if result.is_ok() {
        assert!(whole && usable(&store).await);
    } else if unfit(&entries(&store).await).unwrap().is_none() {
        assert!(after == before || whole, "half of it is usable");
    }
    restore(&store, archive, old.is_some(), t(LATER))
        .await
        .unwrap();
    assert_eq!(state(&store).await, archive.entries);
    assert!(usable(&store).await);
    assert!(text(&store, FLOOR).await.unwrap().contains("restored"));
    reached
}

#[tokio::test(start_paused = true)]
async fn a_restore_cut_off_at_any_operation_leaves_old_or_new_or_a_mark_and_goes_through_again() {
    let archive = take(&store(1, 300).await).await;
    for fault in FAULTS {
        for old in [Some(200), None] {
            let mut at = 1;
            while cut_restore(at, fault, old, &archive).await {
                at += 1;
            }
            assert!(at > 8, "there is more to cut at than {at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_was_begun_is_taken_up_without_asking_again_but_by_the_same_backup_alone() {
    let archive = take(&store(1, 10).await).await;
    let other = take(&store(2, 20).await).await;
    let target = store(9, 200).await;
    // The first cut after which the mark is there; so is the old pointer.
    let mut nth = 1;
    let target = loop {
        let target = target_of(&target).await;
        target.inject(nth, Fault::CrashAfter);
        let cut = restore(&target, &archive, true, t(LATER)).await;
        cut.unwrap_err();
        let target = target.reopen().await;
        if find(&entries(&target).await, RESTORING).is_some() {
            break target;
        }
        nth += 1;
    };
    assert!(find(&entries(&target).await, POINTER).is_some());
    let refused = restore(&target, &other, false, t(LATER)).await;
    assert!(matches!(refused, Err(ArchiveError::InForce { .. })));
    let taken = Archive::take(&target, t(NOW)).await;
    assert!(matches!(
        taken,
        Err(ArchiveError::Unfit(Unfit::Unfinished { .. }))
    ));
    restore(&target, &archive, false, t(LATER)).await.unwrap();
    assert_eq!(state(&target).await, archive.entries);
}

/// A store with the same content.
async fn target_of(store: &MemoryStore) -> MemoryStore {
    let copy = MemoryStore::new();
    for entry in entries(store).await {
        let value = String::from_utf8(entry.value.to_vec()).unwrap();
        put(&copy, &entry.key, &value).await;
    }
    copy
}

#[tokio::test(start_paused = true)]
async fn of_two_restores_at_once_one_is_whole_and_the_other_stops() {
    let one = take(&store(1, 200).await).await;
    let two = take(&store(2, 150).await).await;
    let target = MemoryStore::new();
    let (first, second) = tokio::join!(
        restore(&target, &one, false, t(LATER)),
        restore(&target, &two, false, t(LATER)),
    );
    let winner = match (first, second) {
        (Ok(()), Err(_)) => one,
        (Err(_), Ok(())) => two,
        other => panic!("{other:?}"),
    };
    assert_eq!(state(&target).await, winner.entries);
}

#[tokio::test(start_paused = true)]
async fn a_migration_moves_all_of_it_and_leaves_a_store_that_says_where_it_went() {
    let from = store(1, 300).await;
    put(
        &from,
        FLOOR,
        r#"{"floor":"restored","at":"2026-01-01T00:00:00Z"}"#,
    )
    .await;
    let to = MemoryStore::new();
    let done = migrate(&from, &to, "etcd at there", t(LATER))
        .await
        .unwrap();
    assert_eq!(done.earlier, None);
    assert_eq!(lasting(&entries(&to).await), lasting(&entries(&from).await));
    let error = Archive::take(&from, t(LATER))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("etcd at there at 2026-01-02"), "{error}");
    // Once more, after the other store has gone on.
    apply(&to, 2, 3).await;
    let again = migrate(&from, &to, "etcd at there", t(LATER))
        .await
        .unwrap();
    assert_eq!(again.earlier, Some(t(LATER)));
    let elsewhere = migrate(&from, &to, "etcd at home", t(LATER)).await;
    assert!(matches!(
        elsewhere,
        Err(ArchiveError::Unfit(Unfit::Moved { .. }))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_migration_into_a_store_with_a_state_is_refused_and_both_stay() {
    let (from, to) = (store(1, 3).await, store(2, 2).await);
    let refused = migrate(&from, &to, "there", t(LATER)).await;
    assert!(matches!(refused, Err(ArchiveError::InForce { .. })));
    assert!(usable(&from).await && usable(&to).await);
}

/// Migrates with one of the stores failing at one operation, then again with what the next process finds.
async fn cut_migration(at: u64, fault: Fault, target_fails: bool) -> bool {
    let (from, to) = (store(1, 150).await, MemoryStore::new());
    let expected = state(&from).await;
    let fails = if target_fails { &to } else { &from };
    let operations = fails.operations();
    fails.inject(at, fault);
    let result = migrate(&from, &to, "there", t(LATER)).await;
    let reached = fails.operations() >= operations + at;
    let (from, to) = (from.reopen().await, to.reopen().await);
    let usable_now = (usable(&from).await, usable(&to).await);
    assert_ne!(usable_now, (true, true), "{fault:?} at {at}");
    if result.is_ok() {
        assert_eq!(usable_now, (false, true));
    }
    migrate(&from, &to, "there", t(LATER)).await.unwrap();
    assert_eq!((usable(&from).await, usable(&to).await), (false, true));
    assert_eq!(state(&to).await, expected);
    reached
}

#[tokio::test(start_paused = true)]
async fn a_migration_cut_off_at_any_operation_never_leaves_two_usable_stores_and_goes_through_again()
 {
    for fault in FAULTS {
        for (target_fails, least) in [(true, 8), (false, 4)] {
            let mut at = 1;
            while cut_migration(at, fault, target_fails).await {
                at += 1;
            }
            assert!(at >= least, "there is more to cut at than {at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_migration_whose_last_step_fails_leaves_the_source_usable() {
    let (from, to) = (store(1, 3).await, MemoryStore::new());
    // The steps of a migration that goes through, to find the last commit.
    let before = to.operations();
    migrate(&target_of(&from).await, &to, "there", t(LATER))
        .await
        .unwrap();
    let last = to.operations() - before;
    let to = MemoryStore::new();
    to.inject(last, Fault::Refuse);
    migrate(&from, &to, "there", t(LATER)).await.unwrap_err();
    assert!(usable(&from).await && !usable(&to).await);
    assert_eq!(text(&from, MOVED).await, None);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(reread(&bytes).is_err());
    }

    #[test]
    fn no_lines_make_the_reader_panic(
        count in 0usize..5,
        lines in prop::collection::vec("[{]\"(key|value|sha256)\":\"[a-z0-9/\\\\]{0,12}\"(,\"value\":\"[{}\"0-9]{0,4}\")?[}]", 0..5),
    ) {
        let commit = "0".repeat(40);
        let header = format!(r#"{{"banyan":"backup","format":1,"made_at":"{NOW}","entries":{count},"generation":1,"commit":"{commit}","cluster":null}}"#);
        let text = format!("{header}\n{}\n", lines.join("\n"));
        prop_assert!(reread(text.as_bytes()).is_err());
    }
}
