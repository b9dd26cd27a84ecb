//! Break-glass recovery from the engine's host: creates an admin, or lets one log in again.

use banyan_core::people::{Account, EndReason, Person, Write};
use banyan_core::{Name, Origin, Permission, User, UserId, has_expired};

use crate::context::{Decision, DecisionContext, FirstLogin};
use crate::refused::{ChangeRefused, place};
use crate::users::NewUser;

/// The admin's default name.
pub const ADMIN: &str = "admin";

/// The admin to recover.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// The name.
    pub name: Name,
    /// A fresh random id, in case the user is created.
    pub id: UserId,
    /// How the admin logs in.
    pub login: FirstLogin,
    /// Do nothing if an admin can log in.
    pub only_if_none: bool,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The admin; if nothing was done, one who can log in already.
    pub name: Name,
    /// What was done, a sentence each; empty if nothing was.
    pub done: Vec<String>,
    /// Whether the given password or code is in effect.
    pub login_set: bool,
}

impl DecisionContext<'_> {
    /// Creates the admin, or undoes whatever keeps the admin from logging in.
    ///
    /// # Errors
    /// The change is refused.
    pub fn recover(&self, wanted: &Recovery) -> Decision<Recovered> {
        let mut admins = self.directory.lasting_admins(self.now);
        if let Some(admin) = admins.next().filter(|_| wanted.only_if_none) {
            let recovered = Recovered {
                name: admin.name().clone(),
                done: Vec::new(),
                login_set: false,
            };
            return Ok((Vec::new(), recovered));
        }
        match self.directory.find(&wanted.name) {
            None => self.make_admin(wanted),
            Some(person) => match person.record.origin {
                Origin::Api | Origin::Bootstrap => self.restore_own(wanted, &person),
                Origin::Git { .. } | Origin::File => self.restore_declared(wanted, &person),
            },
        }
    }

    fn make_admin(&self, wanted: &Recovery) -> Decision<Recovered> {
        let new = NewUser {
            name: wanted.name.clone(),
            id: wanted.id.clone(),
            email: None,
            roles: [admin_role()?].into(),
            expires: None,
            login: wanted.login.clone(),
        };
        let writes = self.created(&new, Origin::Bootstrap);
        let mut done = vec![format!("created user {} with the role admin", wanted.name)];
        done.push(wanted.login.said().to_owned());
        Ok((writes, wanted.recovered(done, true)))
    }

    /// Undoes whatever keeps out a user that git does not declare.
    fn restore_own(&self, wanted: &Recovery, person: &Person<'_>) -> Decision<Recovered> {
        let user = &person.record.spec;
        let admin = admin_role()?;
        let mut done = Vec::new();
        if user.disabled {
            done.push("enabled the user".to_owned());
        }
        if let Some(expires) = user.expires {
            done.push(format!("removed the expiry {expires:.0}"));
        }
        if !user.roles.contains(&admin) {
            done.push("added the role admin".to_owned());
        }
        let mut writes = Vec::new();
        if !done.is_empty() {
            writes.push(self.changed(person, |user: &mut User| {
                user.disabled = false;
                user.expires = None;
                user.roles.insert(admin);
            }));
        }
        let mut roles = user.roles.clone();
        roles.insert(admin_role()?);
        let mut account = self.ending(person, EndReason::Password);
        done.extend(unlock(&mut account));
        wanted.login.put_into(&mut account, *self, &roles);
        done.push(wanted.login.said().to_owned());
        done.push("ended the user's sessions".to_owned());
        writes.push(Write::Account(user.id(), Some(account)));
        Ok((writes, wanted.recovered(done, true)))
    }

    /// Keeps what git declares, and undoes whatever else keeps the user out.
    fn restore_declared(&self, wanted: &Recovery, person: &Person<'_>) -> Decision<Recovered> {
        let user = &person.record.spec;
        let refused = |why: String| ChangeRefused::NotRecoverable {
            name: wanted.name.clone(),
            why,
            place: place(&person.record.origin),
        };
        if user.disabled {
            return Err(refused("git declares it disabled".to_owned()));
        }
        if let Some(expires) = user.expires.filter(|_| has_expired(user.expires, self.now)) {
            return Err(refused(format!("by git it expired at {expires:.0}")));
        }
        let powers = self.directory.powers(&user.roles);
        if !powers.iter().any(Permission::is_everything) {
            return Err(refused(
                "git gives it no role that permits everything".to_owned(),
            ));
        }
        let mut account = self.ending(person, EndReason::Password);
        let mut done = Vec::new();
        done.extend(unlock(&mut account));
        let own = user.password_hash.is_none();
        if own {
            wanted.login.put_into(&mut account, *self, &user.roles);
            done.push(wanted.login.said().to_owned());
        } else if done.is_empty() {
            return Err(refused("git declares its password".to_owned()));
        } else {
            done.push("left the password as git declares it".to_owned());
        }
        done.push("ended the user's sessions".to_owned());
        let write = Write::Account(user.id(), Some(account));
        Ok((vec![write], wanted.recovered(done, own)))
    }
}

impl Recovered {
    /// What was done, for the audit log.
    #[must_use]
    pub fn detail(&self) -> String {
        match self.done.is_empty() {
            true => format!("nothing: {} is able to log in", self.name),
            false => self.done.join("; "),
        }
    }
}

impl Recovery {
    fn recovered(&self, done: Vec<String>, login_set: bool) -> Recovered {
        Recovered {
            name: self.name.clone(),
            done,
            login_set,
        }
    }
}

impl FirstLogin {
    fn said(&self) -> &'static str {
        match self {
            Self::Password(_) => "set the password",
            Self::Code(_) => "issued a one-time code to set a password with",
        }
    }
}

fn unlock(account: &mut Account) -> Option<String> {
    let lock = account.lock.take()?;
    Some(format!("lifted the lock by {} of {:.0}", lock.by, lock.at))
}

fn admin_role() -> Result<Name, ChangeRefused> {
    let name = "admin".parse();
    name.map_err(|_| ChangeRefused::NotPermitted("the built-in role admin".to_owned()))
}
