//! Refusals on their way to the audit log. Anonymous callers can cause them, so only a limited number per minute is
//! recorded one by one, and the rest as a count: a flood of refusals cannot flush the log of what matters.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use banyan_core::Denial;
use banyan_core::audit::{Action, Actor, AuditEntry};
use banyan_identity::Caller;
use jiff::{SignedDuration, Timestamp};

use crate::audit::Audit;
use crate::ops::metrics::Metrics;

/// How many refusals are written down one by one in a window.
const EACH: u32 = 60;
const WINDOW: SignedDuration = SignedDuration::from_secs(60);

/// Refusals on their way to the audit log. Clones are the same.
#[derive(Clone)]
pub(crate) struct Denials(Arc<Shared>);

struct Shared {
    audit: Audit,
    metrics: Arc<Metrics>,
    /// Of callers who are not known, and of those who are: neither takes the other's room.
    budgets: Mutex<(Budget, Budget)>,
}

#[derive(Default)]
struct Budget {
    began: Option<Timestamp>,
    written: u32,
    passed_over: u64,
}

impl Budget {
    /// Whether one more is written down now, and how many were passed over in the window before.
    fn take(&mut self, now: Timestamp) -> (bool, u64) {
        let over = self
            .began
            .is_none_or(|began| now.duration_since(began).abs() >= WINDOW);
        let mut passed_over = 0;
        if over {
            passed_over = self.passed_over;
            *self = Self {
                began: Some(now),
                ..Self::default()
            };
        }
        let room = self.written < EACH;
        if room {
            self.written += 1;
        } else {
            self.passed_over = self.passed_over.saturating_add(1);
        }
        (room, passed_over)
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

    /// A call was refused before it was looked at.
    pub(crate) fn call(&self, path: &str, from: &str, caller: Option<&Caller>, denial: &Denial) {
        let now = crate::clock::now();
        let actor = caller.map_or(Actor::Nobody { claimed: None }, Caller::actor);
        let entry = AuditEntry::new(now, actor, Action::ACCESS_DENIED)
            .via(from)
            .on(path);
        self.record(entry.refused(&denial.to_string()), denial.cause());
    }

    /// Somebody was refused.
    pub(crate) fn record(&self, entry: AuditEntry, cause: &'static str) {
        self.0.metrics.denied(cause);
        let (unknown, known) = &mut *self.budgets();
        let budget = match entry.actor {
            Actor::Nobody { .. } => unknown,
            _ => known,
        };
        let (room, passed_over) = budget.take(entry.at);
        self.say_more(passed_over, entry.at);
        if room {
            self.0.audit.record(entry);
        }
    }

    /// Writes down how many were passed over; for when the engine stops.
    pub(crate) fn flush(&self) {
        let (unknown, known) = std::mem::take(&mut *self.budgets());
        self.say_more(unknown.passed_over + known.passed_over, crate::clock::now());
    }

    fn say_more(&self, passed_over: u64, at: Timestamp) {
        if passed_over > 0 {
            let entry = AuditEntry::new(at, Actor::Engine, Action::ACCESS_DENIED_MORE);
            let detail =
                format!("{passed_over} more were refused and are not written down one by one");
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
