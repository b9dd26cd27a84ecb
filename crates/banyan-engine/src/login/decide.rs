//! What becomes of sessions: decisions on a view, as plain data.

use std::sync::Arc;

use banyan_api::Denial;
use banyan_core::people::{
    Credential, EndReason, Ended, Inactive, Person, RefreshToken, RefreshVerdict, Session, TokenId,
};
use banyan_core::{Name, SecretText, SessionId, UserId};
use banyan_state::{View, Write};
use jiff::Timestamp;

use super::hash;
use crate::people::account_of;

/// How many live sessions a user may have; one more displaces the oldest.
pub(super) const MAX_SESSIONS: usize = 100;

/// By what somebody is let in.
pub(crate) enum Proof {
    /// By a password that fits this hash.
    Password { id: UserId, hash: SecretText },
    /// By a one-time code with this hash, and a new password.
    Code {
        id: UserId,
        code: SecretText,
        chosen: Credential,
    },
}

/// A session with new tokens to come; or, of a refresh token that was used twice, an ended one.
#[derive(Debug, Clone)]
pub(crate) struct StartedSession {
    pub(crate) id: SessionId,
    pub(crate) session: Session,
}

type Decided<T> = Result<(Vec<Write>, T), Denial>;

/// Begins a session.
pub(super) fn begin(
    view: &View,
    name: &Name,
    entry: &Proof,
    sid: &SessionId,
    turn: &RefreshToken,
    via: &str,
    now: Timestamp,
) -> Decided<StartedSession> {
    let (Proof::Password { id, .. } | Proof::Code { id, .. }) = entry;
    let person = view
        .directory()
        .find_id(id, name)
        .ok_or(Denial::BadCredentials)?;
    let mut writes = Vec::new();
    let mut epoch = person.account.map_or(0, |account| account.epoch);
    match entry {
        Proof::Password { hash: shown, .. } if hash(&person).as_ref() != Some(shown) => {
            return Err(Denial::BadCredentials);
        }
        Proof::Password { .. } => {}
        Proof::Code { code, chosen, .. } => {
            let mut account = account_of(&person, now);
            let open = account
                .open_enrolment(now)
                .is_some_and(|open| open.hash == *code);
            if !open || person.record.spec.password_hash.is_some() {
                return Err(Denial::BadCredentials);
            }
            account.enrolment = None;
            account.password = Some(chosen.clone());
            account.end_sessions(ended(EndReason::Password, now));
            epoch = account.epoch;
            writes.push(Write::Account(id.clone(), Some(account)));
        }
    }
    if let Some(barred) = person.inactive(now) {
        return Err(barred_out(name, &barred));
    }
    let session = Session {
        user: id.clone(),
        name: name.clone(),
        epoch,
        created: now,
        current: turn.clone(),
        previous: None,
        via: via.to_owned(),
        ended: None,
    };
    writes.extend(displaced(view, &person, epoch, now));
    writes.push(Write::Session(sid.clone(), Some(session.clone())));
    let id = sid.clone();
    Ok((writes, StartedSession { id, session }))
}

/// Goes on with a session, or ends it.
pub(super) fn refresh(
    view: &View,
    sid: &SessionId,
    user: &UserId,
    presented: &TokenId,
    next: &RefreshToken,
    via: &str,
    now: Timestamp,
) -> Decided<StartedSession> {
    let session = view
        .people
        .sessions
        .get(sid)
        .filter(|session| session.user == *user);
    let mut session = Session::clone(session.ok_or(Denial::SessionEnded)?);
    if view.directory().session_end(&session, now).is_some() {
        return Err(Denial::SessionEnded);
    }
    let begun = |session: Session| StartedSession {
        id: sid.clone(),
        session,
    };
    match session.judge_refresh(presented, now) {
        RefreshVerdict::Again => return Ok((Vec::new(), begun(session))),
        RefreshVerdict::Rotate => session.rotate(next.clone(), via.to_owned()),
        RefreshVerdict::Reused => session.ended = Some(ended(EndReason::Suspicion, now)),
    }
    let write = Write::Session(sid.clone(), Some(session.clone()));
    Ok((vec![write], begun(session)))
}

/// Ends a session on its user's wish.
pub(super) fn logout(view: &View, sid: &SessionId, now: Timestamp) -> Decided<()> {
    let Some(session) = view.people.sessions.get(sid) else {
        return Ok((Vec::new(), ()));
    };
    if session.ended.is_some() {
        return Ok((Vec::new(), ()));
    }
    let mut session = Session::clone(session);
    session.ended = Some(ended(EndReason::Logout, now));
    Ok((vec![Write::Session(sid.clone(), Some(session))], ()))
}

/// Changes a password whose hash was `expected`; the session it is done in goes on, the others end.
pub(super) fn change_password(
    view: &View,
    id: &UserId,
    name: &Name,
    sid: &SessionId,
    expected: Option<&SecretText>,
    chosen: &Credential,
    now: Timestamp,
) -> Decided<u32> {
    let person = view
        .directory()
        .find_id(id, name)
        .ok_or(Denial::SessionEnded)?;
    let live = live(view, &person, now);
    let own = live
        .iter()
        .find(|(other, _)| *other == sid)
        .ok_or(Denial::SessionEnded)?;
    // Somebody else has just changed it, or git declares it now.
    if hash(&person).as_ref() != expected || person.record.spec.password_hash.is_some() {
        return Err(Denial::BadCredentials);
    }
    let mut account = account_of(&person, now);
    account.password = Some(chosen.clone());
    account.enrolment = None;
    account.end_sessions(ended(EndReason::Password, now));
    let session = Session {
        epoch: account.epoch,
        ..Session::clone(own.1)
    };
    let others = u32::try_from(live.len().saturating_sub(1)).unwrap_or(u32::MAX);
    let writes = vec![
        Write::Account(id.clone(), Some(account)),
        Write::Session(sid.clone(), Some(session)),
    ];
    Ok((writes, others))
}

/// The live sessions of a user, oldest first.
fn live<'v>(
    view: &'v View,
    person: &Person<'_>,
    now: Timestamp,
) -> Vec<(&'v SessionId, &'v Arc<Session>)> {
    let sessions = view.directory().live_sessions(now);
    let mut live: Vec<_> = sessions
        .filter(|(_, session)| person.is(&session.user))
        .collect();
    live.sort_by_key(|(id, session)| (session.created, *id));
    live
}

/// The oldest sessions, where one more would be too many.
fn displaced(view: &View, person: &Person<'_>, epoch: u64, now: Timestamp) -> Vec<Write> {
    let live = live(view, person, now);
    let of_epoch: Vec<_> = live
        .into_iter()
        .filter(|(_, session)| session.epoch == epoch)
        .collect();
    let too_many = (of_epoch.len() + 1).saturating_sub(MAX_SESSIONS);
    let oldest = of_epoch.into_iter().take(too_many.min(MAX_SESSIONS));
    oldest
        .map(|(id, session)| {
            let mut session = Session::clone(session);
            session.ended = Some(ended(EndReason::Displaced, now));
            Write::Session(id.clone(), Some(session))
        })
        .collect()
}

fn ended(because: EndReason, at: Timestamp) -> Ended {
    Ended { at, because }
}

/// Whoever has shown the right password may know why it is not enough.
fn barred_out(name: &Name, barred: &Inactive) -> Denial {
    let why = match barred {
        Inactive::Locked(lock) => format!("locked by {}", lock.by),
        Inactive::Disabled => "disabled".to_owned(),
        Inactive::Expired => "expired".to_owned(),
    };
    Denial::NotPermitted {
        takes: format!("an active user, and {name} is {why}; ask an admin"),
    }
}
