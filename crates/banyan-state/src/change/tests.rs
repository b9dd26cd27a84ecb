//! User data over the strict in-memory store.

use std::convert::Infallible;

use banyan_core::fixture::{commit, documents, lenient, t};
use banyan_core::people::{
    Account, Credential, EndReason, Ended, Enrolment, Id, RefreshToken, Session, SigningKey,
};
use banyan_core::{
    AdmitContext, Creation, Generation, Name, Origin, Record, SecretText, SessionId, User, admit,
    check,
};
use banyan_store::{MemoryStore, Store};

use super::*;
use crate::people::restored;
use crate::{AdvanceError, Term};

const NOW: &str = "2026-01-01T00:00:00Z";

async fn open(store: &MemoryStore) -> State {
    State::open(Arc::new(store.clone())).await.unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn record(text: &str, byte: u8) -> Record<User> {
    Record {
        spec: User {
            name: name(text),
            labels: banyan_core::Labels::default(),
            roles: [name("admin")].into(),
            email: None,
            disabled: false,
            expires: None,
            password_hash: None,
            made: Some(Creation {
                id: Id::from_bytes([byte; 16]),
                at: t(NOW),
                by: "host".to_owned(),
            }),
        },
        origin: Origin::Api,
        generation: Generation(0),
        since: t(NOW),
    }
}

fn account(text: &str) -> Account {
    Account {
        password: Some(Credential {
            hash: SecretText::new("$2b$12$x".into()),
            set: t(NOW),
        }),
        enrolment: Some(Enrolment {
            hash: SecretText::new("00".into()),
            expires: t("2026-01-02T00:00:00Z"),
            by: "host".into(),
            issuer: Some(banyan_core::people::Issuer::Host),
            powers: Default::default(),
        }),
        ..Account::new(name(text))
    }
}

fn session() -> Session {
    Session {
        user: Id::from_bytes([1; 16]),
        name: name("alice"),
        epoch: 0,
        created: t(NOW),
        current: RefreshToken {
            id: Id::from_bytes([2; 16]),
            key: None,
            issued: t(NOW),
            expires: t("2026-01-08T00:00:00Z"),
        },
        previous: None,
        via: "local socket".into(),
        ended: None,
    }
}

fn add(text: &str, byte: u8) -> Vec<Write> {
    vec![
        Write::User(name(text), Some(record(text, byte))),
        Write::Account(Id::from_bytes([byte; 16]), Some(account(text))),
    ]
}

/// Adds a user unless the name is taken.
async fn added(state: &State, text: &str, byte: u8) -> Result<(), ChangeError<&'static str>> {
    let decide = |view: &View| match view.directory().find(&name(text)) {
        Some(_) => Err("taken"),
        None => Ok((add(text, byte), ())),
    };
    state.change(Scope::Powers, decide).await
}

#[tokio::test]
async fn an_acknowledged_change_is_in_the_view_and_in_what_the_next_process_reads() {
    let store = MemoryStore::new();
    let state = open(&store).await;
    added(&state, "alice", 1).await.unwrap();
    let sid: SessionId = Id::from_bytes([9; 16]);
    let write = |value: Option<Session>| {
        let write = Write::Session(sid.clone(), value);
        move |_: &View| Ok::<_, Infallible>((vec![write.clone()], ()))
    };
    state
        .change(Scope::Own, write(Some(session())))
        .await
        .unwrap();
    let next = open(&store).await;
    for view in [state.view(), next.view()] {
        let person = view.directory().find(&name("alice")).unwrap();
        assert!(person.account.unwrap().password.is_some());
        assert_eq!(*view.people.sessions[&sid], session());
        assert!(view.people.revision > 0);
    }
    state.change(Scope::Own, write(None)).await.unwrap();
    assert!(state.view().people.sessions.is_empty());
}

#[tokio::test]
async fn of_two_engines_that_create_the_same_user_at_once_one_succeeds() {
    let store = MemoryStore::new();
    for round in 0..20 {
        let (one, two) = (open(&store).await, open(&store).await);
        let user = format!("user-{round}");
        let (a, b) = tokio::join!(
            added(&one, &user, 1 + round),
            added(&two, &user, 101 + round)
        );
        assert_eq!(
            [&a, &b].iter().filter(|made| made.is_ok()).count(),
            1,
            "{a:?} {b:?}"
        );
        let view = two.view();
        let person = view.directory().find(&name(&user)).unwrap();
        let id = person.record.spec.id();
        assert!(
            view.people.accounts.contains_key(&id),
            "the winner's user has the winner's account"
        );
    }
}

#[tokio::test]
async fn two_engines_cannot_both_remove_the_other_ones_last_admin() {
    let store = MemoryStore::new();
    let (one, two) = (open(&store).await, open(&store).await);
    added(&one, "alice", 1).await.unwrap();
    added(&one, "bob", 2).await.unwrap();
    two.wait_for(one.view().revision).await.unwrap();
    let remove = |gone: &'static str| {
        move |view: &View| {
            let others = view.directory().lasting_admins(t(NOW));
            match others.filter(|admin| admin.name().as_str() != gone).count() {
                0 => Err("the last one"),
                _ => Ok((vec![Write::User(name(gone), None)], ())),
            }
        }
    };
    let (a, b) = tokio::join!(
        one.change(Scope::Powers, remove("alice")),
        two.change(Scope::Powers, remove("bob")),
    );
    assert_eq!([a, b].iter().filter(|gone| gone.is_ok()).count(), 1);
    assert_eq!(one.view().directory().lasting_admins(t(NOW)).count(), 1);
}

#[tokio::test]
async fn a_commit_decided_on_outdated_users_is_not_applied() {
    let store = MemoryStore::new();
    let state = open(&store).await;
    let checked = check(&documents(), Vec::new(), t(NOW)).unwrap();
    let target = |view: &View| {
        let circumstances = AdmitContext {
            people: &view.people,
            made_of: None,
            ..lenient(t(NOW))
        };
        admit(&view.in_force, &checked, &commit(1), &circumstances).unwrap()
    };
    let judged = target(&state.view());
    added(&state, "zoe", 1).await.unwrap();
    let error = state.advance(&Term::alone(), &judged, 0).await.unwrap_err();
    assert!(matches!(error, AdvanceError::Superseded { .. }), "{error}");
    state
        .advance(&Term::alone(), &target(&state.view()), 0)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_change_that_was_decided_before_a_commit_is_decided_again_after_it() {
    let store = MemoryStore::new();
    let (one, two) = (open(&store).await, open(&store).await);
    let checked = check(&documents(), Vec::new(), t(NOW)).unwrap();
    let target = admit(&one.view().in_force, &checked, &commit(1), &lenient(t(NOW))).unwrap();
    one.advance(&Term::alone(), &target, 0).await.unwrap();
    // The commit declares alice; an engine whose view lacks it must not create another one.
    let error = added(&two, "alice", 7).await.unwrap_err();
    assert!(matches!(error, ChangeError::Refused("taken")), "{error:?}");
}

#[tokio::test]
async fn an_unreadable_account_locks_its_user_out() {
    let store = MemoryStore::new();
    let state = open(&store).await;
    added(&state, "alice", 1).await.unwrap();
    let key = key_of(&Write::Account(Id::from_bytes([1; 16]), None));
    let broken = Txn::new().put(key, *b"{\"name\":7}");
    let Outcome::Committed(revision) = store.commit(broken).await.unwrap() else {
        panic!("conflict");
    };
    state.wait_for(revision).await.unwrap();
    for view in [state.view(), open(&store).await.view()] {
        let person = view.directory().find(&name("alice")).unwrap();
        assert!(person.inactive(t(NOW)).is_some());
    }
}

#[test]
fn a_restored_account_keeps_its_password_and_loses_its_open_code() {
    let value = stored::encode(&account("alice")).unwrap();
    let after: Account = stored::decode("x", &restored("v1/account/x", &value).unwrap()).unwrap();
    assert!(after.password.is_some() && after.enrolment.is_none());
    assert_eq!(restored("v1/history/x", &value).unwrap(), value);
}

/// Stored values must stay readable for later versions.
#[test]
fn the_stored_form_of_people_is_pinned() {
    let mut locked = account("alice");
    locked.end_sessions(Ended {
        at: t(NOW),
        because: EndReason::Suspicion,
    });
    let show = |write: &Write| {
        let value = value_of(write).unwrap().unwrap();
        format!("{} = {}", key_of(write), String::from_utf8_lossy(&value))
    };
    let key = SigningKey {
        seed: SecretText::new("00ff".into()),
        made: t(NOW),
        signs_from: t(NOW),
        accepted_until: None,
    };
    let writes = [
        Write::User(name("alice"), Some(record("alice", 1))),
        Write::Account(Id::from_bytes([1; 16]), Some(locked)),
        Write::Session(Id::from_bytes([2; 16]), Some(session())),
        Write::SigningKey(Id::from_bytes([3; 16]), Some(key)),
    ];
    let lines: Vec<String> = writes.iter().map(show).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn a_backup_has_passwords_and_neither_sessions_nor_open_codes_nor_signing_keys() {
    let store = MemoryStore::new();
    let state = open(&store).await;
    let checked = check(&documents(), Vec::new(), t(NOW)).unwrap();
    let target = admit(
        &state.view().in_force,
        &checked,
        &commit(1),
        &lenient(t(NOW)),
    )
    .unwrap();
    state.advance(&Term::alone(), &target, 0).await.unwrap();
    added(&state, "zoe", 1).await.unwrap();
    let key = SigningKey {
        seed: SecretText::new("5eed".repeat(16)),
        made: t(NOW),
        signs_from: t(NOW),
        accepted_until: None,
    };
    let writes = vec![
        Write::Session(Id::from_bytes([9; 16]), Some(session())),
        Write::SigningKey(Id::from_bytes([3; 16]), Some(key)),
    ];
    let decide = |_: &View| Ok::<_, Infallible>((writes.clone(), ()));
    state.change(Scope::Own, decide).await.unwrap();
    let mut file = Vec::new();
    state
        .archive(t(NOW))
        .await
        .unwrap()
        .write(&mut file)
        .unwrap();
    let text = String::from_utf8(file).unwrap();
    assert!(
        text.contains("v1/account/") && text.contains("$2b$12$x"),
        "{text}"
    );
    for gone in ["v1/session/", "v1/signing-key/", "5eed5eed", "enrolment"] {
        assert!(!text.contains(gone), "{gone} in {text}");
    }
}
