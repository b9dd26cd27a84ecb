//! Ends what is over: writes down when and why sessions ended that nobody ended by a call, and removes what is of no use
//! to anybody any more. The leader's work.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use banyan_core::audit::{Action, Actor, AuditEntry};
use banyan_core::people::{EndReason, Session};
use banyan_core::{Name, SessionId, UserId};
use banyan_state::{ChangeError, Leadership, Scope, State, View, Write};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::keys::{expired, later, next_expiry};
use super::{ChangeRefused, Decision};
use crate::audit::Audit;

/// How long it is kept that a session ended.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How old the view may be for what is not in it to be gone.
const FRESH: Duration = Duration::from_secs(5);
/// How long to wait after the store refused, or while nothing may be judged.
const RETRY: Duration = Duration::from_secs(1);
/// Changes that come one upon the other are looked at together.
const TOGETHER: Duration = Duration::from_millis(50);
/// The longest sleep: clocks are set.
const LONGEST: SignedDuration = SignedDuration::from_hours(1);

/// The task.
pub(crate) struct SessionReaper {
    pub(crate) state: Arc<State>,
    pub(crate) role: watch::Receiver<Leadership>,
    pub(crate) audit: Audit,
}

/// Whose session ended, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Over {
    id: SessionId,
    user: Name,
    because: EndReason,
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

    /// Does what is to be done; gives how long there is nothing to do unless something changes.
    async fn tidy(&self, now: Timestamp) -> Duration {
        if self.role.borrow().term().is_none() {
            return until(now, later(now, LONGEST));
        }
        if !self.is_fresh() || !can_judge(&self.state.view()) {
            return RETRY;
        }
        match self.all(now).await {
            Ok(()) => until(now, next(&self.state.view(), now)),
            Err(error) => {
                let error = crate::report(&error);
                warn!(
                    error,
                    "what is over could not be written down and will be tried again"
                );
                RETRY
            }
        }
    }

    fn is_fresh(&self) -> bool {
        self.state.age().is_some_and(|age| age < FRESH)
    }

    async fn all(&self, now: Timestamp) -> Result<(), ChangeError<ChangeRefused>> {
        loop {
            let over = self
                .state
                .change(Scope::Own, |view| over(view, now))
                .await?;
            for over in &over {
                self.record(over, now);
            }
            if over.is_empty() {
                break;
            }
            info!(sessions = over.len(), "sessions ended");
        }
        while self
            .state
            .change(Scope::Own, |view| forgotten(view, now))
            .await?
        {}
        // A user that comes into force at this very instant must not lose the account.
        while self.state.change(Scope::Powers, orphans).await? {}
        Ok(())
    }

    fn record(&self, over: &Over, now: Timestamp) {
        let entry = AuditEntry::new(now, Actor::Engine, Action::SESSION_END);
        let object = format!("user {}", over.user);
        let detail = format!("session {}: {}", over.id, over.because);
        self.audit.record(entry.on(&object).detail(&detail));
    }
}

/// Whether what is not in the view is gone: not so before anything is in force, and not while the records are not those
/// that were applied.
fn can_judge(view: &View) -> bool {
    view.in_force.applied.is_some() && !view.suspect && view.tampered.is_empty()
}

/// Writes down the ends of sessions, as many as one change takes.
fn over(view: &View, now: Timestamp) -> Decision<Vec<Over>> {
    if !can_judge(view) {
        return Ok((Vec::new(), Vec::new()));
    }
    let directory = view.directory();
    let open = view.people.sessions.iter();
    let open = open.filter(|(_, session)| session.ended.is_none());
    let (writes, over) = open
        .filter_map(|(id, session)| Some((id, session, directory.session_end(session, now)?)))
        .take(State::MAX_WRITES)
        .map(|(id, session, ended)| {
            let over = Over {
                id: id.clone(),
                user: session.name.clone(),
                because: ended.because,
            };
            let session = Session {
                ended: Some(ended),
                ..Session::clone(session)
            };
            (Write::Session(id.clone(), Some(session)), over)
        })
        .unzip();
    Ok((writes, over))
}

/// Removes sessions that ended long ago and keys that nobody accepts; whether there were any.
fn forgotten(view: &View, now: Timestamp) -> Decision<bool> {
    let sessions = view.people.sessions.iter();
    let old = sessions.filter(|(_, session)| forgotten_at(session).is_some_and(|at| at <= now));
    let old = old.map(|(id, _)| Write::Session(id.clone(), None));
    let writes: Vec<_> = old
        .chain(expired(view, now))
        .take(State::MAX_WRITES)
        .collect();
    let any = !writes.is_empty();
    Ok((writes, any))
}

fn forgotten_at(session: &Session) -> Option<Timestamp> {
    let ended = session.ended.as_ref()?;
    Some(later(ended.at, REMEMBERED))
}

/// Removes accounts whose users are gone; whether there were any. Nobody can be such a user again: a user of the same
/// name is another.
fn orphans(view: &View) -> Decision<bool> {
    if !can_judge(view) {
        return Ok((Vec::new(), false));
    }
    let directory = view.directory();
    let known: BTreeSet<UserId> = directory
        .iter()
        .map(|person| person.record.spec.id())
        .collect();
    let accounts = view.people.accounts.keys();
    let gone = accounts.filter(|id| !known.contains(*id));
    let writes: Vec<_> = gone
        .take(State::MAX_WRITES)
        .map(|id| Write::Account(id.clone(), None))
        .collect();
    let any = !writes.is_empty();
    Ok((writes, any))
}

/// When something is over next, unless something changes.
fn next(view: &View, now: Timestamp) -> Timestamp {
    let users = view
        .directory()
        .iter()
        .filter_map(|person| person.record.spec.expires);
    let sessions = view.people.sessions.values();
    let sessions = sessions.map(|session| forgotten_at(session).unwrap_or(session.current.expires));
    let all = users.chain(sessions).chain(next_expiry(view));
    let next = all.filter(|at| *at > now).min();
    next.unwrap_or(Timestamp::MAX).min(later(now, LONGEST))
}

fn until(now: Timestamp, then: Timestamp) -> Duration {
    let pause = Duration::try_from(then.duration_since(now)).unwrap_or_default();
    // An instant later: at the very instant it is not over by every clock.
    pause.max(TOGETHER)
}

#[cfg(test)]
mod tests;
