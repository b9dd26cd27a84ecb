//! Fills a store from an archive, so that a crash at any instant leaves a store that is unchanged, complete, or marked
//! as one that no engine may run on.
//!
//! First a mark is written; then everything but the pointer, in bounded transactions; it is read back and compared; one
//! last transaction writes the pointer and removes the mark. Each transaction compares the mark's revision: if two
//! processes fill one store, the later one continues and the earlier one stops.

use std::sync::Arc;

use banyan_core::Floor;
use banyan_store::{Compare, Entry, Op, Outcome, Revision, Store, StoreError, Txn};
use jiff::Timestamp;

use super::content::digest;
use super::{
    Archive, ArchiveError, Summary, Values, find, lasting, outlives_restore, read, restored,
};
use crate::key::{ALIVE, FLOOR, POINTER};
use crate::marks::{MOVED, Moved, RESTORING, Restoring, moved, restoring};
use crate::stage::batches;
use crate::{Unfit, Work};
use crate::{audit, stored};

/// The result of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// What was moved.
    pub summary: Summary,
    /// The time of an earlier migration, if it was already done.
    pub earlier: Option<Timestamp>,
}

/// Fills a store from a backup. Afterwards only the backup's own commit is applied until an operator accepts another.
/// If interrupted, run it again with the same archive.
///
/// With `replace`, the store's existing state is lost.
///
/// # Errors
/// If the store has a state and `replace` is not set, engines are running on it, or it fails.
pub async fn restore(
    store: &dyn Store,
    archive: &Archive,
    replace: bool,
    at: Timestamp,
) -> Result<(), ArchiveError> {
    let mut values = archive.entries.clone();
    values.retain(|key, _| outlives_restore(key));
    for (key, value) in &mut values {
        *value = restored(key, value)?;
    }
    let floor = stored::encode(&Floor::Restored { at })?;
    values.insert(FLOOR.to_owned(), floor);
    let mut dated = audit::note_restored(&mut values, archive.summary.made_at, at)?;
    dated.push(FLOOR.to_owned());
    let found = read(store).await?;
    if is_restored(&found, &values, &dated)? {
        return Ok(());
    }
    let filling = Filling {
        store,
        values: &values,
        mark: mark(Work::Restore, archive, at),
    };
    let (fence, found) = filling.begin(found, replace).await?;
    filling.fill(&fence, &found).await?;
    filling.finish(&fence).await
}

/// Moves the state of one store to another, empty one, and marks the first so that no engine runs on it any more.
/// `name` tells operators where the other store is. If interrupted, run it again.
///
/// The source is marked before the target becomes usable, so the two are never usable at the same
/// time.
///
/// # Errors
/// If the target has a state, engines are running on it, or one of the stores fails.
pub async fn migrate(
    from: &dyn Store,
    to: &dyn Store,
    name: &str,
    at: Timestamp,
) -> Result<Migrated, ArchiveError> {
    let source = read(from).await?;
    if let Some(Restoring { work, at, .. }) = restoring(&source)? {
        return Err(Unfit::Unfinished { work, at }.into());
    }
    let archive = Archive::of(&source, at)?;
    let summary = archive.summary.clone();
    let target = read(to).await?;
    match moved(&source)? {
        Some(moved) if find(&target, POINTER).is_some() => return earlier(moved, name, summary),
        _ => {}
    }
    let filling = Filling {
        store: to,
        values: &archive.entries,
        mark: mark(Work::Migration, &archive, at),
    };
    let (fence, target) = filling.begin(target, false).await?;
    filling.fill(&fence, &target).await?;
    leave(from, name, at).await?;
    if let Err(error) = filling.finish(&fence).await {
        return Err(filling.stay(&fence, from, error).await);
    }
    Ok(Migrated {
        summary,
        earlier: None,
    })
}

/// The source was left earlier and the target is in use.
fn earlier(moved: Moved, name: &str, summary: Summary) -> Result<Migrated, ArchiveError> {
    let Moved { to, at } = moved;
    if to != name {
        return Err(Unfit::Moved { to, at }.into());
    }
    Ok(Migrated {
        summary,
        earlier: Some(at),
    })
}

fn mark(work: Work, archive: &Archive, at: Timestamp) -> Restoring {
    let content = digest(&archive.entries);
    Restoring { work, content, at }
}

/// Whether the restore was already done: the store has the expected entries, except for the times in the `dated` ones.
fn is_restored(found: &[Entry], values: &Values, dated: &[String]) -> Result<bool, ArchiveError> {
    let Some(floor) = find(found, FLOOR) else {
        return Ok(false);
    };
    let floor = serde_json::from_slice(&floor.value);
    let restored = matches!(floor, Ok(Floor::Restored { .. }));
    let fits = crate::marks::unfit(found)?.is_none();
    let dated: Vec<&str> = dated.iter().map(String::as_str).collect();
    Ok(restored && fits && difference(&lasting(found), values, &dated).is_none())
}

/// The first key, except the ones in `but`, whose value differs between two states.
fn difference(one: &Values, other: &Values, but: &[&str]) -> Option<String> {
    let keys = one.keys().chain(other.keys());
    let mut differing = keys.filter(|key| one.get(*key) != other.get(*key));
    differing.find(|key| !but.contains(&key.as_str())).cloned()
}

async fn leave(from: &dyn Store, name: &str, at: Timestamp) -> Result<(), ArchiveError> {
    let to = name.to_owned();
    let moved = stored::encode(&Moved { to, at })?;
    from.commit(Txn::new().put(MOVED, moved)).await?;
    Ok(())
}

/// One store being filled.
struct Filling<'a> {
    store: &'a dyn Store,
    values: &'a Values,
    mark: Restoring,
}

impl Filling<'_> {
    /// Refuses a store that must not be filled; otherwise marks it. Returns the fence, and the store's current content.
    async fn begin(
        &self,
        found: Vec<Entry>,
        replace: bool,
    ) -> Result<(Compare, Vec<Entry>), ArchiveError> {
        refuse_running(&found)?;
        self.refuse_in_force(&found, replace)?;
        let before = find(&found, RESTORING).map_or(Revision(0), |entry| entry.modified);
        let mark = Txn::new()
            .when(unchanged(RESTORING, before))
            .put(RESTORING, stored::encode(&self.mark)?);
        let fence = match self.store.commit(mark).await? {
            Outcome::Committed(revision) => unchanged(RESTORING, revision),
            Outcome::Conflict { .. } => return Err(ArchiveError::Overtaken),
        };
        // An engine that started before it could see the mark would show up now; nothing has been lost yet.
        // yet.
        let found = read(self.store).await?;
        if let Err(error) = refuse_running(&found) {
            if before == Revision(0) {
                self.commit(&fence, vec![delete(RESTORING)]).await?;
            }
            return Err(error);
        }
        Ok((fence, found))
    }

    /// The state in force may be overwritten if `replace` was requested, now or when the interrupted run was started.
    fn refuse_in_force(&self, found: &[Entry], replace: bool) -> Result<(), ArchiveError> {
        if replace {
            return Ok(());
        }
        match (restoring(found)?, find(found, POINTER)) {
            (Some(earlier), _) if earlier.work != self.mark.work => {
                let Restoring { work, at, .. } = earlier;
                Err(Unfit::Unfinished { work, at }.into())
            }
            (Some(earlier), Some(_)) if earlier.content == self.mark.content => Ok(()),
            (_, None) => Ok(()),
            (_, Some(pointer)) => {
                let applied = stored::pointer(POINTER, &pointer.value)?.applied;
                Err(ArchiveError::InForce {
                    generation: applied.generation,
                    commit: applied.commit.id,
                })
            }
        }
    }

    /// Writes everything except the pointer and the entries that go with it.
    async fn fill(&self, fence: &Compare, found: &[Entry]) -> Result<(), ArchiveError> {
        let there = found.iter().filter(|entry| entry.key != RESTORING);
        let gone = there.filter(|entry| self.is_gone(entry));
        let deletes = gone.map(|entry| delete(&entry.key));
        let records = self.values.iter().filter(|(key, _)| !is_last(key));
        let puts = records.map(|(key, value)| put(key, value));
        for ops in batches(deletes.chain(puts)) {
            self.commit(fence, ops).await?;
        }
        let written = read(self.store).await?;
        refuse_running(&written)?;
        match difference(&lasting(&written), self.values, &[POINTER, FLOOR]) {
            None => Ok(()),
            Some(key) => Err(ArchiveError::Different { key }),
        }
    }

    /// Whether an entry of the store must be deleted first. Leased entries expire on their own.
    fn is_gone(&self, entry: &Entry) -> bool {
        let stays = self.values.contains_key(&entry.key) && !is_last(&entry.key);
        entry.lease.is_none() && !stays
    }

    /// Makes the store usable, in one transaction.
    async fn finish(&self, fence: &Compare) -> Result<(), ArchiveError> {
        let last = self.values.iter().filter(|(key, _)| is_last(key));
        let mut ops: Vec<Op> = last.map(|(key, value)| put(key, value)).collect();
        ops.push(delete(RESTORING));
        match self.commit(fence, ops).await {
            Err(ArchiveError::State(error)) => match self.is_finished().await {
                Ok(true) => Ok(()),
                _ => Err(error.into()),
            },
            done => done,
        }
    }

    /// Whether the last transaction was committed although its response was lost.
    async fn is_finished(&self) -> Result<bool, ArchiveError> {
        let found = read(self.store).await?;
        let pointer = find(&found, POINTER).map(|entry| &entry.value);
        let here = pointer.is_some() && pointer == self.values.get(POINTER);
        Ok(here && restoring(&found)?.is_none())
    }

    /// After the last transaction failed: the source becomes usable again if the target never can.
    async fn stay(&self, fence: &Compare, from: &dyn Store, error: ArchiveError) -> ArchiveError {
        let never = match &error {
            ArchiveError::Overtaken => true,
            _ => self.call_off(fence).await.is_ok(),
        };
        if never {
            // If this fails too, the mark stays, and running the migration again resolves it.
            let _: Result<Outcome, StoreError> = from.commit(Txn::new().delete(MOVED)).await;
        }
        error
    }

    /// Renews the mark, so that a last transaction still in flight fails.
    async fn call_off(&self, fence: &Compare) -> Result<(), ArchiveError> {
        let mark = stored::encode(&self.mark)?;
        self.commit(fence, vec![put(RESTORING, &mark)]).await
    }

    async fn commit(&self, fence: &Compare, ops: Vec<Op>) -> Result<(), ArchiveError> {
        let txn = Txn {
            compares: vec![fence.clone()],
            ops,
        };
        match self.store.commit(txn).await? {
            Outcome::Committed(_) => Ok(()),
            Outcome::Conflict { .. } => Err(ArchiveError::Overtaken),
        }
    }
}

/// Whether a key is written by the last transaction.
fn is_last(key: &str) -> bool {
    key == POINTER || key == FLOOR
}

fn refuse_running(found: &[Entry]) -> Result<(), ArchiveError> {
    let alive = found.iter().filter_map(|e| e.key.strip_prefix(ALIVE));
    let names: Vec<String> = alive.map(str::to_owned).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(ArchiveError::EnginesRun { names })
}

fn unchanged(key: &str, at: Revision) -> Compare {
    let key = key.to_owned();
    Compare::Modified { key, at }
}

fn delete(key: &str) -> Op {
    let key = key.to_owned();
    Op::Delete { key }
}

fn put(key: &str, value: &Arc<[u8]>) -> Op {
    Op::Put {
        key: key.to_owned(),
        value: Arc::clone(value),
        lease: None,
    }
}
