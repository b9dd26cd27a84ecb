//! Users on the wire.

use banyan_core::people::Person;
use jiff::Timestamp;

use super::{texts, timestamp};
use crate::v1;

impl v1::User {
    /// A user as they are at `now`, with the number of their live sessions.
    #[must_use]
    pub fn new(person: &Person<'_>, sessions: u32, now: Timestamp) -> Self {
        let (record, user) = (person.record, &person.record.spec);
        let made = user.made.as_ref();
        let lock = person.account.and_then(|account| account.lock.as_ref());
        Self {
            name: user.name.to_string(),
            email: user.email.clone().unwrap_or_default(),
            roles: texts(&user.roles),
            state: person.state(now),
            origin: Some((&record.origin).into()),
            since: Some(timestamp(record.since)),
            expires: user.expires.map(timestamp),
            id: user.id().to_string(),
            created: made.map(|made| timestamp(made.at)),
            created_by: made.map(|made| made.by.clone()).unwrap_or_default(),
            login: login(person, now).to_owned(),
            lock_reason: lock.map(|lock| lock.reason.clone()).unwrap_or_default(),
            sessions,
        }
    }
}

/// How a user could log in at `now`.
fn login(person: &Person<'_>, now: Timestamp) -> &'static str {
    let chosen = person
        .account
        .is_some_and(|account| account.password.is_some());
    let invited = person
        .account
        .is_some_and(|account| account.open_enrolment(now).is_some());
    match (
        chosen || person.record.spec.password_hash.is_some(),
        invited,
    ) {
        (true, true) => "password, enrolment open",
        (true, false) => "password",
        (false, true) => "enrolment open",
        (false, false) => "none",
    }
}
