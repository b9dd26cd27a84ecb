//! Changes of people: each is decided by a pure function on the view, and written under the condition that the view was
//! the store's.

pub(crate) mod ending;
pub(crate) mod keys;
pub(crate) mod recover;
mod refused;
pub(crate) mod sessions;
#[cfg(test)]
mod tests;
pub(crate) mod users;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use banyan_core::people::{
    Account, Credential, Directory, EndReason, Ended, Enrolment, Id, People, Person, escalation,
};
use banyan_core::{Name, Origin, Permission, Record, SecretText, User};
use banyan_identity::RandomError;
use banyan_state::{View, Write};
use jiff::{SignedDuration, Timestamp};

pub(crate) use refused::{ChangeRefused, status};

use crate::access::Caller;

/// How long a one-time code can be used.
pub(crate) const ENROLMENT: SignedDuration = SignedDuration::from_hours(24);

/// What a decision comes to: what to write, and what to answer when it is written.
pub(crate) type Decision<T> = Result<(Vec<Write>, T), ChangeRefused>;

/// What everything is decided on.
#[derive(Clone, Copy)]
pub(crate) struct DecisionContext<'a> {
    pub(crate) view: &'a View,
    pub(crate) by: &'a Caller,
    pub(crate) now: Timestamp,
}

/// With what a user logs in from now on: hashes, made before anything is decided.
#[derive(Debug, Clone)]
pub(crate) enum FirstLogin {
    /// A password.
    Password(SecretText),
    /// A one-time code.
    Code(SecretText),
}

impl FirstLogin {
    /// Puts it into an account. A password ends what codes there are; a code leaves the password as it is.
    fn put_into(&self, account: &mut Account, by: &str, now: Timestamp) {
        match self {
            Self::Password(hash) => {
                account.password = Some(Credential {
                    hash: hash.clone(),
                    set: now,
                });
                account.enrolment = None;
            }
            Self::Code(hash) => {
                account.enrolment = Some(Enrolment {
                    hash: hash.clone(),
                    expires: enrolment_end(now),
                    by: by.to_owned(),
                });
            }
        }
    }
}

/// Until when a code made now can be used.
pub(crate) fn enrolment_end(now: Timestamp) -> Timestamp {
    now.checked_add(ENROLMENT).unwrap_or(Timestamp::MAX)
}

/// An id that nobody has had.
///
/// # Errors
/// The system gives no random bytes.
pub(crate) fn random_id<K>() -> Result<Id<K>, RandomError> {
    let text = banyan_identity::random_id()?;
    Ok(text
        .parse()
        .unwrap_or_else(|_| unreachable!("{text} is an id")))
}

impl<'a> DecisionContext<'a> {
    fn directory(&self) -> Directory<'a> {
        self.view.directory()
    }

    fn find(&self, name: &Name) -> Result<Person<'a>, ChangeRefused> {
        let found = self.directory().find(name);
        found.ok_or_else(|| ChangeRefused::NoUser(name.clone()))
    }

    /// A user that is not git's to change.
    fn own(&self, name: &Name) -> Result<Person<'a>, ChangeRefused> {
        let person = self.find(name)?;
        match &person.record.origin {
            Origin::Api | Origin::Bootstrap => Ok(person),
            origin => Err(ChangeRefused::declared(name, origin)),
        }
    }

    /// Refuses to give what the caller does not hold.
    fn within(&self, given: &BTreeSet<Permission>) -> Result<(), ChangeRefused> {
        let held = self.by.powers(self.directory(), self.now);
        match escalation(&held, given) {
            none if none.is_empty() => Ok(()),
            more => Err(ChangeRefused::Escalation(more)),
        }
    }

    /// Refuses roles that are not there.
    fn known(&self, roles: &BTreeSet<Name>) -> Result<(), ChangeRefused> {
        let objects = self.directory().objects;
        let unknown = |role: &&Name| objects.role_permissions(role).is_none();
        match roles.iter().find(unknown) {
            Some(role) => Err(ChangeRefused::NoRole(role.clone())),
            None => Ok(()),
        }
    }

    /// Refuses what would take away the last admin: whoever did it could let nobody in again.
    fn keeps_an_admin(&self, person: &Person<'_>, writes: &[Write]) -> Result<(), ChangeRefused> {
        let directory = self.directory();
        let name = person.name();
        let is_one = |admin: Person<'_>| admin.name() == name;
        if !directory.lasting_admins(self.now).any(is_one) {
            return Ok(());
        }
        let people = after(directory.people, writes);
        let then = Directory {
            people: &people,
            ..directory
        };
        match then.lasting_admins(self.now).next() {
            Some(_) => Ok(()),
            None => Err(ChangeRefused::LastAdmin(name.clone())),
        }
    }

    /// A user's account, to be changed.
    fn account(&self, person: &Person<'_>) -> Account {
        account_of(person, self.now)
    }

    /// A user's account whose sessions end with the change.
    fn ending(&self, person: &Person<'_>, because: EndReason) -> Account {
        let mut account = self.account(person);
        let at = self.now;
        account.end_sessions(Ended { at, because });
        account
    }

    /// A user's record, changed by this caller at this time.
    fn changed(&self, person: &Person<'_>, change: impl FnOnce(&mut User)) -> Write {
        let mut record = Record::clone(person.record);
        change(&mut record.spec);
        record.since = self.now;
        Write::User(person.name().clone(), Some(record))
    }

    /// How many sessions of a user are live.
    fn live(&self, person: &Person<'_>) -> u32 {
        let sessions = self.directory().live_sessions(self.now);
        let count = sessions.filter(|(_, session)| person.is(&session.user));
        u32::try_from(count.count()).unwrap_or(u32::MAX)
    }
}

/// What is kept of a user. Of one that could not be read, and stands in the view under no user's name, no session may
/// come to life again.
pub(crate) fn account_of(person: &Person<'_>, now: Timestamp) -> Account {
    match person.account {
        Some(account) if account.name == *person.name() => Account::clone(account),
        other => {
            let mut account = Account::new(person.name().clone());
            if let Some(unreadable) = other {
                account.lock.clone_from(&unreadable.lock);
                account.epoch = u64::try_from(now.as_microsecond()).unwrap_or(1);
            }
            account
        }
    }
}

/// People after these writes, as far as it is asked who is an admin.
fn after(people: &People, writes: &[Write]) -> People {
    let mut then = People {
        users: people.users.clone(),
        accounts: people.accounts.clone(),
        ..People::default()
    };
    for write in writes {
        match write {
            Write::User(name, user) => put(&mut then.users, name, user.as_ref()),
            Write::Account(id, account) => put(&mut then.accounts, id, account.as_ref()),
            Write::Session(..) | Write::SigningKey(..) => {}
        }
    }
    then
}

fn put<K: Ord + Clone, V: Clone>(map: &mut BTreeMap<K, Arc<V>>, key: &K, value: Option<&V>) {
    match value {
        Some(value) => map.insert(key.clone(), Arc::new(value.clone())),
        None => map.remove(key),
    };
}
