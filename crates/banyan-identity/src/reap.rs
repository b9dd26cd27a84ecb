//! Decisions about what has ended without a call: sessions, codes, accounts and keys that are no longer needed.

use std::collections::BTreeSet;

use banyan_core::people::{Account, Directory, EndReason, Session, Write};
use banyan_core::{Name, SessionId, UserId};
use jiff::{SignedDuration, Timestamp};

use crate::signing_keys::{expired, later, next_expiry};

/// How long an ended session is kept.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The longest time between two checks: clocks are adjusted.
const LONGEST: SignedDuration = SignedDuration::from_hours(1);

/// Whose session ended, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// The session.
    pub id: SessionId,
    /// Its user's name.
    pub user: Name,
    /// Why.
    pub because: EndReason,
}

/// Records the ends of at most `limit` sessions.
#[must_use]
pub fn over(directory: Directory<'_>, limit: usize, now: Timestamp) -> (Vec<Write>, Vec<Over>) {
    let open = directory.people.sessions.iter();
    let open = open.filter(|(_, session)| session.ended.is_none());
    open.filter_map(|(id, session)| Some((id, session, directory.session_end(session, now)?)))
        .take(limit)
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
        .unzip()
}

/// Removes at most `limit` sessions that ended long ago and keys that are no longer accepted.
#[must_use]
pub fn forgotten(directory: Directory<'_>, limit: usize, now: Timestamp) -> Vec<Write> {
    let sessions = directory.people.sessions.iter();
    let old = sessions.filter(|(_, session)| forgotten_at(session).is_some_and(|at| at <= now));
    let old = old.map(|(id, _)| Write::Session(id.clone(), None));
    old.chain(expired(directory.people, now))
        .take(limit)
        .collect()
}

fn forgotten_at(session: &Session) -> Option<Timestamp> {
    let ended = session.ended.as_ref()?;
    Some(later(ended.at, REMEMBERED))
}

/// Voids at most `limit` codes that can no longer be used, so that no later change makes them usable again. Also returns
/// their users, except for codes that merely expired.
#[must_use]
pub fn void(directory: Directory<'_>, limit: usize, now: Timestamp) -> (Vec<Write>, Vec<Name>) {
    let accounts = directory.people.accounts.iter();
    let with_code = accounts.filter(|(_, account)| account.enrolment.is_some());
    let dead = with_code.filter(|(id, account)| {
        let person = directory.find_id(id, &account.name);
        person.is_some_and(|person| directory.open_enrolment(&person, now).is_none())
    });
    let mut lost = Vec::new();
    let writes = dead.take(limit).map(|(id, account)| {
        let mut account = Account::clone(account);
        let expired = account
            .enrolment
            .take()
            .is_none_or(|code| code.expires <= now);
        if !expired {
            lost.push(account.name.clone());
        }
        Write::Account(id.clone(), Some(account))
    });
    (writes.collect(), lost)
}

/// Removes at most `limit` accounts of users that no longer exist. A new user of the same name has another id.
#[must_use]
pub fn orphans(directory: Directory<'_>, limit: usize) -> Vec<Write> {
    let known: BTreeSet<UserId> = directory
        .iter()
        .map(|person| person.record.spec.id())
        .collect();
    let accounts = directory.people.accounts.keys();
    let gone = accounts.filter(|id| !known.contains(*id));
    gone.take(limit)
        .map(|id| Write::Account(id.clone(), None))
        .collect()
}

/// When the next thing ends, unless something changes; within an hour.
#[must_use]
pub fn next(directory: Directory<'_>, now: Timestamp) -> Timestamp {
    let users = directory
        .iter()
        .filter_map(|person| person.record.spec.expires);
    let sessions = directory.people.sessions.values();
    let sessions = sessions.map(|session| forgotten_at(session).unwrap_or(session.current.expires));
    let all = users.chain(sessions).chain(next_expiry(directory.people));
    let next = all.filter(|at| *at > now).min();
    next.unwrap_or(Timestamp::MAX).min(later(now, LONGEST))
}
