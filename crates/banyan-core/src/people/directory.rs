//! All users together: those that git declares and those that it does not are one kind.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Account, EndReason, Ended, Lock, People, Session, SessionId, UserId};
use crate::{Name, Objects, Permission, Record, User, has_expired, user_state};

/// All users, whatever declares them, with the roles in force.
#[derive(Debug, Clone, Copy)]
pub struct Directory<'a> {
    /// What git declares.
    pub objects: &'a Objects,
    /// What else is kept of people.
    pub people: &'a People,
}

/// A user with what is kept of them.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// The user's record.
    pub record: &'a Arc<Record<User>>,
    /// Nothing for a user who never had a password, a code or a lock.
    pub account: Option<&'a Arc<Account>>,
}

/// Why a user may not act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inactive {
    /// Somebody locked the user.
    Locked(Lock),
    /// The user is switched off.
    Disabled,
    /// The user has expired.
    Expired,
}

impl<'a> Directory<'a> {
    /// A user by name.
    #[must_use]
    pub fn find(&self, name: &Name) -> Option<Person<'a>> {
        let record = (self.objects.users.get(name)).or_else(|| self.people.users.get(name))?;
        Some(self.person(record))
    }

    /// The user that an id belongs to, whose name it was given under.
    #[must_use]
    pub fn find_id(&self, id: &UserId, name: &Name) -> Option<Person<'a>> {
        self.find(name).filter(|person| person.is(id))
    }

    /// All users, by name.
    pub fn iter(self) -> impl Iterator<Item = Person<'a>> {
        let mut git = self.objects.users.values().peekable();
        let mut other = self.people.users.values().peekable();
        std::iter::from_fn(move || {
            let first = match (git.peek(), other.peek()) {
                (Some(one), Some(two)) if one.spec.name == two.spec.name => {
                    other.next();
                    git.next()
                }
                (Some(one), Some(two)) if one.spec.name < two.spec.name => git.next(),
                (_, Some(_)) => other.next(),
                _ => git.next(),
            };
            first.map(|record| self.person(record))
        })
    }

    fn person(&self, record: &'a Arc<Record<User>>) -> Person<'a> {
        let account = match &record.spec.made {
            Some(made) => self.people.accounts.get(&made.id),
            None => self.people.accounts.get(&record.spec.id()),
        };
        Person { record, account }
    }

    /// Whether a user may do something at `now`. Makes no set: it is asked on each request.
    #[must_use]
    pub fn may(&self, person: &Person<'_>, wanted: &Permission, now: Timestamp) -> bool {
        person.inactive(now).is_none()
            && (person.record.spec.roles.iter()).any(|role| self.objects.role_covers(role, wanted))
    }

    /// What a user may do at `now`; nothing while barred.
    #[must_use]
    pub fn permissions(&self, person: &Person<'_>, now: Timestamp) -> BTreeSet<Permission> {
        match person.inactive(now) {
            Some(_) => BTreeSet::new(),
            None => self.powers(&person.record.spec.roles),
        }
    }

    /// What roles give.
    #[must_use]
    pub fn powers(&self, roles: &BTreeSet<Name>) -> BTreeSet<Permission> {
        let of = |role| self.objects.role_permissions(role).unwrap_or_default();
        roles.iter().flat_map(of).collect()
    }

    /// When and why a session ended, if it has by `now`: by its own end, because its user is gone, or because its user may
    /// not act. The last two are judged anew each time, until somebody writes them down.
    #[must_use]
    pub fn session_end(&self, session: &Session, now: Timestamp) -> Option<Ended> {
        let Some(person) = self.find_id(&session.user, &session.name) else {
            let removed = Ended {
                at: now,
                because: EndReason::Removal,
            };
            return Some(session.ended.clone().unwrap_or(removed));
        };
        let account = person.account.map(Arc::as_ref);
        session.end(account, now).or_else(|| person.ended_by(now))
    }

    /// The live sessions at `now`.
    pub fn live_sessions(
        self,
        now: Timestamp,
    ) -> impl Iterator<Item = (&'a SessionId, &'a Arc<Session>)> {
        let sessions = self.people.sessions.iter();
        sessions.filter(move |(_, session)| self.session_end(session, now).is_none())
    }

    /// The admins that count as the last ones: active, without an expiry, and able to log in. By name.
    pub fn lasting_admins(self, now: Timestamp) -> impl Iterator<Item = Person<'a>> {
        // Of the users that git declares only the holders of `*` are looked at: there may be very many users.
        let declared = self.objects.holders_of_everything();
        let names: BTreeSet<&Name> = declared
            .into_iter()
            .chain(self.people.users.keys())
            .collect();
        let persons = names.into_iter().filter_map(move |name| self.find(name));
        persons.filter(move |person| {
            person.record.spec.expires.is_none()
                && person.can_log_in(now)
                && self.may(person, &Permission::everything(), now)
        })
    }
}

impl<'a> Person<'a> {
    /// The user's name.
    #[must_use]
    pub fn name(&self) -> &'a Name {
        &self.record.spec.name
    }

    /// Whether this is the user that an id belongs to.
    #[must_use]
    pub fn is(&self, id: &UserId) -> bool {
        match &self.record.spec.made {
            Some(made) => made.id == *id,
            None => self.record.spec.id() == *id,
        }
    }

    /// Why the user may not act at `now`.
    #[must_use]
    pub fn inactive(&self, now: Timestamp) -> Option<Inactive> {
        let user = &self.record.spec;
        if let Some(lock) = self.account.and_then(|account| account.lock.as_ref()) {
            return Some(Inactive::Locked(lock.clone()));
        }
        if user.disabled {
            return Some(Inactive::Disabled);
        }
        has_expired(user.expires, now).then_some(Inactive::Expired)
    }

    /// Why all the user's sessions are over at `now`, where the user may not act.
    fn ended_by(&self, now: Timestamp) -> Option<Ended> {
        Some(match self.inactive(now)? {
            Inactive::Locked(lock) => Ended {
                at: lock.at,
                because: EndReason::Lock,
            },
            Inactive::Disabled => Ended {
                at: self.record.since,
                because: EndReason::Disable,
            },
            // One that says it was over long ago has counted only since it says so.
            Inactive::Expired => Ended {
                at: (self.record.spec.expires.unwrap_or(now)).max(self.record.since),
                because: EndReason::Expiry,
            },
        })
    }

    /// Whether the user has a password, or may choose one at `now`.
    #[must_use]
    pub fn can_log_in(&self, now: Timestamp) -> bool {
        self.record.spec.password_hash.is_some()
            || self.account.is_some_and(|account| {
                account.password.is_some() || account.open_enrolment(now).is_some()
            })
    }

    /// The user's state in words: as of its record, or `locked by … since …`.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> String {
        match self.account.and_then(|account| account.lock.as_ref()) {
            Some(lock) => format!("locked by {} since {:.0}", lock.by, lock.at),
            None => user_state(&self.record.spec, now),
        }
    }
}

/// What of `wanted` is beyond what is `held`: what a holder can give to nobody.
#[must_use]
pub fn escalation(held: &BTreeSet<Permission>, wanted: &BTreeSet<Permission>) -> Vec<Permission> {
    let covered = |wanted: &&Permission| !held.iter().any(|held| held.covers(wanted));
    wanted.iter().filter(covered).cloned().collect()
}
