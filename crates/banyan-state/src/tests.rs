//! The state over the strict in-memory store, which fails on demand.

use std::collections::BTreeSet;
use std::sync::Arc;

use banyan_core::fixture::{commit, documents, lenient, machine, t, user};
use banyan_core::{Documents, Finding, Generation, Target, admit, check};
use banyan_store::{
    Event, Fault, History, KeyRange, MemoryOptions, MemoryStore, Store, Txn, read_all,
};
use proptest::prelude::*;

mod drift;
mod engines;
mod replica;

use crate::{AdvanceError, HistoryEntry, Outcome, State, StateError, Term, View};

const NOW: &str = "2026-01-01T00:00:00Z";

/// The repo with the users and machines of these numbers.
fn repo(numbers: &BTreeSet<u16>) -> Documents {
    let mut repo = documents();
    for n in numbers {
        repo.users.push(user(&format!("user-{n}"), &["viewer"]));
        if *n < 200 {
            repo.machines.push(machine(
                &format!("machine-{n}"),
                (*n).try_into().unwrap_or(0) + 50,
            ));
        }
    }
    repo
}

fn target(view: &View, documents: &Documents, number: u8) -> Target {
    let checked = check(documents, Vec::new(), t(NOW)).unwrap();
    let mut commit = commit(number);
    for count in 0..500 {
        for kind in ["user", "machine"] {
            commit
                .trailers
                .push(("Banyan-Allow-Removals".into(), format!("{kind}={count}")));
        }
    }
    let mut target = admit(&view.in_force, &checked, &commit, &lenient(t(NOW))).unwrap();
    if number == 0 {
        target = admit(
            &view.in_force,
            &checked,
            &banyan_core::fixture::commit(0),
            &lenient(t(NOW)),
        )
        .unwrap();
    }
    target
}

async fn open(store: &MemoryStore) -> State {
    State::open(Arc::new(store.clone())).await.unwrap()
}

async fn keys(store: &MemoryStore, prefix: &str) -> Vec<String> {
    let snapshot = store.snapshot().await.unwrap();
    let entries = read_all(&*snapshot, &KeyRange::prefix(prefix))
        .await
        .unwrap();
    entries.into_iter().map(|e| e.key).collect()
}

fn set(range: std::ops::Range<u16>) -> BTreeSet<u16> {
    range.collect()
}

#[tokio::test]
async fn an_acknowledged_target_is_in_the_view_and_in_what_the_next_process_reads() {
    let store = MemoryStore::new();
    let state = open(&store).await;
    assert_eq!(state.view().in_force.generation(), Generation(0));
    let first = target(&state.view(), &repo(&set(0..300)), 1);
    state.advance(&Term::alone(), &first, 5).await.unwrap();
    assert_eq!(state.view().in_force.objects, *first.objects());
    let second = target(&state.view(), &repo(&set(7..300)), 2);
    state.advance(&Term::alone(), &second, 5).await.unwrap();
    assert_eq!(state.view().in_force.objects, *second.objects());
    let again = open(&store.reopen().await).await;
    assert_eq!(again.view().in_force, state.view().in_force);
    assert_eq!(
        again.view().in_force.applied.as_ref(),
        Some(second.applied())
    );
}

#[tokio::test]
async fn a_commit_writes_the_records_that_it_changes_and_no_other() {
    let store = MemoryStore::new();
    let state = open(&store).await;
    state
        .advance(
            &Term::alone(),
            &target(&state.view(), &repo(&set(0..300)), 1),
            0,
        )
        .await
        .unwrap();
    let before = store.snapshot().await.unwrap().revision();
    let mut watch = store.watch("v1/record/", before).await.unwrap();
    state
        .advance(
            &Term::alone(),
            &target(&state.view(), &repo(&set(0..301)), 2),
            0,
        )
        .await
        .unwrap();
    let batch = watch.next().await.unwrap();
    let put: Vec<_> = batch.events.iter().map(Event::key).collect();
    assert_eq!(put, ["v1/record/00000000000000000002/user/user-300"]);
}

#[tokio::test]
async fn of_two_targets_on_one_parent_one_is_applied() {
    let store = MemoryStore::new();
    let (one, two) = (open(&store).await, open(&store).await);
    let a = target(&one.view(), &repo(&set(0..150)), 1);
    let b = target(&two.view(), &repo(&set(5..20)), 2);
    let term = Term::alone();
    let (first, second) = tokio::join!(one.advance(&term, &a, 0), two.advance(&term, &b, 0));
    let winner = match (first, second) {
        (Ok(()), Err(AdvanceError::Superseded { .. })) => a,
        (Err(AdvanceError::Superseded { .. }), Ok(())) => b,
        other => panic!("{other:?}"),
    };
    let read = open(&store).await.view();
    assert_eq!(read.in_force.applied.as_ref(), Some(winner.applied()));
}

#[tokio::test]
async fn garbage_is_collected_and_nothing_else() {
    let store = MemoryStore::new();
    let state = open(&store).await;
    for (number, users) in [(1, 0..10), (2, 5..15), (3, 0..3)] {
        state
            .advance(
                &Term::alone(),
                &target(&state.view(), &repo(&set(users)), number),
                0,
            )
            .await
            .unwrap();
    }
    let in_force = state.view().in_force.clone();
    state.collect_garbage(&Term::alone(), t(NOW)).await.unwrap();
    let objects = &in_force.objects;
    let count = 1 + objects.users.len() + objects.roles.len() + objects.machines.len();
    assert_eq!(keys(&store, "v1/record/").await.len(), count);
    assert_eq!(open(&store).await.view().in_force, in_force);
}

#[tokio::test]
async fn a_refusal_is_written_once_and_survives() {
    let store = MemoryStore::new();
    let state = open(&store).await;
    let finding = Finding::whole(&"a.yaml".into(), "yaml", "broken");
    let entry = |at: &str| HistoryEntry {
        at: t(at),
        commit: commit(1),
        took_ms: 1,
        outcome: Outcome::refused(std::slice::from_ref(&finding)),
    };
    state
        .refuse(&Term::alone(), entry("2026-01-01T00:00:00Z"), &state.view())
        .await
        .unwrap();
    state
        .refuse(&Term::alone(), entry("2026-01-01T00:00:30Z"), &state.view())
        .await
        .unwrap();
    assert_eq!(state.view().history().count(), 1);
    let again = open(&store.reopen().await).await;
    assert_eq!(**again.view().history().next().unwrap(), entry(NOW));
}

#[tokio::test]
async fn a_refusal_that_was_decided_before_a_commit_was_accepted_is_not_written() {
    let store = MemoryStore::new();
    let (state, other) = (open(&store).await, open(&store).await);
    let entry = HistoryEntry {
        at: t(NOW),
        commit: commit(1),
        took_ms: 1,
        outcome: Outcome::refused(&[]),
    };
    let seen = state.view();
    let floor = banyan_core::Floor::Accepted {
        commit: commit(1).id,
        at: t(NOW),
    };
    // By another engine, so this one's view may or may not show it yet.
    other.set_floor(&floor).await.unwrap();
    let refused = state.refuse(&Term::alone(), entry.clone(), &seen).await;
    assert!(
        matches!(refused, Err(AdvanceError::Superseded { .. })),
        "{refused:?}"
    );
    assert_eq!(other.view().history().count(), 0);
    let current = other.view();
    assert!(other.refuse(&Term::alone(), entry, &current).await.unwrap());
}

#[tokio::test]
async fn reductions_count_for_a_day() {
    let store = MemoryStore::new();
    let state = open(&store).await;
    state
        .advance(
            &Term::alone(),
            &target(&state.view(), &repo(&set(0..5)), 0),
            0,
        )
        .await
        .unwrap();
    let checked = check(&repo(&set(1..5)), Vec::new(), t(NOW)).unwrap();
    let view = state.view();
    let taken = admit(&view.in_force, &checked, &commit(3), &lenient(t(NOW))).unwrap();
    state.advance(&Term::alone(), &taken, 0).await.unwrap();
    let view = open(&store.reopen().await).await.view();
    assert_eq!(view.recent(t("2026-01-01T23:59:59Z")).len(), 2);
    assert_eq!(view.recent(t("2026-01-02T00:00:00Z")).len(), 0);
}

#[tokio::test]
async fn a_store_of_a_later_format_is_refused_and_left_alone() {
    let store = MemoryStore::new();
    let txn = Txn::new().put("v1/pointer", *br#"{"format":2,"news":true}"#);
    store.commit(txn).await.unwrap();
    let error = State::open(Arc::new(store.clone())).await.err().unwrap();
    assert!(
        matches!(error, StateError::Newer { found: 2, known: 1 }),
        "{error}"
    );
}

/// Stored values must stay readable: a change of this snapshot requires a new format number.
#[tokio::test]
async fn the_stored_form_is_pinned() {
    let store = MemoryStore::new();
    let state = open(&store).await;
    state
        .advance(&Term::alone(), &target(&state.view(), &documents(), 0), 7)
        .await
        .unwrap();
    let snapshot = store.snapshot().await.unwrap();
    let entries = read_all(&*snapshot, &KeyRange::prefix("v1/"))
        .await
        .unwrap();
    let lines: Vec<_> = entries
        .iter()
        .map(|e| format!("{} {}", e.key, String::from_utf8_lossy(&e.value)))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

/// Applies two targets with the store failing at one operation, then continues with what the next process finds.
async fn cut(at: u64, fault: Fault) -> bool {
    let store = MemoryStore::new();
    let state = open(&store).await;
    let old = target(&state.view(), &repo(&set(0..300)), 1);
    state.advance(&Term::alone(), &old, 0).await.unwrap();
    let new = target(&state.view(), &repo(&set(100..420)), 2);
    store.inject(at, fault);
    let before = store.operations();
    let result = state.advance(&Term::alone(), &new, 0).await;
    let reached = store.operations() >= before + at;
    let store = store.reopen().await;
    let state = open(&store).await;
    let read = state.view();
    match result {
        Ok(()) => assert_eq!(read.in_force.objects, *new.objects()),
        Err(_) => assert!(
            read.in_force.objects == *old.objects() || read.in_force.objects == *new.objects(),
            "half a target is in force after {fault:?} at {at}"
        ),
    }
    // A different commit is then applied, without a trace of the interrupted one.
    let third = target(&read, &repo(&set(10..20)), 3);
    state.advance(&Term::alone(), &third, 0).await.unwrap();
    state.collect_garbage(&Term::alone(), t(NOW)).await.unwrap();
    let last = open(&store.reopen().await).await.view();
    assert_eq!(last.in_force.objects, *third.objects());
    reached
}

#[tokio::test]
async fn cut_off_at_any_operation_the_old_or_the_new_state_is_in_force_and_the_next_commit_goes_through()
 {
    for fault in [
        Fault::Refuse,
        Fault::LoseAnswer,
        Fault::CrashBefore,
        Fault::CrashAfter,
    ] {
        let mut at = 1;
        while cut(at, fault).await {
            at += 1;
        }
        assert!(
            at > 4,
            "the pass has at least its batches to cut at, not {at}"
        );
    }
}

#[tokio::test]
async fn a_reader_never_sees_half_a_target() {
    let store = MemoryStore::new();
    let state = Arc::new(open(&store).await);
    let states: Vec<BTreeSet<u16>> = vec![set(0..200), set(150..400), set(0..1), set(50..350)];
    let whole: Vec<BTreeSet<String>> = states
        .iter()
        .chain([&BTreeSet::new()])
        .map(|numbers| numbers.iter().map(|n| format!("user-{n}")).collect())
        .collect();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let reader = {
        let (state, store) = (Arc::clone(&state), store.clone());
        tokio::spawn(async move {
            let mut seen = 0;
            let mut stopped = stopped;
            loop {
                for view in [state.view(), open(&store).await.view()] {
                    let users = view.in_force.objects.users.keys();
                    let users = users.filter(|n| n.as_str().starts_with("user-"));
                    let users: BTreeSet<String> = users.map(ToString::to_string).collect();
                    assert!(
                        whole.contains(&users),
                        "{} users are no commit's",
                        users.len()
                    );
                    seen += 1;
                }
                if stopped.try_recv().is_ok() {
                    return seen;
                }
                tokio::task::yield_now().await;
            }
        })
    };
    for round in 0..5u8 {
        for (n, numbers) in states.iter().enumerate() {
            let number = round * 10 + u8::try_from(n).unwrap() + 1;
            state
                .advance(
                    &Term::alone(),
                    &target(&state.view(), &repo(numbers), number),
                    0,
                )
                .await
                .unwrap();
            state.collect_garbage(&Term::alone(), t(NOW)).await.unwrap();
        }
    }
    stop.send(()).unwrap();
    assert!(reader.await.unwrap() > 10);
}

#[tokio::test]
async fn a_view_that_lost_its_watch_follows_again_although_the_store_fails_meanwhile() {
    let options = MemoryOptions {
        history: History {
            batches: 1,
            ..History::default()
        },
        ..MemoryOptions::default()
    };
    let store = MemoryStore::with(options);
    let state = open(&store).await;
    // Staging takes more transactions than the watch remembers, so the follower must read everything again, and that
    // fails a few times.
    for nth in 6..12 {
        store.inject(nth, Fault::Refuse);
    }
    let mut last = Err(());
    for number in 1..20 {
        let next = target(&state.view(), &repo(&set(0..400)), number);
        last = state
            .advance(&Term::alone(), &next, 0)
            .await
            .map_err(|_| ());
        if last.is_ok() {
            break;
        }
    }
    last.unwrap();
    assert_eq!(state.view().in_force.objects.users.len(), 403);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_followed_view_equals_what_a_new_process_reads(
        steps in prop::collection::vec(prop::collection::btree_set(0u16..40, 0..25), 1..6),
        collect in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = MemoryStore::new();
            let state = open(&store).await;
            for (number, numbers) in (1..).zip(&steps) {
                state.advance(&Term::alone(), &target(&state.view(), &repo(numbers), number), 0).await.unwrap();
                if collect {
                    state.collect_garbage(&Term::alone(), t(NOW)).await.unwrap();
                }
                let fresh = open(&store).await;
                assert_eq!(fresh.view().in_force, state.view().in_force);
            }
        });
    }
}
