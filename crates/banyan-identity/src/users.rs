//! Decisions about users: creating, changing, locking and removing them.

use std::collections::BTreeSet;

use banyan_core::people::{
    Account, EndReason, Inactive, Lock, Person, Write, check_email, escalation,
};
use banyan_core::{Creation, Generation, Labels, Name, Origin, Record, User, UserId};
use jiff::{SignedDuration, Timestamp};

use crate::context::{Decision, DecisionContext, FirstLogin};
use crate::refused::{ChangeRefused, place};

/// The permission to change users, and the one to lock any user in an emergency.
const WRITE: &str = "users:write";
const LOCK: &str = "users:lock";
/// For how long a user who used a code of a locked user is suspect.
const SUSPECT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The longest reason of a lock, in characters.
const MAX_REASON: usize = 200;
/// Names that the audit log uses for what is not a user.
const RESERVED: [&str; 4] = ["engine", "git", "host", "nobody"];

/// What became of roles that were set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolesSet {
    /// The roles before.
    pub before: BTreeSet<Name>,
    /// The users whose codes are void now.
    pub voided: Vec<Name>,
}

/// What a user lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// How many sessions ended.
    pub ended: u32,
    /// The users whose codes are void now, because the user issued them.
    pub voided: Vec<Name>,
}

/// What a locked user lost, and what to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// What the user lost.
    pub taken: Taken,
    /// The users who used a code of the locked user within the last 7 days, and when. They can still log in.
    pub enrolled: Vec<(Name, Timestamp)>,
    /// Whether only `users:lock` allowed it.
    pub emergency: bool,
}

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
        Ok((self.created(new, Origin::Api), ()))
    }

    /// Replaces a user's roles.
    ///
    /// # Errors
    /// The change is refused.
    pub fn set_roles(&self, name: &Name, roles: &BTreeSet<Name>) -> Decision<RolesSet> {
        let person = self.own(name)?;
        if roles.is_empty() {
            return Err(ChangeRefused::NoRoles(name.clone()));
        }
        self.known(roles)?;
        self.not_above(&person)?;
        let before = &person.record.spec.roles;
        let directory = self.directory;
        let more = escalation(&directory.powers(before), &directory.powers(roles));
        self.within(&more.into_iter().collect())?;
        let mut set = RolesSet {
            before: before.clone(),
            voided: Vec::new(),
        };
        if before == roles {
            return Ok((Vec::new(), set));
        }
        let mut writes = vec![self.changed(&person, |user| user.roles.clone_from(roles))];
        set.voided = self.void_codes(&mut writes);
        self.keeps_an_admin(&person, &writes)?;
        Ok((writes, set))
    }

    /// Disables a user.
    ///
    /// # Errors
    /// The change is refused.
    pub fn disable(&self, name: &Name) -> Decision<Taken> {
        let person = self.own(name)?;
        if person.record.spec.disabled {
            return Err(ChangeRefused::Disabled(name.clone()));
        }
        self.not_above(&person)?;
        let mut account = self.ending(&person, EndReason::Disable);
        account.enrolment = None;
        let writes = vec![
            self.changed(&person, |user| user.disabled = true),
            Write::Account(person.record.spec.id(), Some(account)),
        ];
        self.taken(&person, writes)
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

    /// Locks a user, whatever declares them: removes all access. Needs `users:write` and every permission of the user, or
    /// `users:lock`.
    ///
    /// # Errors
    /// The change is refused.
    pub fn lock(&self, name: &Name, reason: &str) -> Decision<Locked> {
        let person = self.find(name)?;
        if reason.chars().count() > MAX_REASON || reason.contains(char::is_control) {
            return Err(ChangeRefused::Reason(MAX_REASON));
        }
        let emergency = self.is_emergency(&person)?;
        if let Some(Inactive::Locked(_)) = person.inactive(self.now) {
            return Err(ChangeRefused::Locked {
                name: name.clone(),
                state: person.state(self.now),
            });
        }
        let mut account = self.ending(&person, EndReason::Lock);
        account.enrolment = None;
        account.lock = Some(Lock {
            at: self.now,
            by: self.by.label(),
            reason: reason.trim().to_owned(),
            emergency,
        });
        let id = person.record.spec.id();
        let enrolled = self.recently_enrolled_by(&id);
        let writes = vec![Write::Account(id, Some(account))];
        let (writes, taken) = self.taken(&person, writes)?;
        Ok((
            writes,
            Locked {
                taken,
                enrolled,
                emergency,
            },
        ))
    }

    /// Whether locking the user needs `users:lock`, which the caller then holds.
    fn is_emergency(&self, person: &Person<'_>) -> Result<bool, ChangeRefused> {
        let ordinary = (self.by.must_hold(WRITE, self.directory, self.now))
            .map_err(ChangeRefused::from)
            .and_then(|()| self.not_above(person));
        match ordinary {
            Ok(()) => Ok(false),
            Err(refused) => match self.by.must_hold(LOCK, self.directory, self.now) {
                Ok(()) => Ok(self.not_above(person).is_err()),
                Err(_) => Err(refused),
            },
        }
    }

    /// The users who used a code of this user within [`SUSPECT`], by name.
    fn recently_enrolled_by(&self, issuer: &UserId) -> Vec<(Name, Timestamp)> {
        let since = self.now.checked_sub(SUSPECT).unwrap_or(Timestamp::MIN);
        let accounts = self.directory.people.accounts.values();
        let mut found: Vec<_> = accounts
            .filter_map(|account| Some((account, account.enrolled.as_ref()?)))
            .filter(|(_, enrolled)| enrolled.by.is(issuer) && enrolled.at >= since)
            .map(|(account, enrolled)| (account.name.clone(), enrolled.at))
            .collect();
        found.sort();
        found
    }

    /// What a change takes from a user: its writes, with the codes that it voids.
    fn taken(&self, person: &Person<'_>, mut writes: Vec<Write>) -> Decision<Taken> {
        let taken = Taken {
            ended: self.live(person),
            voided: self.void_codes(&mut writes),
        };
        self.keeps_an_admin(person, &writes)?;
        Ok((writes, taken))
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
        code.put_into(&mut account, *self, &user.roles);
        Ok((vec![Write::Account(user.id(), Some(account))], ()))
    }

    /// Removes a user.
    ///
    /// # Errors
    /// The change is refused.
    pub fn remove(&self, name: &Name) -> Decision<Taken> {
        let person = self.own(name)?;
        self.not_above(&person)?;
        let mut writes = vec![Write::User(name.clone(), None)];
        if person.account.is_some() {
            writes.push(Write::Account(person.record.spec.id(), None));
        }
        self.taken(&person, writes)
    }

    /// The writes that create a user.
    pub(crate) fn created(&self, new: &NewUser, origin: Origin) -> Vec<Write> {
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
                at: self.now,
                by: self.by.label(),
            }),
        };
        let record = Record {
            spec: user,
            origin,
            // No commit made it.
            generation: Generation(0),
            since: self.now,
        };
        let mut account = Account::new(new.name.clone());
        new.login.put_into(&mut account, *self, &new.roles);
        vec![
            Write::User(new.name.clone(), Some(record)),
            Write::Account(new.id.clone(), Some(account)),
        ]
    }
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
