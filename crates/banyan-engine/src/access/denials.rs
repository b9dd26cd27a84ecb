//! Denials in the audit log. Anonymous callers can cause them, so only a limited number per minute is recorded
//! individually, and the rest as a count: a flood of denials cannot flush the log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use banyan_core::Denial;
use banyan_core::audit::{Action, Actor, AuditEntry};
use banyan_identity::Caller;
use jiff::{SignedDuration, Timestamp};

use crate::audit::Audit;
use crate::ops::metrics::Metrics;

/// How many denials are recorded individually in a window.
const EACH: u32 = 60;
const WINDOW: SignedDuration = SignedDuration::from_secs(60);

/// Records denials. Clones share their budgets.
#[derive(Clone)]
pub(crate) struct Denials(Arc<Shared>);

struct Shared {
    audit: Audit,
    metrics: Arc<Metrics>,
    /// For unauthenticated and for authenticated callers: neither uses up the other's.
    budgets: Mutex<(Budget, Budget)>,
}

#[derive(Default)]
struct Budget {
    began: Option<Timestamp>,
    written: u32,
    skipped: u64,
}

impl Budget {
    /// Whether one more is recorded now, and how many were skipped in the previous window.
    fn take(&mut self, now: Timestamp) -> (bool, u64) {
        let over = self
            .began
            .is_none_or(|began| now.duration_since(began).abs() >= WINDOW);
        let mut skipped = 0;
        if over {
            skipped = self.skipped;
            *self = Self {
                began: Some(now),
                ..Self::default()
            };
        }
        let room = self.written < EACH;
        if room {
            self.written += 1;
        } else {
            self.skipped = self.skipped.saturating_add(1);
        }
        (room, skipped)
    }
}

impl Denials {
    pub(crate) fn new(audit: Audit, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Shared {
            audit,
            metrics,
            budgets: Mutex::default(),
        }))
    }

    /// Records a call that the gate denied.
    pub(crate) fn call(&self, path: &str, from: &str, caller: Option<&Caller>, denial: &Denial) {
        let now = crate::clock::now();
        let actor = caller.map_or(Actor::Nobody { claimed: None }, Caller::actor);
        let entry = AuditEntry::new(now, actor, Action::ACCESS_DENIED)
            .via(from)
            .on(path);
        self.record(entry.refused(&denial.to_string()), denial.cause());
    }

    /// Records a denial.
    pub(crate) fn record(&self, entry: AuditEntry, cause: &'static str) {
        self.0.metrics.denied(cause);
        let (unknown, known) = &mut *self.budgets();
        let budget = match entry.actor {
            Actor::Nobody { .. } => unknown,
            _ => known,
        };
        let (room, skipped) = budget.take(entry.at);
        self.say_more(skipped, entry.at);
        if room {
            self.0.audit.record(entry);
        }
    }

    /// Records how many were skipped; called when the engine stops.
    pub(crate) fn flush(&self) {
        let (unknown, known) = std::mem::take(&mut *self.budgets());
        self.say_more(unknown.skipped + known.skipped, crate::clock::now());
    }

    fn say_more(&self, skipped: u64, at: Timestamp) {
        if skipped > 0 {
            let entry = AuditEntry::new(at, Actor::Engine, Action::ACCESS_DENIED_MORE);
            let detail = format!("{skipped} more were denied and are not recorded individually");
            self.0.audit.record(entry.detail(&detail));
        }
    }

    fn budgets(&self) -> MutexGuard<'_, (Budget, Budget)> {
        self.0
            .budgets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_takes_few_entries_and_its_size_is_told() {
        let start = Timestamp::UNIX_EPOCH;
        let mut budget = Budget::default();
        let mut written = 0;
        for n in 0..1000 {
            let (room, told) = budget.take(start + SignedDuration::from_millis(n));
            written += u32::from(room);
            assert_eq!(told, 0);
        }
        assert_eq!(written, EACH);
        let (room, told) = budget.take(start + WINDOW);
        assert_eq!((room, told), (true, 1000 - u64::from(EACH)));
        assert_eq!(budget.take(start + WINDOW + WINDOW), (true, 0));
    }
}
