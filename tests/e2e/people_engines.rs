//! Users on several engines on one etcd: a change on one holds on the others, and concurrent changes have one outcome.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use banyan_api::Client;
use banyan_api::v1::{
    ListSigningKeysRequest, ListUsersRequest, LockUserRequest, RefreshRequest,
    RevokeSessionsRequest, RotateSigningKeyRequest, SetRolesRequest,
};
use banyan_testkit::netns::{Host, until};
use tonic::{Code, Status};

use crate::harness::{Cluster, LoggedIn, Options, Store, denied, new_user};

/// The time limit for a change made on one engine to hold on another.
const HOLDS: Duration = Duration::from_secs(1);

fn two() -> (Cluster, Cluster) {
    let first = Cluster::started_with(Options {
        store: Store::Etcd,
        ..Options::default()
    });
    first.await_role("leads");
    let mut second = first.another("engine-2", Host::here());
    second.join();
    second.await_role("follows");
    (first, second)
}

/// The same user's connection to another engine.
fn at(engine: &Cluster, user: &LoggedIn) -> Client {
    engine.with_token(&user.tokens.access_token)
}

/// Asserts that a call gets this answer within [`HOLDS`] of `since`.
#[track_caller]
fn holds(since: Instant, what: &str, mut is: impl FnMut() -> bool) {
    let held = until(HOLDS, || {
        anyhow::ensure!(is(), "{what} does not hold yet");
        Ok(())
    });
    let took = since.elapsed();
    held.unwrap();
    assert!(
        took < HOLDS + Duration::from_millis(500),
        "{what}: {took:?}"
    );
}

fn may_list(engine: &Cluster, client: &Client) -> bool {
    let mut call = client.users();
    engine.run(call.list_users(ListUsersRequest {})).is_ok()
}

#[test]
fn what_one_engine_changes_holds_on_the_other_within_a_second() {
    let (first, second) = two();
    let admin = second.first_admin();
    let nina = first.user_with("nina", &["viewer"]);
    let elsewhere = at(&second, &nina);
    holds(Instant::now(), "the login", || {
        second.who(&elsewhere).is_ok()
    });
    assert!(!may_list(&second, &elsewhere));
    let admin = at(&first, &admin);

    let roles = SetRolesRequest {
        name: "nina".to_owned(),
        roles: vec!["admin".to_owned()],
    };
    first.run(admin.users().set_roles(roles)).unwrap();
    let raised = || may_list(&second, &elsewhere);
    holds(Instant::now(), "the role", raised);

    let lock = LockUserRequest {
        name: "nina".to_owned(),
        reason: String::new(),
    };
    first.run(admin.users().lock_user(lock)).unwrap();
    let out = || second.who(&elsewhere).is_err();
    holds(Instant::now(), "the lock", out);
    denied(second.who(&elsewhere), "session-ended");

    let otto = second.user_with("otto", &["viewer"]);
    let revoke = RevokeSessionsRequest {
        user: "otto".to_owned(),
        ..RevokeSessionsRequest::default()
    };
    let knows = || {
        let answer = first.run(admin.sessions().revoke_sessions(revoke.clone()));
        answer.is_ok_and(|answer| answer.into_inner().ended == 1)
    };
    holds(Instant::now(), "the user", knows);
    let out = || second.who(&otto.client).is_err();
    holds(Instant::now(), "the revocation", out);
}

fn keys(engine: &Cluster) -> Vec<String> {
    let listed = engine.run(
        engine
            .client()
            .signing_keys()
            .list_signing_keys(ListSigningKeysRequest {}),
    );
    let listed = listed.unwrap().into_inner().keys;
    listed.into_iter().map(|key| key.id).collect()
}

#[test]
fn the_engines_sign_with_the_same_keys_and_revoking_them_ends_the_sessions_on_both() {
    let (first, second) = two();
    assert_eq!(keys(&first).len(), 1);
    assert_eq!(keys(&first), keys(&second));
    let nina = first.user_with("nina", &["viewer"]);
    let elsewhere = at(&second, &nina);
    holds(Instant::now(), "the login", || {
        second.who(&elsewhere).is_ok()
    });
    let refreshed = second.refresh(&nina.tokens.refresh_token).unwrap();
    let back = at(&first, &refreshed);
    holds(Instant::now(), "the refresh", || first.who(&back).is_ok());

    let before = keys(&first);
    let revoke = RotateSigningKeyRequest { revoke: true };
    let host = first.client();
    first
        .run(host.signing_keys().rotate_signing_key(revoke))
        .unwrap();
    let out = || second.who(&elsewhere).is_err();
    holds(Instant::now(), "the end of the keys", out);
    let status = second.who(&refreshed.client).unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    second
        .refresh(&refreshed.tokens.refresh_token)
        .err()
        .unwrap();
    assert_ne!(keys(&first), before);
    let same = || keys(&second) == keys(&first);
    holds(Instant::now(), "the new key", same);
}

/// Makes a call on each of two engines at the same moment.
fn at_once<T: Send>(clients: [Client; 2], call: impl Fn(Client) -> T + Sync) -> [T; 2] {
    let start = Barrier::new(2);
    let run = |client| {
        start.wait();
        call(client)
    };
    let [one, other] = clients;
    thread::scope(|scope| {
        let other = scope.spawn(|| run(other));
        let one = run(one);
        [one, other.join().unwrap()]
    })
}

/// A runtime for one call.
fn alone<T>(call: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(call)
}

#[test]
fn two_engines_that_get_the_same_refresh_token_at_once_give_one_successor() {
    let (first, second) = two();
    let nina = first.user_with("nina", &["viewer"]);
    let elsewhere = at(&second, &nina);
    holds(Instant::now(), "the login", || {
        second.who(&elsewhere).is_ok()
    });
    let mut token = nina.tokens.refresh_token;
    for round in 0..10 {
        let refresh = |client: Client| {
            let refresh_token = token.clone();
            alone(client.auth().refresh(RefreshRequest { refresh_token }))
        };
        let got = at_once([first.stranger(), second.stranger()], refresh);
        let successors: BTreeSet<String> = got
            .into_iter()
            .map(|answer| answer.unwrap().into_inner().refresh_token)
            .collect();
        assert_eq!(successors.len(), 1, "round {round}");
        let next = successors.into_iter().next().unwrap();
        assert_ne!(next, token);
        token = next;
    }
    second.who(&elsewhere).unwrap();
}

#[test]
fn two_engines_that_make_the_same_user_at_once_make_one() {
    let (first, second) = two();
    for round in 0..10 {
        let name = format!("nina-{round}");
        let add = |client: Client| {
            let added = alone(client.users().add_user(new_user(&name, &["viewer"])));
            added.map(tonic::Response::into_inner)
        };
        let got = at_once([first.client(), second.client()], add);
        let (made, refused): (Vec<_>, Vec<_>) = got.into_iter().partition(Result::is_ok);
        let [Ok(made)] = &made[..] else {
            panic!("{refused:?}");
        };
        let refused: Vec<Status> = refused.into_iter().filter_map(Result::err).collect();
        assert_eq!(refused[0].code(), Code::AlreadyExists, "{refused:?}");
        let id = made.user.as_ref().unwrap().id.clone();
        assert_eq!(first.user(&name).id, id);
        let known = || second.users().iter().any(|user| user.id == id);
        holds(Instant::now(), "the user", known);
    }
}
