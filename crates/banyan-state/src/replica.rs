//! A copy of the state on the engine's own disk, from which it serves machines if it starts without its store.
//!
//! A new pointer is on disk here before the live view shows it, so that an engine never falls back behind what it has
//! served. The copy contains what the view accepted, not out-of-band changes to the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use banyan_store::{Entry, Event, KeyRange, Op, Store, StoreError, Txn, read_all};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::StateError;
use crate::key::{POINTER, ROOT, is_of_the_moment};
use crate::stage::batches;

/// Identifies the original store.
const ORIGIN: &str = "replica/origin";
/// How many transactions can be queued for writing.
const BACKLOG: usize = 256;

/// A copy of the state in a local store.
pub struct Replica {
    store: Arc<dyn Store>,
}

impl Replica {
    /// Uses a store for a copy of the state of `origin`, a text that names the original. A copy of another original is
    /// emptied.
    ///
    /// # Errors
    /// The store failed.
    pub async fn open(store: Arc<dyn Store>, origin: &str) -> Result<Self, StateError> {
        let snapshot = store.snapshot().await?;
        let known = snapshot.get(ORIGIN).await?;
        if known.is_none_or(|entry| *entry.value != *origin.as_bytes()) {
            let entries = read_all(&*snapshot, &KeyRange::all()).await?;
            // The pointer first: a partly deleted copy must have nothing in force.
            let (first, rest): (Vec<_>, Vec<_>) =
                entries.into_iter().partition(|e| e.key == POINTER);
            let deletes = (first.into_iter().chain(rest)).map(|e| Op::Delete { key: e.key });
            write(&*store, deletes.collect()).await?;
            let origin = Txn::new().put(ORIGIN, origin.as_bytes());
            store.commit(origin).await?;
        }
        Ok(Self { store })
    }

    /// The entries of the copy.
    pub(crate) async fn entries(&self) -> Result<Vec<Entry>, StateError> {
        let snapshot = self.store.snapshot().await?;
        Ok(read_all(&*snapshot, &KeyRange::prefix(ROOT)).await?)
    }

    /// Starts a task that writes what it is sent.
    pub(crate) fn follow(self) -> Writer {
        let (jobs, queue) = mpsc::channel(BACKLOG);
        let task = AbortOnDropHandle::new(tokio::spawn(run(self.store, queue)));
        Writer { jobs, _task: task }
    }
}

/// The sending end of a replica.
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
    _task: AbortOnDropHandle<()>,
}

enum Job {
    /// The operations of one transaction.
    Some(Vec<Op>),
    /// The whole state.
    All(BTreeMap<String, Arc<[u8]>>),
    /// Reply whether everything is on disk.
    Flush(oneshot::Sender<bool>),
}

impl Writer {
    /// Sends the events of one transaction.
    pub(crate) async fn apply(&self, events: &[&Event]) {
        let ops: Vec<Op> = (events.iter())
            .filter(|event| !is_of_the_moment(event.key()))
            .map(|event| op(event))
            .collect();
        if !ops.is_empty() {
            // The task runs as long as this sender exists.
            let _ = self.jobs.send(Job::Some(ops)).await;
        }
    }

    /// Sends the whole state.
    pub(crate) async fn replace(&self, all: BTreeMap<String, Arc<[u8]>>) {
        let _ = self.jobs.send(Job::All(all)).await;
    }

    /// Waits until everything sent is on disk; `false` if it could not be written, so that the whole state must be sent
    /// again.
    pub(crate) async fn flush(&self) -> bool {
        let (done, answer) = oneshot::channel();
        let _ = self.jobs.send(Job::Flush(done)).await;
        answer.await.unwrap_or(false)
    }
}

fn op(event: &Event) -> Op {
    match event {
        Event::Put(entry) => Op::Put {
            key: entry.key.clone(),
            value: Arc::clone(&entry.value),
            lease: None,
        },
        Event::Delete { key } => Op::Delete { key: key.clone() },
    }
}

async fn run(store: Arc<dyn Store>, mut queue: mpsc::Receiver<Job>) {
    let mut whole = true;
    while let Some(job) = queue.recv().await {
        let result = match job {
            Job::Flush(done) => {
                let _ = done.send(whole);
                continue;
            }
            // After a gap, applying single transactions would produce an inconsistent copy.
            Job::Some(_) if !whole => continue,
            Job::Some(ops) => write(&*store, ops).await,
            Job::All(all) => replace(&*store, &all).await,
        };
        match result {
            Ok(()) => whole = true,
            Err(error) => {
                if whole {
                    warn!(%error, "the copy of the state on disk is out of date; an engine that starts without its store would serve an older state");
                }
                whole = false;
            }
        }
    }
}

async fn write(store: &dyn Store, ops: Vec<Op>) -> Result<(), StoreError> {
    for ops in batches(ops) {
        let txn = Txn {
            compares: Vec::new(),
            ops,
        };
        // Without compares there can be no conflict.
        store.commit(txn).await?;
    }
    Ok(())
}

/// Makes the copy equal to `all`: new entries first, then the pointer, then removals, so that a crash in between leaves
/// either the old or the new state.
async fn replace(store: &dyn Store, all: &BTreeMap<String, Arc<[u8]>>) -> Result<(), StoreError> {
    let snapshot = store.snapshot().await?;
    let known = read_all(&*snapshot, &KeyRange::prefix(ROOT)).await?;
    let known: BTreeMap<String, Arc<[u8]>> = known.into_iter().map(|e| (e.key, e.value)).collect();
    let differs = |(key, value): &(&String, &Arc<[u8]>)| known.get(*key) != Some(*value);
    let put = |(key, value): (&String, &Arc<[u8]>)| Op::Put {
        key: key.clone(),
        value: Arc::clone(value),
        lease: None,
    };
    let (last, first): (Vec<_>, Vec<_>) =
        (all.iter().filter(differs)).partition(|(key, _)| *key == POINTER);
    write(store, first.into_iter().map(put).collect()).await?;
    write(store, last.into_iter().map(put).collect()).await?;
    let gone = known.into_keys().filter(|key| !all.contains_key(key));
    write(store, gone.map(|key| Op::Delete { key }).collect()).await
}
