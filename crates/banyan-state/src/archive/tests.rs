//! Archives over the strict in-memory store, which fails on demand.

mod audit;
mod file;
mod migrate;
mod restore;

use std::sync::Arc;
use std::time::Duration;

use banyan_core::fixture::{commit, documents, lenient, t, user};
use banyan_core::{admit, check};
use banyan_store::{Fault, MemoryStore, Store, Txn};
use proptest::prelude::*;

use super::*;

use crate::Unfit;
use crate::key::{FLOOR, POINTER};

const NOW: &str = "2026-01-01T00:00:00Z";
const LATER: &str = "2026-01-02T00:00:00Z";
const FAULTS: [Fault; 4] = [
    Fault::Refuse,
    Fault::LoseAnswer,
    Fault::CrashBefore,
    Fault::CrashAfter,
];

/// Applies a commit with this many more users.
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

/// The durable entries of a store, except the floor.
async fn state(store: &MemoryStore) -> Values {
    let mut values = lasting(&entries(store).await);
    values.remove(FLOOR);
    values
}

/// Whether an engine would run on the store and find a previous state.
async fn usable(store: &MemoryStore) -> bool {
    let entries = entries(store).await;
    unfit(&entries).unwrap().is_none() && find(&entries, POINTER).is_some()
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
