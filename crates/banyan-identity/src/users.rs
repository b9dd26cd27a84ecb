//! Decisions about users: creating, changing, locking and removing them.

use std::collections::BTreeSet;

use banyan_core::people::{
    Account, EndReason, Inactive, Lock, Person, Write, check_email, escalation,
};
use banyan_core::{Creation, Generation, Labels, Name, Origin, Record, User, UserId};
use jiff::Timestamp;

use crate::context::{Decision, DecisionContext, FirstLogin};
use crate::refused::{ChangeRefused, place};

/// The longest reason of a lock, in characters.
const MAX_REASON: usize = 200;
/// Names that the audit log uses for what is not a user.
const RESERVED: [&str; 4] = ["engine", "git", "host", "nobody"];

/// A user to create.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The name.
    pub name: Name,
    /// A fresh random id.
    pub id: UserId,
    /// An e-mail address.
    pub email: Option<String>,
    /// The roles.
    pub roles: BTreeSet<Name>,
    /// When the user expires.
    pub expires: Option<Timestamp>,
    /// How the user logs in.
    pub login: FirstLogin,
}

impl DecisionContext<'_> {
    /// Creates a user.
    ///
    /// # Errors
    /// The change is refused.
    pub fn add(&self, new: &NewUser) -> Decision<()> {
        let taken = self.directory.find(&new.name).is_some();
        if taken {
            return Err(ChangeRefused::Taken(new.name.clone()));
        }
        if RESERVED.contains(&new.name.as_str()) {
            return Err(ChangeRefused::Reserved(new.name.clone()));
        }
        if let Some(email) = &new.email {
            check_email(email)?;
        }
        if let Some(past) = new.expires.filter(|at| *at <= self.now) {
            return Err(ChangeRefused::Past(past));
        }
        self.known(&new.roles)?;
        self.within(&self.directory.powers(&new.roles))?;
        Ok((made(new, &self.by.label(), Origin::Api, self.now), ()))
    }

    /// Replaces a user's roles; returns the previous ones.
    ///
    /// # Errors
    /// The change is refused.
    pub fn set_roles(&self, name: &Name, roles: &BTreeSet<Name>) -> Decision<BTreeSet<Name>> {
        let person = self.own(name)?;
        if roles.is_empty() {
            return Err(ChangeRefused::NoRoles(name.clone()));
        }
        self.known(roles)?;
        let before = &person.record.spec.roles;
        let directory = self.directory;
        let more = escalation(&directory.powers(before), &directory.powers(roles));
        self.within(&more.into_iter().collect())?;
        if before == roles {
            return Ok((Vec::new(), before.clone()));
        }
        let writes = vec![self.changed(&person, |user| user.roles.clone_from(roles))];
        self.keeps_an_admin(&person, &writes)?;
        Ok((writes, before.clone()))
    }

    /// Disables a user; returns how many sessions end.
    ///
    /// # Errors
    /// The change is refused.
    pub fn disable(&self, name: &Name) -> Decision<u32> {
        let person = self.own(name)?;
        if person.record.spec.disabled {
            return Err(ChangeRefused::Disabled(name.clone()));
        }
        let account = self.ending(&person, EndReason::Disable);
        let writes = vec![
            self.changed(&person, |user| user.disabled = true),
            Write::Account(person.record.spec.id(), Some(account)),
        ];
        self.keeps_an_admin(&person, &writes)?;
        Ok((writes, self.live(&person)))
    }

    /// Enables a disabled user.
    ///
    /// # Errors
    /// The change is refused.
    pub fn enable(&self, name: &Name) -> Decision<()> {
        let person = self.own(name)?;
        if !person.record.spec.disabled {
            return Err(ChangeRefused::Enabled(name.clone()));
        }
        self.within(&self.directory.powers(&person.record.spec.roles))?;
        let write = self.changed(&person, |user| user.disabled = false);
        Ok((vec![write], ()))
    }

    /// Locks a user, whatever declares them: removes all access. Returns how many sessions end.
    ///
    /// # Errors
    /// The change is refused.
    pub fn lock(&self, name: &Name, reason: &str) -> Decision<u32> {
        let person = self.find(name)?;
        if reason.chars().count() > MAX_REASON || reason.contains(char::is_control) {
            return Err(ChangeRefused::Reason(MAX_REASON));
        }
        if let Some(Inactive::Locked(_)) = person.inactive(self.now) {
            return Err(ChangeRefused::Locked {
                name: name.clone(),
                state: person.state(self.now),
            });
        }
        let mut account = self.ending(&person, EndReason::Lock);
        account.lock = Some(Lock {
            at: self.now,
            by: self.by.label(),
            reason: reason.trim().to_owned(),
        });
        let writes = vec![Write::Account(person.record.spec.id(), Some(account))];
        self.keeps_an_admin(&person, &writes)?;
        Ok((writes, self.live(&person)))
    }

    /// Unlocks a user.
    ///
    /// # Errors
    /// The change is refused.
    pub fn unlock(&self, name: &Name) -> Decision<()> {
        let person = self.find(name)?;
        let mut account = self.account(&person);
        if account.lock.take().is_none() {
            return Err(ChangeRefused::NotLocked(name.clone()));
        }
        let id = person.record.spec.id();
        if self.by.user() == Some(&id) {
            let why = "another user has to unlock you";
            return Err(ChangeRefused::NotPermitted(why.to_owned()));
        }
        self.within(&self.directory.powers(&person.record.spec.roles))?;
        Ok((vec![Write::Account(id, Some(account))], ()))
    }

    /// Issues a one-time code to set a password with. The current password is valid until then.
    ///
    /// # Errors
    /// The change is refused.
    pub fn enroll(&self, name: &Name, code: &FirstLogin) -> Decision<()> {
        let person = self.find(name)?;
        let user = &person.record.spec;
        if user.password_hash.is_some() {
            return Err(ChangeRefused::GitPassword {
                name: name.clone(),
                place: place(&person.record.origin),
            });
        }
        if let Some(barred) = person.inactive(self.now) {
            return Err(of_no_use(&person, &barred, self.now));
        }
        self.within(&self.directory.powers(&user.roles))?;
        let mut account = self.account(&person);
        code.put_into(&mut account, &self.by.label(), self.now);
        Ok((vec![Write::Account(user.id(), Some(account))], ()))
    }

    /// Removes a user; returns how many sessions end.
    ///
    /// # Errors
    /// The change is refused.
    pub fn remove(&self, name: &Name) -> Decision<u32> {
        let person = self.own(name)?;
        let mut writes = vec![Write::User(name.clone(), None)];
        if person.account.is_some() {
            writes.push(Write::Account(person.record.spec.id(), None));
        }
        self.keeps_an_admin(&person, &writes)?;
        Ok((writes, self.live(&person)))
    }
}

/// The writes that create a user.
pub(crate) fn made(new: &NewUser, by: &str, origin: Origin, now: Timestamp) -> Vec<Write> {
    let user = User {
        name: new.name.clone(),
        labels: Labels::default(),
        roles: new.roles.clone(),
        email: new.email.clone(),
        disabled: false,
        expires: new.expires,
        password_hash: None,
        made: Some(Creation {
            id: new.id.clone(),
            at: now,
            by: by.to_owned(),
        }),
    };
    let record = Record {
        spec: user,
        origin,
        // No commit made it.
        generation: Generation(0),
        since: now,
    };
    let mut account = Account::new(new.name.clone());
    new.login.put_into(&mut account, by, now);
    vec![
        Write::User(new.name.clone(), Some(record)),
        Write::Account(new.id.clone(), Some(account)),
    ]
}

fn of_no_use(person: &Person<'_>, barred: &Inactive, now: Timestamp) -> ChangeRefused {
    let name = person.name();
    let help = match (barred, &person.record.origin) {
        (Inactive::Locked(_), _) => format!("first `banyan user unlock {name}`"),
        (Inactive::Disabled, Origin::Api | Origin::Bootstrap) => {
            format!("first `banyan user enable {name}`")
        }
        (Inactive::Expired, Origin::Api | Origin::Bootstrap) => {
            format!("create {name} again: `banyan user remove {name}`, `banyan user add {name}`")
        }
        (_, origin) => format!("first change {} and push", place(origin)),
    };
    ChangeRefused::Inactive {
        name: name.clone(),
        state: person.state(now),
        help,
    }
}
