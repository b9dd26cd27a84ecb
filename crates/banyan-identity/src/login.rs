//! Decisions about sessions: logging in, refreshing, logging out and changing a password.

use std::sync::Arc;

use banyan_core::people::{
    Credential, Directory, EndReason, Ended, Enrolled, Inactive, Person, RefreshToken,
    RefreshVerdict, Session, TokenId, Write,
};
use banyan_core::{Denial, Name, Origin, SecretText, SessionId, UserId};
use jiff::Timestamp;

use crate::context::account_of;

/// How many live sessions a user may have; one more displaces the oldest.
pub const MAX_SESSIONS: usize = 100;

/// What a user proved in order to log in.
pub enum Proof {
    /// The password with this hash.
    Password {
        /// The user.
        id: UserId,
        /// The hash that was compared.
        hash: SecretText,
    },
    /// The one-time code with this hash.
    Code {
        /// The user.
        id: UserId,
        /// The hash of the code.
        code: SecretText,
        /// The new password.
        chosen: Credential,
    },
}

/// A session that new tokens are issued for; an ended one if a refresh token was used twice.
#[derive(Debug, Clone)]
pub struct StartedSession {
    /// Its id.
    pub id: SessionId,
    /// The session.
    pub session: Session,
}

/// The result of a decision: what to write, and the answer once it is written.
pub type Decided<T> = Result<(Vec<Write>, T), Denial>;

/// Starts a session.
///
/// # Errors
/// The call is denied.
pub fn begin(
    directory: Directory<'_>,
    name: &Name,
    proof: &Proof,
    sid: &SessionId,
    token: &RefreshToken,
    via: &str,
    now: Timestamp,
) -> Decided<StartedSession> {
    let (Proof::Password { id, .. } | Proof::Code { id, .. }) = proof;
    let person = directory.find_id(id, name).ok_or(Denial::BadCredentials)?;
    let mut writes = Vec::new();
    let mut epoch = person.account.map_or(0, |account| account.epoch);
    match proof {
        Proof::Password { hash: shown, .. } if hash(&person) != Some(shown) => {
            return Err(Denial::BadCredentials);
        }
        Proof::Password { .. } => {}
        Proof::Code { code, chosen, .. } => {
            let mut account = account_of(&person, now);
            let open = directory.open_enrolment(&person, now);
            let open = open.filter(|open| open.hash == *code);
            let issuer = open.and_then(|open| open.issuer.clone());
            let (Some(issuer), None) = (issuer, &person.record.spec.password_hash) else {
                return Err(Denial::BadCredentials);
            };
            account.enrolment = None;
            account.enrolled = Some(Enrolled {
                by: issuer,
                at: now,
            });
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
        current: token.clone(),
        previous: None,
        via: via.to_owned(),
        ended: None,
    };
    writes.extend(displaced(directory, &person, epoch, now));
    writes.push(Write::Session(sid.clone(), Some(session.clone())));
    let id = sid.clone();
    Ok((writes, StartedSession { id, session }))
}

/// Continues a session, or ends it if the refresh token was used before.
///
/// # Errors
/// The call is denied.
pub fn refresh(
    directory: Directory<'_>,
    sid: &SessionId,
    user: &UserId,
    presented: &TokenId,
    next: &RefreshToken,
    via: &str,
    now: Timestamp,
) -> Decided<StartedSession> {
    let session = directory
        .people
        .sessions
        .get(sid)
        .filter(|session| session.user == *user);
    let mut session = Session::clone(session.ok_or(Denial::SessionEnded)?);
    if directory.session_end(&session, now).is_some() {
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

/// Ends a session at its user's request.
///
/// # Errors
/// The call is denied.
pub fn logout(directory: Directory<'_>, sid: &SessionId, now: Timestamp) -> Decided<()> {
    let Some(session) = directory.people.sessions.get(sid) else {
        return Ok((Vec::new(), ()));
    };
    if session.ended.is_some() {
        return Ok((Vec::new(), ()));
    }
    let mut session = Session::clone(session);
    session.ended = Some(ended(EndReason::Logout, now));
    Ok((vec![Write::Session(sid.clone(), Some(session))], ()))
}

/// Changes a password whose hash was `expected`; the current session continues, the others end. Returns how many.
///
/// # Errors
/// The call is denied.
pub fn change_password(
    directory: Directory<'_>,
    id: &UserId,
    name: &Name,
    sid: &SessionId,
    expected: Option<&SecretText>,
    chosen: &Credential,
    now: Timestamp,
) -> Decided<u32> {
    let person = directory.find_id(id, name).ok_or(Denial::SessionEnded)?;
    let live = live(directory, &person, now);
    let own = live
        .iter()
        .find(|(other, _)| *other == sid)
        .ok_or(Denial::SessionEnded)?;
    // It was changed meanwhile, or git declares it now.
    if hash(&person) != expected || person.record.spec.password_hash.is_some() {
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
    directory: Directory<'v>,
    person: &Person<'_>,
    now: Timestamp,
) -> Vec<(&'v SessionId, &'v Arc<Session>)> {
    let sessions = directory.live_sessions(now);
    let mut live: Vec<_> = sessions
        .filter(|(_, session)| person.is(&session.user))
        .collect();
    live.sort_by_key(|(id, session)| (session.created, *id));
    live
}

/// The oldest sessions, where one more would be too many.
fn displaced(
    directory: Directory<'_>,
    person: &Person<'_>,
    epoch: u64,
    now: Timestamp,
) -> Vec<Write> {
    let live = live(directory, person, now);
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

/// The hash of the password in force.
fn hash<'a>(person: &Person<'a>) -> Option<&'a SecretText> {
    Some(person.password()?.hash())
}

fn ended(because: EndReason, at: Timestamp) -> Ended {
    Ended { at, because }
}

/// The denial for an inactive user. It names the reason, so it is used only after the right password.
fn barred_out(name: &Name, barred: &Inactive) -> Denial {
    let why = match barred {
        Inactive::Locked(lock) => format!("locked by {}", lock.by),
        Inactive::Disabled => "disabled".to_owned(),
        Inactive::Expired => "expired".to_owned(),
    };
    Denial::NotPermitted {
        why: format!("user {name} is {why}: ask an admin"),
    }
}

/// Why the user's password cannot be changed here, if git declares it.
#[must_use]
pub fn declared_password(person: &Person<'_>) -> Option<String> {
    person.record.spec.password_hash.as_ref()?;
    let place = match &person.record.origin {
        Origin::Git { path, line, commit } => format!("{path}:{line} (commit {})", commit.short()),
        _ => "the cluster repo".to_owned(),
    };
    Some(format!(
        "the password of {} is declared by git: change it in {place} and push",
        person.name()
    ))
}
