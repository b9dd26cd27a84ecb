//! Records ended sessions, and removes what is no longer needed. Runs on the leader.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use banyan_core::audit::{Action, Actor, AuditEntry};
use banyan_core::people::{Directory, Write};
use banyan_identity::reap::{Over, forgotten, next, orphans, over, void};
use banyan_state::{ChangeError, Leadership, Scope, State, View};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::audit::Audit;

/// The greatest age of a view in which what is missing is gone.
const FRESH: Duration = Duration::from_secs(5);
/// The pause after the store failed, or while the view cannot be judged.
const RETRY: Duration = Duration::from_secs(1);
/// Changes within this time are handled together.
const TOGETHER: Duration = Duration::from_millis(50);
/// How long an engine that does not lead sleeps, in seconds.
const LONGEST: u64 = 3600;

/// The task.
pub(crate) struct SessionReaper {
    pub(crate) state: Arc<State>,
    pub(crate) role: watch::Receiver<Leadership>,
    pub(crate) audit: Audit,
}

impl SessionReaper {
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.state.changes();
        loop {
            changes.mark_unchanged();
            self.role.mark_unchanged();
            let pause = self.tidy(crate::clock::now()).await;
            tokio::select! {
                () = stop.cancelled() => return,
                changed = changes.changed() => if changed.is_err() { return },
                () = Leadership::changed(&mut self.role) => {}
                () = tokio::time::sleep(pause) => continue,
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(TOGETHER) => {}
            }
        }
    }

    /// One round; returns how long there is nothing to do unless something changes.
    async fn tidy(&self, now: Timestamp) -> Duration {
        if self.role.borrow().term().is_none() {
            return Duration::from_secs(LONGEST);
        }
        if !self.is_fresh() || !can_judge(&self.state.view()) {
            return RETRY;
        }
        match self.all(now).await {
            Ok(()) => until(now, next(self.state.view().directory(), now)),
            Err(error) => {
                let error = crate::report(&error);
                warn!(error, "ended sessions could not be recorded; trying again");
                RETRY
            }
        }
    }

    fn is_fresh(&self) -> bool {
        self.state.age().is_some_and(|age| age < FRESH)
    }

    async fn all(&self, now: Timestamp) -> Result<(), ChangeError<Infallible>> {
        loop {
            let decide = |view: &View| Ok(judged(view, |at| over(at, State::MAX_WRITES, now)));
            let over = self.state.change(Scope::Own, decide).await?;
            for over in &over {
                self.record(over, now);
            }
            if over.is_empty() {
                break;
            }
            info!(sessions = over.len(), "sessions ended");
        }
        loop {
            let decide = |view: &View| Ok(judged(view, |at| void(at, State::MAX_WRITES, now)));
            let void = self.state.change(Scope::Own, decide).await?;
            for user in &void {
                let entry = AuditEntry::new(now, Actor::Engine, Action::USER_CODE_VOID);
                self.audit.record(entry.on(&format!("user {user}")));
            }
            if void.is_empty() {
                break;
            }
        }
        let old = |view: &View| Ok(any(forgotten(view.directory(), State::MAX_WRITES, now)));
        while self.state.change(Scope::Own, old).await? {}
        // A user that comes into force at this very instant must not lose the account.
        let gone = |view: &View| Ok(judged(view, |at| any(orphans(at, State::MAX_WRITES))));
        while self.state.change(Scope::Powers, gone).await? {}
        Ok(())
    }

    fn record(&self, over: &Over, now: Timestamp) {
        let entry = AuditEntry::new(now, Actor::Engine, Action::SESSION_END);
        let object = format!("user {}", over.user);
        let detail = format!("session {}: {}", over.id, over.because);
        self.audit.record(entry.on(&object).detail(&detail));
    }
}

/// A decision on the view, or none if it cannot be judged.
fn judged<T: Default>(
    view: &View,
    decide: impl FnOnce(Directory<'_>) -> (Vec<Write>, T),
) -> (Vec<Write>, T) {
    match can_judge(view) {
        true => decide(view.directory()),
        false => Default::default(),
    }
}

/// The writes, and whether there are any.
fn any(writes: Vec<Write>) -> (Vec<Write>, bool) {
    let any = !writes.is_empty();
    (writes, any)
}

/// Whether what is missing in the view is gone: not before anything is in force, and not while the records differ from
/// those that were applied.
fn can_judge(view: &View) -> bool {
    view.in_force.applied.is_some() && !view.suspect && view.tampered.is_empty()
}

fn until(now: Timestamp, then: Timestamp) -> Duration {
    let pause = Duration::try_from(then.duration_since(now)).unwrap_or_default();
    // A moment later: at the very instant it is not over by every clock.
    pause.max(TOGETHER)
}

#[cfg(test)]
mod tests;
