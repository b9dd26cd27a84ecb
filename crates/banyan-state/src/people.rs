//! Users in the store: how their entries enter the view.

use std::collections::BTreeMap;
use std::sync::Arc;

use banyan_core::people::{Account, People, Session, SigningKey};
use banyan_core::{Name, Record, User};
use banyan_store::{Compare, Entry, Revision};
use tracing::warn;

use crate::key::{ACCOUNTS, PEOPLE, SESSIONS, SIGNING_KEYS, USERS};
use crate::{StateError, stored};

/// Makes a write conditional on the set of users and permissions it was decided on.
pub(crate) fn unchanged(at: Revision) -> Compare {
    Compare::Modified {
        key: PEOPLE.to_owned(),
        at,
    }
}

/// The revisions at which the entries about users were last written.
#[derive(Debug, Clone, Default)]
pub(crate) struct PeopleIndex {
    at: BTreeMap<String, Revision>,
}

impl PeopleIndex {
    /// The revision at which a key was last written; 0 if it is missing.
    pub(crate) fn at(&self, key: &str) -> Revision {
        self.at.get(key).copied().unwrap_or(Revision(0))
    }

    /// Applies an entry; `false` if it is not about users.
    pub(crate) fn put(&mut self, people: &mut Arc<People>, entry: &Entry) -> bool {
        let key = entry.key.as_str();
        if !is_of_people(key) {
            return false;
        }
        self.at.insert(key.to_owned(), entry.modified);
        if key == PEOPLE {
            Arc::make_mut(people).revision = entry.modified.0;
            return true;
        }
        if let Err(error) = put(people, key, &entry.value) {
            warn!(key, %error, "ignoring an unreadable entry of the store");
            // An unreadable value grants nothing, least of all what an older value granted.
            remove(people, key);
            bar(people, key);
        }
        true
    }

    /// Applies the removal of a key; `false` if it was not about users.
    pub(crate) fn delete(&mut self, people: &mut Arc<People>, key: &str) -> bool {
        if !is_of_people(key) {
            return false;
        }
        self.at.remove(key);
        if key == PEOPLE {
            Arc::make_mut(people).revision = 0;
        }
        remove(people, key);
        true
    }
}

/// Whether a key is about users.
pub(crate) fn is_of_people(key: &str) -> bool {
    key == PEOPLE
        || [USERS, ACCOUNTS, SESSIONS, SIGNING_KEYS]
            .iter()
            .any(|prefix| key.starts_with(prefix))
}

fn put(people: &mut Arc<People>, key: &str, value: &[u8]) -> Result<(), StateError> {
    let corrupt = || StateError::Corrupt {
        key: key.to_owned(),
        source: None,
    };
    if let Some(name) = key.strip_prefix(USERS) {
        let user: Record<User> = stored::decode(key, value)?;
        if user.spec.name.as_str() != name {
            return Err(corrupt());
        }
        let people = Arc::make_mut(people);
        people.users.insert(user.spec.name.clone(), user.into());
    } else if let Some(id) = key.strip_prefix(ACCOUNTS) {
        let account: Account = stored::decode(key, value)?;
        let id = id.parse().map_err(|_| corrupt())?;
        Arc::make_mut(people).accounts.insert(id, account.into());
    } else if let Some(id) = key.strip_prefix(SESSIONS) {
        let session: Session = stored::decode(key, value)?;
        let id = id.parse().map_err(|_| corrupt())?;
        Arc::make_mut(people).sessions.insert(id, session.into());
    } else if let Some(id) = key.strip_prefix(SIGNING_KEYS) {
        let signing_key: SigningKey = stored::decode(key, value)?;
        let id = id.parse().map_err(|_| corrupt())?;
        Arc::make_mut(people)
            .signing_keys
            .insert(id, signing_key.into());
    }
    Ok(())
}

fn remove(people: &mut Arc<People>, key: &str) {
    if let Some(name) = key.strip_prefix(USERS) {
        if let Ok(name) = name.parse::<Name>() {
            Arc::make_mut(people).users.remove(&name);
        }
    } else if let Some(id) = key.strip_prefix(ACCOUNTS) {
        if let Ok(id) = id.parse() {
            Arc::make_mut(people).accounts.remove(&id);
        }
    } else if let Some(id) = key.strip_prefix(SESSIONS) {
        if let Ok(id) = id.parse() {
            Arc::make_mut(people).sessions.remove(&id);
        }
    } else if let Some(id) = key.strip_prefix(SIGNING_KEYS)
        && let Ok(id) = id.parse()
    {
        Arc::make_mut(people).signing_keys.remove(&id);
    }
}

/// An account that cannot be read may have been locked, so its user stays locked out until unlocked.
fn bar(people: &mut Arc<People>, key: &str) {
    let Some(id) = key.strip_prefix(ACCOUNTS).and_then(|id| id.parse().ok()) else {
        return;
    };
    let Ok(name) = "unreadable".parse() else {
        return;
    };
    let mut account = Account::new(name);
    account.lock = Some(banyan_core::people::Lock {
        at: jiff::Timestamp::UNIX_EPOCH,
        by: "the engine".to_owned(),
        reason: "the stored account of this user is unreadable".to_owned(),
        emergency: false,
    });
    Arc::make_mut(people).accounts.insert(id, account.into());
}

/// The value of a key in a restored store: passwords survive a restore, open codes do not.
pub(crate) fn restored(key: &str, value: &Arc<[u8]>) -> Result<Arc<[u8]>, StateError> {
    if !key.starts_with(ACCOUNTS) {
        return Ok(Arc::clone(value));
    }
    let mut account: Account = stored::decode(key, value)?;
    account.enrolment = None;
    stored::encode(&account)
}
