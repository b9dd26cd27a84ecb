//! Fault injection: which operation fails, and how. Knows nothing about the operations themselves.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::StoreError;

/// How an operation of a [`MemoryStore`](crate::MemoryStore) fails. The caller always gets
/// [`StoreError::Unavailable`] and cannot tell the cases apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation is not done; the next one works again.
    Refuse,
    /// The operation is done, but its answer is lost; the next one works again.
    LoseAnswer,
    /// The store crashes before the operation: from then on everything fails and watches end.
    CrashBefore,
    /// The store crashes after the operation, before the answer.
    CrashAfter,
}

impl Fault {
    pub(super) fn crashes_before(self) -> bool {
        self == Self::CrashBefore
    }

    pub(super) fn prevents(self) -> bool {
        matches!(self, Self::Refuse | Self::CrashBefore)
    }
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    count: AtomicU64,
    planned: Mutex<BTreeMap<u64, Fault>>,
    crashed: AtomicBool,
}

impl Faults {
    pub(super) fn inject(&self, nth: u64, fault: Fault) {
        let at = self.operations().saturating_add(nth);
        self.planned().insert(at, fault);
    }

    /// Counts an operation and returns the fault planned for it.
    pub(super) fn next(&self) -> Option<Fault> {
        let this = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        self.planned().remove(&this)
    }

    pub(super) fn operations(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    pub(super) fn crash(&self) {
        self.crashed.store(true, Ordering::SeqCst);
    }

    pub(super) fn crashed(&self) -> bool {
        self.crashed.load(Ordering::SeqCst)
    }

    fn planned(&self) -> MutexGuard<'_, BTreeMap<u64, Fault>> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn error(doing: &'static str) -> StoreError {
    StoreError::unavailable(doing, "a fault was injected")
}
