//! All users together, whether declared in git or created through the API.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::{
    Account, Credential, EndReason, Ended, Enrolment, Issuer, Lock, People, Session, SessionId,
    UserId,
};
use crate::{Name, Objects, Permission, Record, SecretText, User, has_expired};

/// The permission to issue one-time codes.
const ISSUES_CODES: &str = "users:write";

/// All users, whatever their origin, with the roles in force.
#[derive(Debug, Clone, Copy)]
pub struct Directory<'a> {
    /// What git declares.
    pub objects: &'a Objects,
    /// What else is stored about users.
    pub people: &'a People,
}

/// A user with their account.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// The user's record.
    pub record: &'a Arc<Record<User>>,
    /// `None` for a user who never had a password, a code or a lock.
    pub account: Option<&'a Arc<Account>>,
}

/// The password that a login is compared with.
#[derive(Debug, Clone, Copy)]
pub enum PasswordInForce<'a> {
    /// The one that git declares. It takes precedence over one that the user chose.
    Declared(&'a SecretText),
    /// The one that the user chose.
    Chosen(&'a Credential),
}

/// Why a user is inactive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inactive {
    /// The user is locked.
    Locked(Lock),
    /// The user is disabled.
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

    /// The user with this id, looked up by the name the id was issued for.
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

    /// Whether a user has a permission at `now`. Does not allocate: it is called on each request.
    #[must_use]
    pub fn may(&self, person: &Person<'_>, wanted: &Permission, now: Timestamp) -> bool {
        person.inactive(now).is_none()
            && (person.record.spec.roles.iter()).any(|role| self.objects.role_covers(role, wanted))
    }

    /// The permissions of a user at `now`; none while inactive.
    #[must_use]
    pub fn permissions(&self, person: &Person<'_>, now: Timestamp) -> BTreeSet<Permission> {
        match person.inactive(now) {
            Some(_) => BTreeSet::new(),
            None => self.powers(&person.record.spec.roles),
        }
    }

    /// The permissions that roles grant.
    #[must_use]
    pub fn powers(&self, roles: &BTreeSet<Name>) -> BTreeSet<Permission> {
        let of = |role| self.objects.role_permissions(role).unwrap_or_default();
        roles.iter().flat_map(of).collect()
    }

    /// When and why a session ended, if it has ended by `now`: by its own end, because its user was removed, or because
    /// its user is inactive. The last two are evaluated on each call until the end is recorded.
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

    /// The sessions live at `now`.
    pub fn live_sessions(
        self,
        now: Timestamp,
    ) -> impl Iterator<Item = (&'a SessionId, &'a Arc<Session>)> {
        let sessions = self.people.sessions.iter();
        sessions.filter(move |(_, session)| self.session_end(session, now).is_none())
    }

    /// The one-time code with which a user may choose a password at `now`.
    ///
    /// A code lasts no longer than the power behind it: its issuer could issue it again now, for what the user may do
    /// now, and the user may do no more than when it was issued.
    #[must_use]
    pub fn open_enrolment(&self, person: &Person<'a>, now: Timestamp) -> Option<&'a Enrolment> {
        let open = person.account?.enrolment.as_ref()?;
        let issuer = open.issuer.as_ref().filter(|_| open.expires > now)?;
        let powers = self.powers(&person.record.spec.roles);
        let is_open = self.may_still_issue(issuer, &powers, now)
            && escalation(&open.powers, &powers).is_empty();
        is_open.then_some(open)
    }

    /// Whether an issuer of a code could issue one now, for a user with these permissions.
    fn may_still_issue(
        &self,
        issuer: &Issuer,
        powers: &BTreeSet<Permission>,
        now: Timestamp,
    ) -> bool {
        let Issuer::User { id, name } = issuer else {
            return true;
        };
        let Some(issuer) = self.find_id(id, name) else {
            return false;
        };
        let issues = ISSUES_CODES.parse::<Permission>();
        issues.is_ok_and(|needed| self.may(&issuer, &needed, now))
            && escalation(&self.permissions(&issuer, now), powers).is_empty()
    }

    /// Whether a user has a password, or may choose one at `now`.
    #[must_use]
    pub fn can_log_in(&self, person: &Person<'a>, now: Timestamp) -> bool {
        person.password().is_some() || self.open_enrolment(person, now).is_some()
    }

    /// Whether a user is an admin that counts as permanent: active, without an expiry, and able to log in.
    #[must_use]
    pub fn is_lasting_admin(&self, person: &Person<'a>, now: Timestamp) -> bool {
        person.record.spec.expires.is_none()
            && self.may(person, &Permission::everything(), now)
            && self.can_log_in(person, now)
    }

    /// The admins that count as permanent, by name.
    pub fn lasting_admins(self, now: Timestamp) -> impl Iterator<Item = Person<'a>> {
        // Of the users declared in git, only holders of `*` are examined, since there may be many users.
        let declared = self.objects.holders_of_everything();
        let names: BTreeSet<&Name> = declared
            .into_iter()
            .chain(self.people.users.keys())
            .collect();
        let persons = names.into_iter().filter_map(move |name| self.find(name));
        persons.filter(move |person| self.is_lasting_admin(person, now))
    }
}

impl<'a> Person<'a> {
    /// The user's name.
    #[must_use]
    pub fn name(&self) -> &'a Name {
        &self.record.spec.name
    }

    /// Whether this user has the id.
    #[must_use]
    pub fn is(&self, id: &UserId) -> bool {
        match &self.record.spec.made {
            Some(made) => made.id == *id,
            None => self.record.spec.id() == *id,
        }
    }

    /// The password that a login is compared with; `None` without one.
    #[must_use]
    pub fn password(&self) -> Option<PasswordInForce<'a>> {
        let declared = self.record.spec.password_hash.as_ref();
        declared.map(PasswordInForce::Declared).or_else(|| {
            let chosen = self.account?.password.as_ref()?;
            Some(PasswordInForce::Chosen(chosen))
        })
    }

    /// Why the user is inactive at `now`; `None` if active.
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

    /// Why all of the user's sessions have ended at `now`, if the user is inactive.
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
            // An expiry in the past took effect only when it was applied.
            Inactive::Expired => Ended {
                at: (self.record.spec.expires.unwrap_or(now)).max(self.record.since),
                because: EndReason::Expiry,
            },
        })
    }

    /// The user's state in words: `active`, `active until …`, `disabled`, `expired since …`, `locked by … since …`.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> String {
        match (self.inactive(now), self.record.spec.expires) {
            (Some(Inactive::Locked(lock)), _) => {
                format!("locked by {} since {:.0}", lock.by, lock.at)
            }
            (Some(Inactive::Disabled), _) => "disabled".to_owned(),
            (Some(Inactive::Expired), Some(at)) => format!("expired since {at}"),
            (Some(Inactive::Expired), None) => "expired".to_owned(),
            (None, Some(at)) => format!("active until {at}"),
            (None, None) => "active".to_owned(),
        }
    }
}

impl<'a> PasswordInForce<'a> {
    /// Its hash.
    #[must_use]
    pub fn hash(self) -> &'a SecretText {
        match self {
            Self::Declared(hash) => hash,
            Self::Chosen(credential) => &credential.hash,
        }
    }
}

/// The permissions in `wanted` that `held` does not include, and that the holder therefore cannot grant.
#[must_use]
pub fn escalation(held: &BTreeSet<Permission>, wanted: &BTreeSet<Permission>) -> Vec<Permission> {
    let covered = |wanted: &&Permission| !held.iter().any(|held| held.covers(wanted));
    wanted.iter().filter(covered).cloned().collect()
}
