//! The effects of a plan on users apart from the objects.

use std::collections::BTreeMap;

use banyan_core::people::Directory;
use banyan_core::{Name, Objects};
use banyan_state::View;
use jiff::Timestamp;

/// Describes sessions that the plan ends, and locks, which no commit removes.
pub(super) fn text(view: &View, after: &Objects, now: Timestamp) -> String {
    let before = view.directory();
    let after = Directory {
        objects: after,
        people: &view.people,
    };
    let mut ending: BTreeMap<&Name, usize> = BTreeMap::new();
    for (_, session) in before.live_sessions(now) {
        if after.session_end(session, now).is_some() {
            *ending.entry(&session.name).or_default() += 1;
        }
    }
    let mut text = String::new();
    if !ending.is_empty() {
        text.push_str("\nSessions:\n");
        for (name, count) in ending {
            let plural = if count == 1 {
                "session of"
            } else {
                "sessions of"
            };
            text.push_str(&format!("  {count} {plural} {name} end\n"));
        }
    }
    let locked: Vec<_> = locked(after).collect();
    if !locked.is_empty() {
        text.push_str("\nLocks, which stay until they are lifted (banyan user unlock):\n");
        for line in locked {
            text.push_str(&format!("  {line}\n"));
        }
    }
    text
}

/// The locked users, each with who locked it.
pub(crate) fn locked(directory: Directory<'_>) -> impl Iterator<Item = String> {
    directory.iter().filter_map(|person| {
        let lock = person.account?.lock.as_ref()?;
        let why = match lock.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        let by_what = match lock.emergency {
            true => ", who holds less than the user does (emergency lock, users:lock)",
            false => "",
        };
        Some(format!(
            "user {} by {}{by_what} since {:.0}{why}",
            person.name(),
            lock.by,
            lock.at
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use banyan_core::fixture::t;
    use banyan_core::people::{Account, Id, Lock, People, RefreshToken, Session, TokenId};
    use banyan_core::{Generation, InForce, Labels, Origin, Record, User};

    use super::*;

    const NOW: &str = "2026-11-21T12:00:00Z";

    fn kim() -> User {
        User {
            name: "kim".parse().unwrap(),
            labels: Labels::default(),
            roles: ["viewer".parse().unwrap()].into(),
            email: None,
            disabled: false,
            expires: None,
            password_hash: None,
            made: None,
        }
    }

    fn objects(user: User) -> Objects {
        let record = Record {
            spec: user,
            origin: Origin::Api,
            generation: Generation(1),
            since: t(NOW),
        };
        Objects {
            users: [(record.spec.name.clone(), record.into())].into(),
            ..Objects::default()
        }
    }

    #[test]
    fn a_plan_lists_sessions_that_end_and_locks_that_stay() {
        let turn = RefreshToken {
            id: TokenId::from_bytes([1; 16]),
            key: None,
            issued: t(NOW),
            expires: t("2026-11-22T12:00:00Z"),
        };
        let session = Session {
            user: kim().id(),
            name: kim().name,
            epoch: 0,
            created: t(NOW),
            current: turn,
            previous: None,
            via: "192.0.2.1".into(),
            ended: None,
        };
        let mut people = People::default();
        for byte in [1, 2] {
            people
                .sessions
                .insert(Id::from_bytes([byte; 16]), session.clone().into());
        }
        let view = |people: People| {
            let mut view = View::default();
            view.in_force = Arc::new(InForce {
                applied: None,
                objects: objects(kim()),
            });
            view.people = people.into();
            view
        };
        let unlocked = view(people.clone());
        assert_eq!(text(&unlocked, &objects(kim()), t(NOW)), "");
        let disabled = User {
            disabled: true,
            ..kim()
        };
        for after in [Objects::default(), objects(disabled)] {
            let text = text(&unlocked, &after, t(NOW));
            assert_eq!(text, "\nSessions:\n  2 sessions of kim end\n");
        }
        let mut account = Account::new(kim().name);
        account.lock = Some(Lock {
            at: t(NOW),
            by: "ada".into(),
            reason: "laptop lost".into(),
            emergency: false,
        });
        people.accounts.insert(kim().id(), account.into());
        let text = text(&view(people), &objects(kim()), t(NOW));
        assert!(
            text.ends_with("  user kim by ada since 2026-11-21T12:00:00Z: laptop lost\n"),
            "{text}"
        );
        assert!(
            !text.contains("Sessions"),
            "a locked user's sessions have ended already: {text}"
        );
    }
}
