//! Changes of users under compare-and-set.
//!
//! A change is decided on the live view and committed only if nothing it touches has changed since. Changes to
//! permissions also compare one counter, as the pointer's flip does: if two engines, or a call and a commit, would each
//! remove what the other relies on, one must decide again.

use std::sync::Arc;
use std::time::Duration;

use banyan_core::people::Write;
use banyan_store::{Compare, MAX_OPS, Op, Outcome, Revision, Txn};

use crate::key::{ACCOUNTS, PEOPLE, POINTER, SESSIONS, SIGNING_KEYS, USERS};
use crate::people::unchanged;
use crate::{State, StateError, View, stored};

/// How many times a change is decided again after a conflict.
const ATTEMPTS: u32 = 24;
/// How long to wait for the view to show the conflicting write before retrying anyway.
const CATCH_UP: Duration = Duration::from_millis(500);

/// What a change depends on besides what it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Nothing else: it changes no permissions.
    Own,
    /// The set of users and their permissions.
    Powers,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError<E> {
    /// `decide` refused it.
    #[error(transparent)]
    Refused(E),
    /// It could not be written.
    #[error(transparent)]
    State(StateError),
}

/// The key that a write concerns.
fn key_of(write: &Write) -> String {
    match write {
        Write::User(name, _) => format!("{USERS}{name}"),
        Write::Account(id, _) => format!("{ACCOUNTS}{id}"),
        Write::Session(id, _) => format!("{SESSIONS}{id}"),
        Write::SigningKey(id, _) => format!("{SIGNING_KEYS}{id}"),
    }
}

/// The stored form of what is written; `None` if the key is deleted.
fn value_of(write: &Write) -> Result<Option<Arc<[u8]>>, StateError> {
    match write {
        Write::User(_, value) => value.as_ref().map(stored::encode),
        Write::Account(_, value) => value.as_ref().map(stored::encode),
        Write::Session(_, value) => value.as_ref().map(stored::encode),
        Write::SigningKey(_, value) => value.as_ref().map(stored::encode),
    }
    .transpose()
}

impl State {
    /// The maximum number of writes in one change.
    pub const MAX_WRITES: usize = MAX_OPS - 8;

    /// Makes a change that `decide` computes from the current view. If something the change depends on has changed in
    /// the store, `decide` is called again. On return, the view shows the change and it is on disk.
    ///
    /// # Errors
    /// If `decide` refused it, or the store failed. With a remote store, the change may have been written despite an
    /// error.
    pub async fn change<T, E>(
        &self,
        scope: Scope,
        mut decide: impl FnMut(&View) -> Result<(Vec<Write>, T), E>,
    ) -> Result<T, ChangeError<E>> {
        // Changes on this engine need not conflict with each other.
        let _turn = match scope {
            Scope::Own => None,
            Scope::Powers => Some(self.powers.lock().await),
        };
        for _ in 0..ATTEMPTS {
            let (decided_at, txn, outcome) = {
                let builder = self.builder();
                let (writes, outcome) = decide(builder.current()).map_err(ChangeError::Refused)?;
                if writes.is_empty() {
                    return Ok(outcome);
                }
                let held = |key: &str| builder.people_at(key);
                let txn = transaction(&writes, scope, builder.pointer_at(), held);
                (
                    builder.current().revision,
                    txn.map_err(ChangeError::State)?,
                    outcome,
                )
            };
            let written = self.store().commit(txn).await;
            match written.map_err(|error| ChangeError::State(error.into()))? {
                Outcome::Committed(revision) => {
                    let seen = self.wait_for(revision).await;
                    return seen.map(|()| outcome).map_err(ChangeError::State);
                }
                Outcome::Conflict { .. } => self.wait_past(decided_at).await,
            }
        }
        Err(ChangeError::State(StateError::Conflict {
            what: "other writers keep changing the same entry".to_owned(),
        }))
    }

    /// Blocks this engine's other permission changes while the returned guard is held.
    pub async fn hold_people(&self) -> impl Drop + Send + '_ {
        self.powers.lock().await
    }

    /// Waits, up to a limit, for a newer view.
    async fn wait_past(&self, revision: Revision) {
        let mut seen = self.changes();
        let newer = seen.wait_for(|at| *at > revision);
        // Without a newer view, the next attempt fails the same way and finally reports it.
        let _ = tokio::time::timeout(CATCH_UP, newer).await;
    }
}

fn transaction(
    writes: &[Write],
    scope: Scope,
    pointer: Revision,
    held: impl Fn(&str) -> Revision,
) -> Result<Txn, StateError> {
    let mut txn = Txn::new();
    for write in writes {
        let key = key_of(write);
        txn = txn.when(Compare::Modified {
            at: held(&key),
            key: key.clone(),
        });
        txn.ops.push(match value_of(write)? {
            Some(value) => Op::Put {
                key,
                value,
                lease: None,
            },
            None => Op::Delete { key },
        });
    }
    if scope == Scope::Powers {
        txn = txn.when(unchanged(held(PEOPLE))).put(PEOPLE, *b"1");
        txn = txn.when(Compare::Modified {
            key: POINTER.to_owned(),
            at: pointer,
        });
    }
    Ok(txn)
}

#[cfg(test)]
mod tests;
