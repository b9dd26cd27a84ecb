//! The rules on users, on plain data.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::fixture::t;
use crate::{Creation, Generation, Objects, Origin, Permission, Role, SecretText};

const NOW: &str = "2026-11-21T12:00:00Z";

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn id<K>(byte: u8) -> Id<K> {
    Id::from_bytes([byte; 16])
}

fn user(text: &str, byte: u8, roles: &[&str]) -> User {
    User {
        name: name(text),
        labels: crate::Labels::default(),
        roles: roles.iter().map(|role| name(role)).collect(),
        email: None,
        disabled: false,
        expires: None,
        password_hash: None,
        made: Some(Creation {
            id: id(byte),
            at: t(NOW),
            by: "test".to_owned(),
        }),
    }
}

fn record<T>(spec: T) -> Arc<Record<T>> {
    Arc::new(Record {
        spec,
        origin: Origin::Api,
        generation: Generation(1),
        since: t(NOW),
    })
}

fn with_password(text: &str) -> Account {
    Account {
        password: Some(Credential {
            hash: SecretText::new("$2b$12$x".into()),
            set: t(NOW),
        }),
        ..Account::new(name(text))
    }
}

fn with_code(text: &str, expires: Timestamp) -> Account {
    Account {
        enrolment: Some(Enrolment {
            hash: SecretText::new("00".into()),
            expires,
            by: "test".into(),
            issuer: Some(Issuer::Host),
            powers: [Permission::everything()].into(),
        }),
        ..Account::new(name(text))
    }
}

fn objects(users: Vec<User>) -> Objects {
    let ops = Role {
        name: name("ops"),
        labels: crate::Labels::default(),
        permissions: ["users:*".parse().unwrap()].into(),
    };
    Objects {
        users: users
            .into_iter()
            .map(|user| (user.name.clone(), record(user)))
            .collect(),
        roles: [(name("ops"), record(ops))].into(),
        ..Objects::default()
    }
}

fn people(users: Vec<User>, accounts: Vec<(u8, Account)>) -> People {
    let accounts = accounts.into_iter();
    People {
        users: users
            .into_iter()
            .map(|user| (user.name.clone(), record(user)))
            .collect(),
        accounts: accounts
            .map(|(byte, account)| (id(byte), Arc::new(account)))
            .collect(),
        ..People::default()
    }
}

#[test]
fn users_of_git_and_others_are_one_list_by_name() {
    let objects = objects(vec![user("bob", 1, &[]), user("zoe", 2, &[])]);
    let people = people(vec![user("alice", 3, &[]), user("mia", 4, &[])], vec![]);
    let directory = Directory {
        objects: &objects,
        people: &people,
    };
    let names: Vec<String> = directory
        .iter()
        .map(|person| person.name().to_string())
        .collect();
    assert_eq!(names, ["alice", "bob", "mia", "zoe"]);
    for listed in names {
        assert_eq!(
            directory.find(&name(&listed)).unwrap().name().as_str(),
            listed
        );
    }
    assert!(directory.find(&name("nobody")).is_none());
}

#[test]
fn an_id_finds_its_own_user_and_no_other_of_the_same_name() {
    let objects = objects(vec![user("bob", 1, &[])]);
    let directory = Directory {
        objects: &objects,
        people: &NOBODY,
    };
    assert!(directory.find_id(&id(1), &name("bob")).is_some());
    assert!(directory.find_id(&id(2), &name("bob")).is_none());
    assert!(directory.find_id(&id(1), &name("zoe")).is_none());
}

#[test]
fn an_active_user_has_the_permissions_of_their_roles() {
    let mut late = user("late", 4, &["admin"]);
    late.expires = Some(t(NOW));
    let mut off = user("off", 3, &["admin"]);
    off.disabled = true;
    let users = vec![
        user("mia", 1, &["ops", "viewer"]),
        user("locked", 2, &["admin"]),
        off,
        late,
    ];
    let objects = objects(users);
    let mut locked = with_password("locked");
    locked.lock = Some(Lock {
        at: t(NOW),
        by: "mia".into(),
        reason: String::new(),
        emergency: false,
    });
    let people = people(vec![], vec![(2, locked)]);
    let directory = Directory {
        objects: &objects,
        people: &people,
    };
    let may = |who: &str, what: &str| {
        let person = directory.find(&name(who)).unwrap();
        let wanted: Permission = what.parse().unwrap();
        let may = directory.may(&person, &wanted, t(NOW));
        let permissions = directory.permissions(&person, t(NOW));
        assert_eq!(
            may,
            permissions.iter().any(|held| held.covers(&wanted)),
            "{who} {what}"
        );
        may
    };
    assert!(may("mia", "users:write") && may("mia", "users:*") && may("mia", "logs:read"));
    assert!(!may("mia", "*") && !may("mia", "gitops:read"));
    for barred in ["locked", "off", "late"] {
        assert!(!may(barred, "status:read"), "{barred}");
    }
    let state = |who: &str| directory.find(&name(who)).unwrap().state(t(NOW));
    assert_eq!(state("locked"), "locked by mia since 2026-11-21T12:00:00Z");
    assert_eq!(
        (state("off").as_str(), state("mia").as_str()),
        ("disabled", "active")
    );
}

#[test]
fn a_lasting_admin_is_active_holds_everything_without_expiry_and_can_log_in() {
    let mut guest = user("guest", 2, &["admin"]);
    guest.expires = Some(t("2027-01-01T00:00:00Z"));
    let mut declared = user("declared", 6, &["admin"]);
    declared.password_hash = Some(SecretText::new("$2b$12$x".into()));
    let users = vec![
        user("alice", 1, &["admin"]),
        guest,
        user("silent", 3, &["admin"]),
        user("invited", 4, &["admin"]),
        user("late", 5, &["admin"]),
        declared,
        user("viewer", 7, &["viewer"]),
    ];
    let objects = objects(users);
    let accounts = vec![
        (1, with_password("alice")),
        (2, with_password("guest")),
        (4, with_code("invited", t("2026-11-21T12:00:01Z"))),
        (5, with_code("late", t(NOW))),
        (7, with_password("viewer")),
    ];
    let people = people(vec![], accounts);
    let directory = Directory {
        objects: &objects,
        people: &people,
    };
    let admins: Vec<&str> = directory
        .lasting_admins(t(NOW))
        .map(|p| p.name().as_str())
        .collect();
    assert_eq!(admins, ["alice", "declared", "invited"]);
}

#[test]
fn permissions_a_holder_cannot_grant_are_named() {
    let set = |list: &[&str]| list.iter().map(|p| p.parse().unwrap()).collect();
    let names = |held: &[&str], wanted: &[&str]| {
        let beyond = escalation(&set(held), &set(wanted));
        beyond.iter().map(Permission::to_string).collect::<Vec<_>>()
    };
    assert!(names(&["*"], &["*", "users:write"]).is_empty());
    assert!(names(&["users:*"], &["users:write", "users:read"]).is_empty());
    assert_eq!(
        names(&["users:*", "logs:read"], &["*", "logs:read", "users:*"]),
        ["*"]
    );
    assert_eq!(names(&["users:write"], &["users:*"]), ["users:*"]);
}

fn session(issued: Timestamp) -> Session {
    Session {
        user: id(1),
        name: name("alice"),
        epoch: 0,
        created: issued,
        current: RefreshToken {
            id: id(10),
            key: None,
            issued,
            expires: issued + SignedDuration::from_hours(1),
        },
        previous: None,
        via: "local socket".to_owned(),
        ended: None,
    }
}

#[test]
fn a_refresh_token_is_good_once_and_for_a_moment_gets_the_same_successor() {
    let start = t(NOW);
    let mut session = session(start);
    assert_eq!(
        session.judge_refresh(&id(10), start),
        RefreshVerdict::Rotate
    );
    let at = start + SignedDuration::from_secs(60);
    let turn = |byte, issued| RefreshToken {
        id: id(byte),
        issued,
        ..session.current.clone()
    };
    let (second, third) = (turn(11, at), turn(12, at));
    session.rotate(second, "192.0.2.1".into());
    let judge = |session: &Session, byte, after: i64| {
        session.judge_refresh(&id(byte), at + SignedDuration::from_millis(after))
    };
    assert_eq!(judge(&session, 11, 0), RefreshVerdict::Rotate);
    assert_eq!(judge(&session, 10, 10_000), RefreshVerdict::Again);
    assert_eq!(judge(&session, 10, 10_001), RefreshVerdict::Reused);
    assert_eq!(judge(&session, 9, 0), RefreshVerdict::Reused);
    session.rotate(third, "192.0.2.1".into());
    assert_eq!(
        judge(&session, 10, 1),
        RefreshVerdict::Reused,
        "its successor was used"
    );
    assert_eq!(judge(&session, 11, 1), RefreshVerdict::Again);
}

#[test]
fn a_session_ends_with_its_accounts_epoch_or_at_its_expiry() {
    let start = t(NOW);
    let session = session(start);
    let mut account = with_password("alice");
    assert_eq!(session.end(Some(&account), start), None);
    assert_eq!(session.end(None, start), None);
    let late = start + SignedDuration::from_hours(1);
    assert_eq!(session.end(None, late).unwrap().because, EndReason::Expiry);
    account.end_sessions(Ended {
        at: start,
        because: EndReason::Lock,
    });
    assert_eq!(
        session.end(Some(&account), start).unwrap().because,
        EndReason::Lock
    );
    let revoked = Session {
        ended: Some(Ended {
            at: start,
            because: EndReason::Revoked,
        }),
        ..session
    };
    assert_eq!(
        revoked.end(Some(&account), late).unwrap().because,
        EndReason::Revoked
    );
}

#[test]
fn a_past_expiry_ends_a_session_when_it_is_applied() {
    let mut gone = user("gone", 1, &[]);
    gone.expires = Some(t(NOW) - SignedDuration::from_hours(24 * 365));
    let objects = objects(vec![gone]);
    let directory = Directory {
        objects: &objects,
        people: &NOBODY,
    };
    let session = Session {
        name: name("gone"),
        ..session(t(NOW))
    };
    let ended = directory.session_end(&session, t(NOW)).unwrap();
    assert_eq!((ended.at, ended.because), (t(NOW), EndReason::Expiry));
}

#[test]
fn a_session_ends_when_its_user_becomes_inactive() {
    let mut off = user("off", 2, &[]);
    off.disabled = true;
    let mut late = user("late", 3, &[]);
    late.expires = Some(t(NOW));
    let objects = objects(vec![user("alice", 1, &[]), off, late]);
    let mut locked = with_password("alice");
    locked.lock = Some(Lock {
        at: t(NOW),
        by: "mia".into(),
        reason: String::new(),
        emergency: false,
    });
    let people = people(vec![], vec![(1, locked)]);
    let end = |people: &People, byte, text: &str| {
        let directory = Directory {
            objects: &objects,
            people,
        };
        let session = Session {
            user: id(byte),
            name: name(text),
            ..session(t(NOW))
        };
        directory
            .session_end(&session, t(NOW))
            .map(|ended| ended.because)
    };
    assert_eq!(end(&NOBODY, 1, "alice"), None);
    assert_eq!(end(&people, 1, "alice"), Some(EndReason::Lock));
    assert_eq!(end(&people, 2, "off"), Some(EndReason::Disable));
    assert_eq!(end(&people, 3, "late"), Some(EndReason::Expiry));
    assert_eq!(
        end(&people, 9, "alice"),
        Some(EndReason::Removal),
        "another of the name"
    );
    assert_eq!(end(&people, 9, "gone"), Some(EndReason::Removal));
}

#[test]
fn users_created_through_the_api_are_explained_and_hold_roles() {
    let objects = objects(vec![user("bob", 1, &["ops"])]);
    let people = people(vec![user("mia", 2, &["ops"])], vec![]);
    let directory = Directory {
        objects: &objects,
        people: &people,
    };
    assert_eq!(
        directory.holders(&name("ops")),
        [&name("bob"), &name("mia")]
    );
    let explained = directory
        .explain(crate::Kind::User, &name("mia"), t(NOW))
        .unwrap();
    assert_eq!(explained.origin, Some(Origin::Api));
    assert_eq!(explained.implies, ["has users:* through role ops"]);
}

#[test]
fn the_newest_key_that_has_started_signs() {
    let at = |seconds: i64| t(NOW) + SignedDuration::from_secs(seconds);
    let key = |from: i64, until: Option<i64>| {
        Arc::new(SigningKey {
            seed: SecretText::new("00".into()),
            made: at(0),
            signs_from: at(from),
            accepted_until: until.map(at),
        })
    };
    let keys: BTreeMap<KeyId, _> = [
        (id(1), key(0, Some(100))),
        (id(2), key(50, None)),
        (id(3), key(-9, Some(0))),
    ]
    .into();
    let signs = |seconds| signing_key_at(&keys, at(seconds)).map(|(id, _)| id.clone());
    assert_eq!(signs(0), Some(id(1)));
    assert_eq!(signs(49), Some(id(1)));
    assert_eq!(signs(50), Some(id(2)));
    assert_eq!(signs(500), Some(id(2)));
    assert_eq!(signs(-5), Some(id(3)));
    assert_eq!(
        signs(-20),
        Some(id(3)),
        "no key has started: the earliest signs"
    );
    assert_eq!(signing_key_at(&BTreeMap::new(), at(0)), None);
}

fn check(text: &str) -> Result<(), HashError> {
    check_hash(text, HASH_COST)
}

#[test]
fn a_hash_is_bcrypt_with_the_required_cost() {
    let digest = "abcdefghijklmnopqrstuOBCDEFGHIJKLMNOPQRSTUVWXYZ./0122";
    for version in ["2a", "2b", "2y"] {
        assert_eq!(check(&format!("${version}$12${digest}")), Ok(()));
    }
    for cost in ["04", "10", "13", "31", "99"] {
        let found = cost.parse().unwrap();
        assert_eq!(
            check(&format!("$2b${cost}${digest}")),
            Err(HashError::Cost { found, cost: 12 })
        );
    }
    let short = &digest[1..];
    for bad in [
        String::new(),
        "hunter2".into(),
        format!("$2b$12${short}"),
        format!("$2x$12${digest}"),
        format!("$2b$+2${digest}"),
        format!("$2b$12${digest}$"),
        format!("$2b$12${short}!"),
        format!("x$2b$12${digest}"),
        // Excess bits at the end of the salt and of the digest.
        format!("$2b$12${}", digest.replace("uO", "uP")),
        format!("$2b$12${}", digest.replace("0122", "0123")),
        format!("$2b$12${}é", &digest[2..]),
    ] {
        assert_eq!(check(&bad), Err(HashError::Malformed), "{bad}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_hash_check_panic(text in "[$0-9a-z.]{0,70}") {
        let _ = check(&text);
    }

    #[test]
    fn ids_are_read_back_and_nothing_else_is_one(bytes: [u8; 16], text in ".{0,40}") {
        let id: UserId = Id::from_bytes(bytes);
        let read = id.as_str().parse::<UserId>();
        prop_assert_eq!(read, Ok(id));
        if let Ok(read) = text.parse::<UserId>() {
            prop_assert_eq!(read.as_str(), text);
        }
    }
}
