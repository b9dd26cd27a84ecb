//! The copy on disk, which an engine serves if it starts without its store.

use super::*;
use crate::{Options, Replica};

async fn with_copy(store: &MemoryStore, copy: &MemoryStore, origin: &str) -> State {
    let replica = Replica::open(Arc::new(copy.clone()), origin).await.unwrap();
    let options = Options {
        probe: None,
        replica: Some(replica),
        may_start_without: true,
    };
    State::open_with(Arc::new(store.clone()), options)
        .await
        .unwrap()
}

/// A store that does not answer at all.
fn dead() -> MemoryStore {
    let store = MemoryStore::new();
    for nth in 1..1_000 {
        store.inject(nth, Fault::Refuse);
    }
    store
}

#[tokio::test]
async fn an_engine_without_its_store_serves_what_was_last_in_force() {
    let (store, copy) = (MemoryStore::new(), MemoryStore::new());
    let state = with_copy(&store, &copy, "here").await;
    for (number, users) in [(1, 0..300), (2, 40..280), (3, 50..60)] {
        let target = target(&state.view(), &repo(&set(users)), number);
        state.advance(&Term::alone(), &target, 0).await.unwrap();
        state.collect_garbage(&Term::alone(), t(NOW)).await.unwrap();
        // At any time, since it may be stopped at any time.
        let offline = with_copy(&dead(), &copy, "here").await;
        assert_eq!(offline.view().in_force, state.view().in_force);
        assert!(!offline.view().suspect);
        assert!(!offline.freshness().borrow().following);
    }
}

#[tokio::test]
async fn out_of_band_changes_are_not_in_the_copy() {
    let (store, copy) = (MemoryStore::new(), MemoryStore::new());
    let state = with_copy(&store, &copy, "here").await;
    let first = target(&state.view(), &repo(&set(0..30)), 1);
    state.advance(&Term::alone(), &first, 0).await.unwrap();
    let txn = Txn::new().delete("v1/record/00000000000000000001/user/user-3");
    store.commit(txn).await.unwrap();
    let second = target(&state.view(), &repo(&set(0..31)), 2);
    state.advance(&Term::alone(), &second, 0).await.unwrap();
    let offline = with_copy(&dead(), &copy.reopen().await, "here").await;
    assert_eq!(offline.view().in_force, state.view().in_force);
}

#[tokio::test]
async fn the_copy_of_another_store_is_not_served() {
    let (store, copy) = (MemoryStore::new(), MemoryStore::new());
    let state = with_copy(&store, &copy, "here").await;
    let first = target(&state.view(), &repo(&set(0..30)), 1);
    state.advance(&Term::alone(), &first, 0).await.unwrap();
    drop(state);
    let offline = with_copy(&dead(), &copy.reopen().await, "there").await;
    assert_eq!(offline.view().in_force.applied, None);
}

#[tokio::test]
async fn a_copy_that_missed_something_is_complete_again_after_the_next_commit() {
    let (store, copy) = (MemoryStore::new(), MemoryStore::new());
    let state = with_copy(&store, &copy, "here").await;
    let first = target(&state.view(), &repo(&set(0..300)), 1);
    state.advance(&Term::alone(), &first, 0).await.unwrap();
    for nth in 1..3 {
        copy.inject(nth, Fault::Refuse);
    }
    for number in 2..5 {
        let next = target(&state.view(), &repo(&set(u16::from(number)..300)), number);
        state.advance(&Term::alone(), &next, 0).await.unwrap();
    }
    let offline = with_copy(&dead(), &copy.reopen().await, "here").await;
    assert_eq!(offline.view().in_force, state.view().in_force);
}

#[tokio::test]
async fn the_store_is_followed_as_soon_as_it_answers() {
    let (store, copy) = (MemoryStore::new(), MemoryStore::new());
    let other = open(&store).await;
    let first = target(&other.view(), &repo(&set(0..30)), 1);
    other.advance(&Term::alone(), &first, 0).await.unwrap();
    for nth in 1..4 {
        store.inject(nth, Fault::Refuse);
    }
    let state = with_copy(&store, &copy, "here").await;
    assert_eq!(state.view().in_force.applied, None);
    let mut freshness = state.freshness();
    freshness.wait_for(|f| f.following).await.unwrap();
    assert_eq!(state.view().in_force, other.view().in_force);
}
