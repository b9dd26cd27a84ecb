//! Out-of-band changes to records: they are not applied, but undone or restored from the commit.

use banyan_core::Floor;
use banyan_store::{Entry, Store as _};

use super::*;

/// A state with a commit in force, and its store.
async fn applied() -> (MemoryStore, State) {
    let store = MemoryStore::new();
    let state = open(&store).await;
    let target = target(&state.view(), &repo(&set(0..30)), 1);
    state.advance(&Term::alone(), &target, 0).await.unwrap();
    (store, state)
}

async fn entry(store: &MemoryStore, key: &str) -> Option<Entry> {
    store.snapshot().await.unwrap().get(key).await.unwrap()
}

async fn commit_txn(store: &MemoryStore, txn: Txn) -> banyan_store::Revision {
    match store.commit(txn).await.unwrap() {
        banyan_store::Outcome::Committed(revision) => revision,
        conflict @ banyan_store::Outcome::Conflict { .. } => panic!("{conflict:?}"),
    }
}

async fn seen(state: &State, revision: banyan_store::Revision) {
    let mut changes = state.changes();
    changes.wait_for(|at| *at >= revision).await.unwrap();
}

const ALICE: &str = "v1/record/00000000000000000001/user/user-3";

fn all_changes() -> Vec<(&'static str, Txn)> {
    let foreign = "v1/record/00000000000000000001/user/mallory";
    let json = |text: &str| text.as_bytes().to_vec();
    vec![
        ("altered", Txn::new().put(ALICE, json("{}"))),
        ("removed", Txn::new().delete(ALICE)),
        (
            "added",
            Txn::new().put(foreign, json(r#"{"name":"mallory"}"#)),
        ),
        ("foreign", Txn::new().put("v1/record/nonsense", json("x"))),
        ("pointer altered", Txn::new().put("v1/pointer", json("{}"))),
        ("pointer removed", Txn::new().delete("v1/pointer")),
        (
            "everything removed",
            Txn::new()
                .delete("v1/pointer")
                .delete(ALICE)
                .delete("v1/record/00000000000000000001/machine/machine-4"),
        ),
    ]
}

#[tokio::test]
async fn out_of_band_changes_are_not_served_and_are_undone_with_an_event() {
    for (what, tampering) in all_changes() {
        let (store, state) = applied().await;
        let good = state.view().in_force.clone();
        let before = keys(&store, "v1/record/").await;
        let pointer = entry(&store, "v1/pointer").await.unwrap().value;
        let alice = entry(&store, ALICE).await.unwrap().value;
        let at = commit_txn(&store, tampering).await;
        seen(&state, at).await;
        assert_eq!(state.view().in_force, good, "{what} is served");
        assert!(!state.view().tampered.is_empty(), "{what} is not noticed");
        let put_back = state.put_back(&Term::alone(), t(NOW)).await.unwrap();
        assert!(!put_back.is_empty(), "{what}");
        assert!(state.view().tampered.is_empty(), "{what}: {put_back:?}");
        assert_eq!(keys(&store, "v1/record/").await, before, "{what}");
        let now = |key: &'static str| {
            let store = store.clone();
            async move { entry(&store, key).await.unwrap().value }
        };
        assert_eq!(now("v1/pointer").await, pointer, "{what}");
        assert_eq!(now(ALICE).await, alice, "{what}");
        let view = state.view();
        let newest = view.history().next().unwrap();
        assert!(
            matches!(&newest.outcome, Outcome::Restored { what, .. } if *what == put_back),
            "{what}: {newest:?}"
        );
        let fresh = open(&store).await.view();
        assert_eq!(fresh.in_force, good, "{what}");
        assert!(!fresh.suspect, "{what}");
    }
}

#[tokio::test]
async fn a_scan_that_finds_nothing_writes_nothing() {
    let (store, state) = applied().await;
    let before = store.snapshot().await.unwrap().revision();
    assert!(
        state
            .put_back(&Term::alone(), t(NOW))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.snapshot().await.unwrap().revision(), before);
}

#[tokio::test]
async fn the_event_names_what_was_done_to_which_object() {
    let (store, state) = applied().await;
    let at = commit_txn(&store, Txn::new().delete(ALICE)).await;
    seen(&state, at).await;
    let what = state.put_back(&Term::alone(), t(NOW)).await.unwrap();
    assert_eq!(what, ["user user-3 was removed"]);
}

#[tokio::test]
async fn a_record_that_was_corrected_out_of_band_is_no_longer_reported() {
    let (store, state) = applied().await;
    let value = entry(&store, ALICE).await.unwrap().value;
    commit_txn(&store, Txn::new().delete(ALICE)).await;
    let at = commit_txn(&store, Txn::new().put(ALICE, value)).await;
    seen(&state, at).await;
    assert!(state.view().tampered.is_empty());
}

#[tokio::test]
async fn a_commit_on_top_of_altered_records_is_whole_and_leaves_only_the_rest_to_put_back() {
    let (store, state) = applied().await;
    let at = commit_txn(
        &store,
        Txn::new()
            .delete(ALICE)
            .delete("v1/record/00000000000000000001/user/user-4"),
    )
    .await;
    seen(&state, at).await;
    // user-3 is removed by the commit, user-4 stays.
    let numbers: BTreeSet<u16> = (0..30).filter(|n| *n != 3).collect();
    let next = target(&state.view(), &repo(&numbers), 2);
    state.advance(&Term::alone(), &next, 0).await.unwrap();
    assert_eq!(state.view().in_force.objects, *next.objects());
    let left: Vec<_> = state.view().tampered.keys().cloned().collect();
    assert_eq!(left, ["v1/record/00000000000000000001/user/user-4"]);
    state.put_back(&Term::alone(), t(NOW)).await.unwrap();
    state.collect_garbage(&Term::alone(), t(NOW)).await.unwrap();
    let fresh = open(&store).await.view();
    assert_eq!(fresh.in_force.objects, *next.objects());
    assert!(!fresh.suspect);
}

/// Records are altered while no engine runs; the next one can detect it only by the sum.
#[tokio::test]
async fn records_altered_while_no_engine_ran_are_noticed_and_restored_from_the_commit() {
    for (what, tampering) in all_changes()
        .into_iter()
        .filter(|(_, txn)| txn.ops.iter().all(|op| op.key() != "v1/pointer"))
    {
        let (store, state) = applied().await;
        let good = state.view().in_force.clone();
        drop(state);
        commit_txn(&store, tampering).await;
        let state = open(&store).await;
        let view = state.view();
        assert!(
            view.suspect || !view.tampered.is_empty(),
            "{what} is not noticed"
        );
        if view.suspect {
            let checked = check(&repo(&set(0..30)), Vec::new(), t(NOW)).unwrap();
            let applied = view.in_force.applied.clone().unwrap();
            let commit = &applied.commit;
            let target = admit(&view.in_force, &checked, commit, &lenient(t(NOW))).unwrap();
            state.restore(&Term::alone(), &target, 0).await.unwrap();
        }
        state.put_back(&Term::alone(), t(NOW)).await.unwrap();
        let fresh = open(&store).await.view();
        assert!(
            !fresh.suspect && fresh.tampered.is_empty(),
            "{what}: {fresh:?}"
        );
        let specs = |view: &banyan_core::InForce| {
            // A user whose record and account are both missing gets a new id.
            let spec = |record: &Arc<banyan_core::Record<banyan_core::User>>| {
                let made = None;
                banyan_core::User {
                    made,
                    ..record.spec.clone()
                }
            };
            view.objects.users.values().map(spec).collect::<Vec<_>>()
        };
        assert_eq!(specs(&fresh.in_force), specs(&good), "{what}");
        let id = |view: &banyan_core::InForce| view.applied.clone().unwrap().commit.id;
        assert_eq!(id(&fresh.in_force), id(&good));
    }
}

/// It starts after the alteration and before the leader undoes it.
#[tokio::test]
async fn an_engine_that_first_saw_altered_records_sees_them_put_back() {
    for (what, tampering) in all_changes() {
        let (store, state) = applied().await;
        let good = state.view().in_force.clone();
        let at = commit_txn(&store, tampering).await;
        let late = open(&store).await;
        seen(&state, at).await;
        state.put_back(&Term::alone(), t(NOW)).await.unwrap();
        let at = store.snapshot().await.unwrap().revision();
        seen(&late, at).await;
        assert_eq!(late.view().in_force, good, "{what}");
        assert!(!late.view().suspect, "{what}");
        assert!(
            late.view().tampered.is_empty(),
            "{what}: {:?}",
            late.view().tampered
        );
    }
}

#[tokio::test]
async fn a_store_that_was_emptied_under_a_running_engine_is_filled_again_from_what_it_serves() {
    let (store, state) = applied().await;
    let good = state.view().in_force.clone();
    let all = keys(&store, "v1/").await;
    let mut at = banyan_store::Revision(0);
    for batch in all.chunks(100) {
        let txn = batch
            .iter()
            .fold(Txn::new(), |txn, key| txn.delete(key.clone()));
        at = commit_txn(&store, txn).await;
    }
    seen(&state, at).await;
    assert_eq!(state.view().in_force, good);
    state.put_back(&Term::alone(), t(NOW)).await.unwrap();
    let fresh = open(&store).await.view();
    assert_eq!(fresh.in_force, good);
    assert!(!fresh.suspect);
}

#[tokio::test]
async fn an_acceptance_is_consumed_by_the_applied_commit_and_not_by_undoing_changes() {
    let (store, state) = applied().await;
    let floor = Floor::Accepted {
        commit: commit(9).id,
        at: t(NOW),
    };
    state.set_floor(&floor).await.unwrap();
    commit_txn(&store, Txn::new().delete(ALICE)).await;
    state.put_back(&Term::alone(), t(NOW)).await.unwrap();
    assert_eq!(state.view().floor, Some(floor));
    let next = target(&state.view(), &repo(&set(0..31)), 2);
    state.advance(&Term::alone(), &next, 0).await.unwrap();
    assert_eq!(state.view().floor, None);
}

#[tokio::test]
async fn a_store_that_lost_its_pointer_while_no_engine_ran_waits_for_an_operator() {
    let (store, state) = applied().await;
    drop(state);
    commit_txn(&store, Txn::new().delete("v1/pointer")).await;
    let view = open(&store).await.view();
    assert_eq!(view.in_force.applied, None);
    assert_eq!(view.floor, Some(Floor::Restored { at: t(NOW) }));
}

#[tokio::test]
async fn an_unreadable_value_that_decides_nothing_stops_no_engine() {
    let (store, state) = applied().await;
    for key in [
        "v1/history/x",
        "v1/floor",
        "v1/engine/one",
        "v1/alive/Ä",
        "v1/leader",
        "v1/standing",
        "v1/new",
    ] {
        commit_txn(&store, Txn::new().put(key, *b"{broken")).await;
    }
    let next = target(&state.view(), &repo(&set(0..31)), 2);
    state.advance(&Term::alone(), &next, 0).await.unwrap();
    assert_eq!(open(&store).await.view().in_force, state.view().in_force);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is done to whichever keys, and whether the watch reports it or everything is read again: the served
    /// state stays the same, and the store has it again afterwards.
    #[test]
    fn no_out_of_band_change_to_records_in_force_is_served(
        steps in prop::collection::vec((0usize..80, 0u8..4), 1..12),
        forget in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let options = MemoryOptions {
                history: History { batches: if forget { 1 } else { 1_000 }, ..History::default() },
                ..MemoryOptions::default()
            };
            let store = MemoryStore::with(options);
            let state = open(&store).await;
            let target = target(&state.view(), &repo(&set(0..30)), 1);
            state.advance(&Term::alone(), &target, 0).await.unwrap();
            let good = state.view().in_force.clone();
            let all = keys(&store, "v1/").await;
            let all: Vec<_> = all.into_iter().filter(|k| !k.starts_with("v1/history")).collect();
            let mut at = banyan_store::Revision(0);
            for (which, how) in steps {
                let key = all[which % all.len()].clone();
                let txn = match how {
                    0 => Txn::new().delete(key),
                    1 => Txn::new().put(key, *b"{}"),
                    2 => Txn::new().put(format!("{key}x"), *b"{}"),
                    _ => Txn::new().put(key, *b"null"),
                };
                at = commit_txn(&store, txn).await;
            }
            seen(&state, at).await;
            assert_eq!(state.view().in_force, good);
            // Only a forged generation is indistinguishable from an engine's own.
            state.put_back(&Term::alone(), t(NOW)).await.unwrap();
            assert!(state.view().tampered.is_empty(), "{:?}", state.view().tampered);
            let fresh = open(&store).await.view();
            assert_eq!(fresh.in_force, good);
            assert!(!fresh.suspect);
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A writer with access to the store can write anything.
    #[test]
    fn no_entry_makes_the_view_panic(
        steps in prop::collection::vec(
            (
                prop::sample::select(vec![
                    "v1/pointer", "v1/record/", "v1/record/00000000000000000001/user/", "v1/history/", "v1/floor",
                    "v1/engine/", "v1/engine-v4", "v1/alive/", "v1/leader", "v1/standing", "v1/hint", "v1/moved",
                ]),
                "[a-z0-9/-]{0,12}",
                prop_oneof![
                    "[\\[\\]{}\",:a-z0-9]{0,40}".prop_map(String::into_bytes),
                    prop::collection::vec(any::<u8>(), 0..20),
                    Just(br#"{"format":1,"applied":{"generation":1}}"#.to_vec()),
                    Just(b"null".to_vec()),
                ],
                any::<bool>(),
            ),
            0..12,
        ),
    ) {
        use crate::builder::Builder;
        use banyan_store::Revision;
        let entry = |at: u64, key: &str, value: &[u8]| Entry {
            key: key.to_owned(),
            value: Arc::from(value),
            created: Revision(at),
            modified: Revision(at),
            lease: None,
        };
        let mut builder = Builder::default();
        let mut entries: Vec<Entry> = Vec::new();
        for (at, (prefix, rest, value, gone)) in (1..).zip(steps) {
            let key = format!("{prefix}{rest}");
            let event = if gone {
                Event::Delete { key: key.clone() }
            } else {
                entries.push(entry(at, &key, &value));
                Event::Put(entry(at, &key, &value))
            };
            let _ = builder.apply(Revision(at), std::slice::from_ref(&event));
            let _ = builder.repairs();
            let _ = builder.entries();
        }
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        let _ = Builder::new(&entries, Revision(99));
        let _ = builder.renewed(&entries, Revision(99));
    }
}
