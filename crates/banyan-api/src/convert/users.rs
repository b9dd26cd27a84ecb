//! Users on the wire.

use banyan_core::people::{Directory, PasswordInForce, Person, Session};
use banyan_core::{Name, ObjectState};
use jiff::Timestamp;

use super::{texts, timestamp};
use crate::v1;

impl v1::User {
    /// A user as of `now`, with the number of live sessions.
    #[must_use]
    pub fn new<'a>(
        directory: Directory<'a>,
        person: &Person<'a>,
        sessions: u32,
        now: Timestamp,
    ) -> Self {
        let (record, user) = (person.record, &person.record.spec);
        let made = user.made.as_ref();
        let state = ObjectState::of_user(person, now);
        let lock = state.lock.as_ref();
        Self {
            name: user.name.to_string(),
            email: user.email.clone().unwrap_or_default(),
            roles: texts(&user.roles),
            state: state.word.to_owned(),
            origin: Some((&record.origin).into()),
            since: Some(timestamp(record.since)),
            expires: user.expires.map(timestamp),
            id: user.id().to_string(),
            created: made.map(|made| timestamp(made.at)),
            created_by: made.map(|made| made.by.clone()).unwrap_or_default(),
            login: login(directory, person, now).to_owned(),
            lock_reason: lock.map(|lock| lock.reason.clone()).unwrap_or_default(),
            sessions,
            locked_at: lock.map(|lock| timestamp(lock.at)),
            locked_by: lock.map(|lock| lock.by.clone()).unwrap_or_default(),
            disabled: user.disabled,
            lasting_admin: directory.is_lasting_admin(person, now),
        }
    }
}

impl v1::GetUserResponse {
    /// A user with what their roles permit and how they can log in at `now`. `sessions` are the user's live sessions;
    /// when the last of them was refreshed is omitted if the caller lacks a permission for it, which is named.
    #[must_use]
    pub fn new<'a>(
        directory: Directory<'a>,
        person: &Person<'a>,
        sessions: &[&Session],
        lacks: Option<&str>,
        now: Timestamp,
    ) -> Self {
        let live = u32::try_from(sessions.len()).unwrap_or(u32::MAX);
        let last = (sessions.iter().max_by_key(|session| session.current.issued))
            .filter(|_| lacks.is_none());
        let hidden = lacks.map(|permission| v1::Hidden {
            what: "sessions".to_owned(),
            permission: permission.to_owned(),
        });
        let roles = person.record.spec.roles.iter();
        Self {
            user: Some(v1::User::new(directory, person, live, now)),
            generation: 0,
            grants: roles.map(|role| grant(directory, role)).collect(),
            password: password(person),
            code: open_code(directory, person, now),
            last_refreshed: last.map(|session| timestamp(session.current.issued)),
            last_via: last.map(|session| session.via.clone()).unwrap_or_default(),
            hidden: hidden.into_iter().collect(),
        }
    }
}

fn grant(directory: Directory<'_>, role: &Name) -> v1::Grant {
    let record = directory.objects.roles.get(role);
    let permissions = directory.objects.role_permissions(role);
    let origin = match record {
        Some(record) => Some((&record.origin).into()),
        None => permissions.is_some().then(v1::Origin::built_in),
    };
    v1::Grant {
        role: role.to_string(),
        permissions: texts(permissions.unwrap_or_default()),
        origin,
    }
}

/// The password that a login is compared with.
fn password(person: &Person<'_>) -> Option<v1::UserPassword> {
    let (from, set) = match person.password()? {
        PasswordInForce::Declared(_) => ("git", None),
        PasswordInForce::Chosen(chosen) => ("api", Some(timestamp(chosen.set))),
    };
    Some(v1::UserPassword {
        from: from.to_owned(),
        set,
    })
}

fn open_code<'a>(
    directory: Directory<'a>,
    person: &Person<'a>,
    now: Timestamp,
) -> Option<v1::OpenCode> {
    let code = directory.open_enrolment(person, now)?;
    Some(v1::OpenCode {
        expires: Some(timestamp(code.expires)),
        by: code.by.clone(),
    })
}

/// How a user can log in at `now`.
fn login<'a>(directory: Directory<'a>, person: &Person<'a>, now: Timestamp) -> &'static str {
    let invited = directory.open_enrolment(person, now).is_some();
    match (person.password().is_some(), invited) {
        (true, true) => "password, enrolment open",
        (true, false) => "password",
        (false, true) => "enrolment open",
        (false, false) => "none",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use banyan_core::people::{
        Account, Credential, Enrolment, Id, Issuer, Lock, NOBODY, RefreshToken,
    };
    use banyan_core::{Creation, Generation, Labels, Objects, Origin, Record, SecretText, User};

    use super::*;

    fn t(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn record(roles: &[&str]) -> Arc<Record<User>> {
        let user = User {
            name: name("mia"),
            labels: Labels::default(),
            roles: roles.iter().map(|role| name(role)).collect(),
            email: None,
            disabled: true,
            expires: None,
            password_hash: Some(SecretText::new("$2b$12$x".to_owned())),
            made: Some(Creation {
                id: Id::from_bytes([1; 16]),
                at: t("2026-01-01T00:00:00Z"),
                by: "host".to_owned(),
            }),
        };
        Arc::new(Record {
            spec: user,
            origin: Origin::Api,
            generation: Generation(1),
            since: t("2026-01-01T00:00:00Z"),
        })
    }

    fn session(issued: &str, via: &str) -> Session {
        Session {
            user: Id::from_bytes([1; 16]),
            name: name("mia"),
            epoch: 0,
            created: t("2026-01-01T00:00:00Z"),
            current: RefreshToken {
                id: Id::from_bytes([2; 16]),
                key: None,
                issued: t(issued),
                expires: t("2026-02-01T00:00:00Z"),
            },
            previous: None,
            via: via.to_owned(),
            ended: None,
        }
    }

    fn shown(person: &Person<'_>, lacks: Option<&str>) -> v1::GetUserResponse {
        let objects = Objects::default();
        let directory = Directory {
            objects: &objects,
            people: &NOBODY,
        };
        let earlier = session("2026-01-02T00:00:00Z", "192.0.2.1");
        let later = session("2026-01-03T00:00:00Z", "192.0.2.2");
        let sessions = [&later, &earlier];
        let now = t("2026-01-04T00:00:00Z");
        v1::GetUserResponse::new(directory, person, &sessions, lacks, now)
    }

    #[test]
    fn who_may_not_read_sessions_is_told_what_is_left_out() {
        let record = record(&["viewer", "gone"]);
        let person = Person {
            record: &record,
            account: None,
        };
        let open = shown(&person, None);
        assert_eq!(open.last_via, "192.0.2.2");
        assert!(open.last_refreshed.is_some() && open.hidden.is_empty());
        let closed = shown(&person, Some("sessions:read"));
        assert_eq!(
            (closed.last_refreshed, closed.last_via.as_str()),
            (None, "")
        );
        assert_eq!(closed.hidden[0].permission, "sessions:read");
        assert_eq!(closed.user.unwrap().sessions, 2);
        let [gone, viewer] = &closed.grants[..] else {
            panic!("{:?}", closed.grants)
        };
        assert_eq!((gone.role.as_str(), &gone.origin), ("gone", &None));
        assert_eq!(viewer.origin, Some(v1::Origin::built_in()));
    }

    #[test]
    fn a_state_is_a_word_and_its_causes_are_fields_of_their_own() {
        let record = record(&["viewer"]);
        let account = Arc::new(Account {
            lock: Some(Lock {
                at: t("2026-01-03T12:00:00Z"),
                by: "carol".to_owned(),
                reason: "left".to_owned(),
                emergency: false,
            }),
            enrolment: Some(Enrolment {
                hash: SecretText::new("00".to_owned()),
                expires: t("2026-01-05T00:00:00Z"),
                by: "host".to_owned(),
                issuer: Some(Issuer::Host),
                powers: banyan_core::built_in_role("viewer").unwrap(),
            }),
            password: Some(Credential {
                hash: SecretText::new("$2b$12$x".to_owned()),
                set: t("2026-01-02T12:00:00Z"),
            }),
            ..Account::new(name("mia"))
        });
        let bare = Person {
            record: &record,
            account: None,
        };
        let user = shown(&bare, None).user.unwrap();
        assert_eq!((user.state.as_str(), user.disabled), ("disabled", true));
        assert_eq!(shown(&bare, None).password.unwrap().from, "git");
        let locked = shown(
            &Person {
                account: Some(&account),
                ..bare
            },
            None,
        );
        let user = locked.user.unwrap();
        assert_eq!((user.state.as_str(), user.disabled), ("locked", true));
        assert_eq!(
            (user.locked_by.as_str(), user.lock_reason.as_str()),
            ("carol", "left")
        );
        assert_eq!(user.locked_at, Some(timestamp(t("2026-01-03T12:00:00Z"))));
        assert_eq!(locked.password.unwrap().from, "git");
        assert_eq!(locked.code.unwrap().by, "host");
    }
}
