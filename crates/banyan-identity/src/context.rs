//! What decisions about users are made on, and what they share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use banyan_core::people::{
    Account, Credential, Directory, EndReason, Ended, Enrolment, People, Person, Write, escalation,
};
use banyan_core::{Name, Origin, Permission, Record, SecretText, User, UserId};
use jiff::{SignedDuration, Timestamp};

use crate::caller::Caller;
use crate::refused::ChangeRefused;

/// How many codes one change voids at most.
pub(crate) const VOIDED_AT_ONCE: usize = 64;
/// How long a one-time code can be used.
const ENROLMENT: SignedDuration = SignedDuration::from_hours(24);

/// The result of a decision: what to write, and the answer once it is written.
pub type Decision<T> = Result<(Vec<Write>, T), ChangeRefused>;

/// The inputs of every decision about users.
#[derive(Clone, Copy)]
pub struct DecisionContext<'a> {
    /// All users, sessions and roles.
    pub directory: Directory<'a>,
    /// Who asks.
    pub by: &'a Caller,
    /// The time.
    pub now: Timestamp,
}

/// How a user logs in from now on: a hash, computed before anything is decided.
#[derive(Debug, Clone)]
pub enum FirstLogin {
    /// A password.
    Password(SecretText),
    /// A one-time code.
    Code(SecretText),
}

impl FirstLogin {
    /// Puts it into an account. A password voids an open code; a code leaves the password as it is.
    pub(crate) fn put_into(
        &self,
        account: &mut Account,
        at: DecisionContext<'_>,
        roles: &BTreeSet<Name>,
    ) {
        match self {
            Self::Password(hash) => {
                account.password = Some(Credential {
                    hash: hash.clone(),
                    set: at.now,
                });
                account.enrolment = None;
            }
            Self::Code(hash) => {
                account.enrolment = Some(Enrolment {
                    hash: hash.clone(),
                    expires: enrolment_end(at.now),
                    by: at.by.label(),
                    issuer: at.by.issuer(),
                    powers: at.directory.powers(roles),
                });
            }
        }
    }
}

/// When a code that is made at `now` expires.
#[must_use]
pub fn enrolment_end(now: Timestamp) -> Timestamp {
    now.checked_add(ENROLMENT).unwrap_or(Timestamp::MAX)
}

impl<'a> DecisionContext<'a> {
    pub(crate) fn find(&self, name: &Name) -> Result<Person<'a>, ChangeRefused> {
        let found = self.directory.find(name);
        found.ok_or_else(|| ChangeRefused::NoUser(name.clone()))
    }

    /// A user that is not git's to change.
    pub(crate) fn own(&self, name: &Name) -> Result<Person<'a>, ChangeRefused> {
        let person = self.find(name)?;
        match &person.record.origin {
            Origin::Api | Origin::Bootstrap => Ok(person),
            origin => Err(ChangeRefused::declared(name, origin)),
        }
    }

    /// Refuses to grant permissions that the caller does not hold.
    pub(crate) fn within(&self, given: &BTreeSet<Permission>) -> Result<(), ChangeRefused> {
        let held = self.by.powers(self.directory, self.now);
        match escalation(&held, given) {
            none if none.is_empty() => Ok(()),
            more => Err(ChangeRefused::Escalation(more)),
        }
    }

    /// Refuses to take anything from a user who holds permissions that the caller does not. Callers may take from
    /// themselves.
    pub(crate) fn not_above(&self, person: &Person<'_>) -> Result<(), ChangeRefused> {
        if self.by.user().is_some_and(|id| person.is(id)) {
            return Ok(());
        }
        let held = self.by.powers(self.directory, self.now);
        let theirs = self.directory.powers(&person.record.spec.roles);
        match escalation(&held, &theirs) {
            none if none.is_empty() => Ok(()),
            more => Err(ChangeRefused::Above {
                name: person.name().clone(),
                more,
            }),
        }
    }

    /// Voids the codes that these writes make unusable, so that no later change makes them usable again; returns their users.
    ///
    /// At most [`VOIDED_AT_ONCE`], so that the writes fit into one change. The rest cannot be used either, and the reaper
    /// voids them.
    pub(crate) fn void_codes(&self, writes: &mut Vec<Write>) -> Vec<Name> {
        let people = after(self.directory.people, writes);
        let then = Directory {
            people: &people,
            ..self.directory
        };
        let mut voided = Vec::new();
        let with_code = self.directory.people.accounts.iter();
        for (id, account) in with_code.filter(|(_, account)| account.enrolment.is_some()) {
            let open = |directory: Directory<'_>| {
                let person = directory.find_id(id, &account.name);
                person.is_some_and(|person| directory.open_enrolment(&person, self.now).is_some())
            };
            if !open(self.directory) || open(then) || voided.len() >= VOIDED_AT_ONCE {
                continue;
            }
            voided.push(account.name.clone());
            void(writes, id, account);
        }
        voided
    }

    /// Refuses unknown roles.
    pub(crate) fn known(&self, roles: &BTreeSet<Name>) -> Result<(), ChangeRefused> {
        let objects = self.directory.objects;
        let unknown = |role: &&Name| objects.role_permissions(role).is_none();
        match roles.iter().find(unknown) {
            Some(role) => Err(ChangeRefused::NoRole(role.clone())),
            None => Ok(()),
        }
    }

    /// Refuses a change that removes the last admin who can log in: after it, no user could restore access.
    pub(crate) fn keeps_an_admin(
        &self,
        person: &Person<'a>,
        writes: &[Write],
    ) -> Result<(), ChangeRefused> {
        let directory = self.directory;
        if !directory.is_lasting_admin(person, self.now) {
            return Ok(());
        }
        let people = after(directory.people, writes);
        let then = Directory {
            people: &people,
            ..directory
        };
        match then.lasting_admins(self.now).next() {
            Some(_) => Ok(()),
            None => Err(ChangeRefused::LastAdmin(person.name().clone())),
        }
    }

    /// A user's account, to be changed.
    pub(crate) fn account(&self, person: &Person<'_>) -> Account {
        account_of(person, self.now)
    }

    /// A user's account whose sessions end with the change.
    pub(crate) fn ending(&self, person: &Person<'_>, because: EndReason) -> Account {
        let mut account = self.account(person);
        let at = self.now;
        account.end_sessions(Ended { at, because });
        account
    }

    /// A user's record, changed by this caller at this time.
    pub(crate) fn changed(&self, person: &Person<'_>, change: impl FnOnce(&mut User)) -> Write {
        let mut record = Record::clone(person.record);
        change(&mut record.spec);
        record.since = self.now;
        Write::User(person.name().clone(), Some(record))
    }

    /// How many sessions of a user are live.
    pub(crate) fn live(&self, person: &Person<'_>) -> u32 {
        let sessions = self.directory.live_sessions(self.now);
        let count = sessions.filter(|(_, session)| person.is(&session.user));
        u32::try_from(count.count()).unwrap_or(u32::MAX)
    }
}

/// Voids the code of an account, in the account's write if there is one.
fn void(writes: &mut Vec<Write>, id: &UserId, account: &Account) {
    for write in &mut *writes {
        if let Write::Account(written, value) = write
            && written == id
        {
            if let Some(account) = value {
                account.enrolment = None;
            }
            return;
        }
    }
    let mut account = account.clone();
    account.enrolment = None;
    writes.push(Write::Account(id.clone(), Some(account)));
}

/// A user's account. If the stored one could not be read, a new one whose epoch is so high that no old session is live.
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

/// The users and accounts after these writes.
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

pub(crate) fn put<K: Ord + Clone, V: Clone>(
    map: &mut BTreeMap<K, Arc<V>>,
    key: &K,
    value: Option<&V>,
) {
    match value {
        Some(value) => map.insert(key.clone(), Arc::new(value.clone())),
        None => map.remove(key),
    };
}
