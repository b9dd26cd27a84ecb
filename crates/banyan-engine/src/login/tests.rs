//! Logging in over the strict in-memory store, at bcrypt's lowest cost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use banyan_core::fixture::t;
use banyan_core::people::EndReason;
use banyan_core::people::{
    Account, Credential, Enrolment, Id, Lock, RefreshToken, Session, SigningKey, TokenId, Write,
};
use banyan_core::{
    Creation, Generation, KeyId, Labels, Name, Origin, Record, SecretText, User, UserId,
};
use banyan_identity::{Cost, Limits, Password, Settings};
use banyan_state::{Scope, State};
use banyan_store::MemoryStore;

mod refresh;

use super::*;
use crate::access::Denials;
use crate::access::KeyringCache;
use crate::audit::Audit;

const ALICES: &str = "correct horse battery staple";
const NEW: &str = "another horse, another staple";

fn caller(last: u8) -> Caller {
    Caller::Anonymous {
        via: format!("192.0.2.{last}"),
    }
}

fn id_of(byte: u8) -> UserId {
    Id::from_bytes([byte; 16])
}

fn user(name: &str, byte: u8, change: impl FnOnce(&mut User)) -> Write {
    let name: Name = name.parse().unwrap();
    let mut spec = User {
        name: name.clone(),
        labels: Labels::default(),
        roles: ["viewer".parse().unwrap()].into(),
        email: Some("a@example.org".into()),
        disabled: false,
        expires: None,
        password_hash: None,
        made: Some(Creation {
            id: id_of(byte),
            at: t("2026-01-01T00:00:00Z"),
            by: "test".into(),
        }),
    };
    change(&mut spec);
    let record = Record {
        spec,
        origin: Origin::Api,
        generation: Generation(1),
        since: t("2026-01-01T00:00:00Z"),
    };
    Write::User(name, Some(record))
}

async fn login_over(store: &MemoryStore) -> Login {
    let state = Arc::new(State::open(Arc::new(store.clone())).await.unwrap());
    let metrics = Arc::new(Metrics::new());
    let (audit, writer) = Audit::new(
        state.audit("test".parse().unwrap()),
        1_000,
        Arc::clone(&metrics),
    );
    tokio::spawn(writer.run(tokio_util::sync::CancellationToken::new()));
    Login {
        keys: Arc::new(KeyringCache::new(None)),
        settings: Settings {
            issuer: "banyan".into(),
            audience: "banyan".into(),
            access_expiry: Duration::from_secs(3600),
            refresh_expiry: Duration::from_secs(7 * 86_400),
        },
        hashing: Arc::new(Hashing::new(Cost::LOWEST, 2, 64).unwrap()),
        limits: Limits::new(),
        denials: Denials::new(audit.clone(), Arc::clone(&metrics)),
        audit,
        metrics,
        began: Instant::now(),
        state,
    }
}

/// Alice has a password, carol a code, mallory neither; there is a key to sign with.
async fn fixture() -> (MemoryStore, Login, String) {
    let store = MemoryStore::new();
    let login = login_over(&store).await;
    let hash = login
        .hashing
        .hash(Password::chosen(ALICES.to_owned()).unwrap())
        .await
        .unwrap();
    let code = random::code().unwrap();
    let now = crate::clock::now();
    let key = SigningKey {
        seed: SecretText::new("01".repeat(32)),
        made: now,
        signs_from: now,
        accepted_until: None,
    };
    let mut alice = Account::new("alice".parse().unwrap());
    alice.password = Some(Credential { hash, set: now });
    let mut carol = Account::new("carol".parse().unwrap());
    carol.enrolment = Some(Enrolment {
        hash: SecretText::new(code.hash()),
        expires: now + SignedDuration::from_hours(24),
        by: "host".into(),
        issuer: Some(banyan_core::people::Issuer::Host),
        powers: banyan_core::built_in_role("viewer").unwrap(),
    });
    let writes = vec![
        Write::SigningKey(KeyId::from_bytes([1; 16]), Some(key)),
        user("alice", 1, |_| ()),
        Write::Account(id_of(1), Some(alice)),
        user("carol", 2, |_| ()),
        Write::Account(id_of(2), Some(carol)),
        user("mallory", 3, |_| ()),
    ];
    write(&login, writes).await;
    let code = code.expose().to_string();
    (store, login, code)
}

async fn write(login: &Login, writes: Vec<Write>) {
    let decide = |_: &View| Ok::<_, std::convert::Infallible>((writes.clone(), ()));
    login.state.change(Scope::Powers, decide).await.unwrap();
}

fn cause<T: std::fmt::Debug>(result: Result<T, LoginError>) -> &'static str {
    match result.unwrap_err() {
        LoginError::Denied(denial) => denial.cause(),
        LoginError::Password(_) => "bad-password",
        LoginError::Status(status) => panic!("{status}"),
    }
}

fn as_user(issued: &Issued) -> Caller {
    Caller::User {
        id: issued.user.clone(),
        name: issued.name.clone(),
        session: issued.session.clone(),
        token_expires: issued.access_expires,
        via: "192.0.2.1".into(),
    }
}

fn session(login: &Login, issued: &Issued) -> Session {
    Session::clone(&login.state.view().people.sessions[&issued.session])
}

#[tokio::test]
async fn a_name_and_its_password_give_tokens_of_a_session() {
    let (_store, login, _) = fixture().await;
    let issued = login
        .login(&caller(1), "alice", ALICES.into())
        .await
        .unwrap();
    assert_eq!(
        (issued.user.clone(), issued.name.as_str()),
        (id_of(1), "alice")
    );
    let keyring = login
        .keys
        .at(&login.state.view().people.signing_keys, issued.now)
        .unwrap();
    let read = |kind, token: &SecretText| {
        keyring
            .verify(kind, token.expose(), &login.settings, issued.now)
            .unwrap()
    };
    let access = read(Kind::Access, &issued.access);
    assert_eq!(
        (access.sub.as_str(), access.email.as_deref()),
        (id_of(1).as_str(), Some("a@example.org"))
    );
    assert_eq!(access.roles, ["viewer"]);
    assert!(access.permissions.contains(&"status:read".to_owned()));
    assert_eq!(access.sid, issued.session.to_string());
    assert_eq!(access.exp - access.iat, 3600);
    let refresh = read(Kind::Refresh, &issued.refresh);
    assert_eq!(refresh.exp - refresh.iat, 7 * 86_400);
    assert_ne!(refresh.jti, access.jti);
    assert_eq!(session(&login, &issued).via, "192.0.2.1");
}

/// Whatever is wrong, the answer and the work are the same; only the reasons that the caller's own text gives differ.
#[tokio::test]
async fn who_may_not_log_in_learns_nothing_from_the_answer_nor_from_the_work() {
    let (_store, login, code) = fixture().await;
    let mut last = 10;
    for (name, password) in [
        ("alice", "wrong password"),
        ("mallory", "no password at all"),
        ("carol", "a code is no password"),
        ("nobody", "of this name"),
        ("not a name!", "not even one"),
    ] {
        last += 1;
        let before = login.hashing.work_done();
        let refused = login.login(&caller(last), name, password.into()).await;
        assert_eq!(cause(refused), "bad-credentials", "{name}");
        assert_eq!(login.hashing.work_done() - before, 1, "{name}");
    }
    for (name, code) in [
        ("alice", code.as_str()),
        ("carol", "0000-0000-0000"),
        ("nobody", code.as_str()),
    ] {
        last += 1;
        let before = login.hashing.work_done();
        let refused = login.enroll(&caller(last), name, code, NEW.into()).await;
        assert_eq!(cause(refused), "bad-credentials", "{name}");
        assert_eq!(login.hashing.work_done() - before, 1, "{name}");
    }
}

#[tokio::test]
async fn a_password_that_cannot_be_one_is_refused_with_the_reason_and_no_work() {
    let (_store, login, code) = fixture().await;
    let before = login.hashing.work_done();
    for (password, said) in [
        ("x".repeat(72), "71"),
        (format!("{ALICES}\0"), "NUL"),
        (String::new(), ""),
    ] {
        let error = login
            .login(&caller(1), "alice", password.clone())
            .await
            .unwrap_err();
        assert!(matches!(error, LoginError::Password(_)), "{error}");
        assert!(error.to_string().contains(said), "{error}");
        let refused = login.enroll(&caller(1), "carol", &code, password).await;
        assert_eq!(cause(refused), "bad-password");
    }
    let short = login
        .enroll(&caller(1), "carol", &code, "elevenchars".into())
        .await;
    assert!(short.unwrap_err().to_string().contains("12"));
    assert_eq!(login.hashing.work_done(), before);
}

#[tokio::test]
async fn whoever_has_shown_the_password_learns_why_it_is_not_enough() {
    let (_store, login, _) = fixture().await;
    write(&login, vec![user("alice", 1, |user| user.disabled = true)]).await;
    let refused = login
        .login(&caller(1), "alice", ALICES.into())
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("alice is disabled"),
        "{refused}"
    );
    let wrong = login
        .login(&caller(1), "alice", "wrong password".into())
        .await;
    assert_eq!(cause(wrong), "bad-credentials");
    assert!(login.state.view().people.sessions.is_empty());
}

#[tokio::test]
async fn a_code_sets_a_password_once() {
    let (_store, login, code) = fixture().await;
    let issued = login
        .enroll(&caller(1), "carol", &code.to_uppercase(), NEW.into())
        .await
        .unwrap();
    assert_eq!(issued.name.as_str(), "carol");
    let again = login
        .enroll(&caller(2), "carol", &code, ALICES.into())
        .await;
    assert_eq!(cause(again), "bad-credentials");
    login.login(&caller(3), "carol", NEW.into()).await.unwrap();
    let view = login.state.view();
    assert!(
        session(&login, &issued)
            .end(
                view.people.accounts.get(&id_of(2)).map(|a| &**a),
                issued.now
            )
            .is_none()
    );
}

#[tokio::test]
async fn of_two_who_have_the_same_code_one_gets_in() {
    let (store, one, code) = fixture().await;
    let two = login_over(&store).await;
    let (a, b) = tokio::join!(
        async { one.enroll(&caller(1), "carol", &code, NEW.into()).await },
        async { two.enroll(&caller(2), "carol", &code, ALICES.into()).await },
    );
    assert_eq!([a.is_ok(), b.is_ok()].iter().filter(|won| **won).count(), 1);
}

#[tokio::test]
async fn an_expired_code_is_worth_nothing() {
    let (_store, login, code) = fixture().await;
    let mut carol = Account::clone(&login.state.view().people.accounts[&id_of(2)]);
    carol.enrolment.as_mut().unwrap().expires = crate::clock::now();
    write(&login, vec![Write::Account(id_of(2), Some(carol))]).await;
    let late = login.enroll(&caller(1), "carol", &code, NEW.into()).await;
    assert_eq!(cause(late), "bad-credentials");
}

#[tokio::test]
async fn a_password_that_git_declares_is_gits_to_change() {
    let (_store, login, _) = fixture().await;
    let issued = login
        .login(&caller(1), "alice", ALICES.into())
        .await
        .unwrap();
    let hash = login.state.view().people.accounts[&id_of(1)]
        .password
        .clone()
        .unwrap()
        .hash;
    write(
        &login,
        vec![user("alice", 1, |user| user.password_hash = Some(hash))],
    )
    .await;
    let error = login
        .change_password(&as_user(&issued), ALICES.into(), NEW.into())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("declared by git"), "{error}");
}

#[tokio::test]
async fn logging_out_ends_the_session_and_no_other() {
    let (_store, login, _) = fixture().await;
    let one = login
        .login(&caller(1), "alice", ALICES.into())
        .await
        .unwrap();
    let two = login
        .login(&caller(2), "alice", ALICES.into())
        .await
        .unwrap();
    login.logout(&as_user(&one)).await.unwrap();
    assert_eq!(
        session(&login, &one).ended.unwrap().because,
        EndReason::Logout
    );
    assert_eq!(
        cause(login.refresh(&caller(1), one.refresh.expose()).await),
        "session-ended"
    );
    login
        .refresh(&caller(2), two.refresh.expose())
        .await
        .unwrap();
}

#[tokio::test]
async fn the_eleventh_attempt_of_an_address_in_a_minute_waits_and_the_host_does_not() {
    let (_store, login, _) = fixture().await;
    for n in 0..10 {
        let refused = login
            .login(&caller(1), &format!("user-{n}"), "wrong password".into())
            .await;
        assert_eq!(cause(refused), "bad-credentials");
    }
    let before = login.hashing.work_done();
    let error = login
        .login(&caller(1), "alice", ALICES.into())
        .await
        .unwrap_err();
    let LoginError::Denied(Denial::TooMany { wait }) = error else {
        panic!("{error}");
    };
    assert!(
        wait > Duration::from_secs(40) && wait <= Duration::from_secs(60),
        "{wait:?}"
    );
    assert_eq!(login.hashing.work_done(), before);
    login
        .login(&caller(2), "alice", ALICES.into())
        .await
        .unwrap();
    let host = Caller::Anonymous { via: LOCAL.into() };
    for _ in 0..12 {
        login.login(&host, "alice", ALICES.into()).await.unwrap();
    }
}

#[tokio::test]
async fn an_account_that_is_guessed_at_from_everywhere_slows_down_and_is_never_shut() {
    let (_store, login, _) = fixture().await;
    for n in 0..5 {
        let refused = login
            .login(&caller(n), "alice", "wrong password".into())
            .await;
        assert_eq!(cause(refused), "bad-credentials");
    }
    let error = login
        .login(&caller(99), "alice", ALICES.into())
        .await
        .unwrap_err();
    let LoginError::Denied(Denial::TooMany { wait }) = error else {
        panic!("{error}");
    };
    assert_eq!(wait, Duration::from_secs(1));
}

#[tokio::test]
async fn the_hundred_and_first_session_of_a_user_displaces_the_oldest() {
    let (_store, login, _) = fixture().await;
    let now = crate::clock::now();
    let made = |n: u8| Session {
        user: id_of(1),
        name: "alice".parse().unwrap(),
        epoch: 0,
        created: now - SignedDuration::from_secs(i64::from(n) + 1),
        current: RefreshToken {
            id: TokenId::from_bytes([n; 16]),
            key: None,
            issued: now,
            expires: now + SignedDuration::from_hours(1),
        },
        previous: None,
        via: "test".into(),
        ended: None,
    };
    let sessions = (0..100u8).map(|n| Write::Session(Id::from_bytes([n; 16]), Some(made(n))));
    write(&login, sessions.collect()).await;
    login
        .login(&caller(1), "alice", ALICES.into())
        .await
        .unwrap();
    let view = login.state.view();
    let ended: Vec<_> = view
        .people
        .sessions
        .iter()
        .filter(|(_, s)| s.ended.is_some())
        .collect();
    assert_eq!(ended.len(), 1);
    assert_eq!(*ended[0].0, Id::from_bytes([99; 16]));
    assert_eq!(
        ended[0].1.ended.as_ref().unwrap().because,
        EndReason::Displaced
    );
}

#[tokio::test]
async fn what_was_tried_and_what_came_of_it_is_in_the_audit_log_without_a_secret() {
    let (store, login, code) = fixture().await;
    let first = login
        .login(&caller(1), "alice", ALICES.into())
        .await
        .unwrap();
    let _ = login
        .login(&caller(2), "alice", "wrong password".into())
        .await;
    let second = login
        .refresh(&caller(1), first.refresh.expose())
        .await
        .unwrap();
    login
        .refresh(&caller(1), second.refresh.expose())
        .await
        .unwrap();
    let _ = login.refresh(&caller(3), first.refresh.expose()).await;
    login
        .enroll(&caller(4), "carol", &code, NEW.into())
        .await
        .unwrap();
    let at = crate::clock::now();
    let last = AuditEntry::new(at, Actor::Engine, Action::LOGOUT);
    login.audit.record_and_wait(last).await.unwrap();
    let state = State::open(Arc::new(store)).await.unwrap();
    let recorded = state
        .audit("test".parse().unwrap())
        .list(None, 100)
        .await
        .unwrap();
    let text = format!("{recorded:?}");
    for action in ["login", "login.refresh", "login.reuse", "login.enroll"] {
        assert!(text.contains(&format!("{action:?}")), "{action}: {text}");
    }
    for secret in [
        ALICES,
        NEW,
        "wrong password",
        &code,
        first.access.expose(),
        first.refresh.expose(),
    ] {
        assert!(!text.contains(secret), "{text}");
    }
    let jti = &session(&login, &first).current.id;
    assert!(!text.contains(jti.as_str()));
}
