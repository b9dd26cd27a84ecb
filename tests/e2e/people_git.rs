//! Users declared in git: a push applies to the next call of a logged-in user, and git and the API keep off each
//! other's users.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use banyan_api::Client;
use banyan_api::v1::{
    DisableUserRequest, GitopsStatus, ListSessionsRequest, ListUsersRequest, LockUserRequest,
    RemoveUserRequest, Session, SetRolesRequest, UnlockUserRequest,
};
use banyan_manifest::scaffold;
use banyan_testkit::netns::until;

use anyhow::ensure;
use tonic::{Code, Status};

use crate::harness::{Cluster, PASSWORD, PATIENCE, denied, name, new_user, refused, user};

/// Pushes the staged changes, and waits for the pass that a call requested.
#[track_caller]
fn push(cluster: &Cluster, message: &str) -> GitopsStatus {
    let commit = cluster.push(message);
    let status = cluster.sync_wait();
    let seen = status.seen.as_ref().map(|commit| commit.id.as_str());
    assert_eq!(seen, Some(commit.as_str()), "{status:#?}");
    status
}

/// Like [`push`], for changes that must come into force.
#[track_caller]
fn in_force(cluster: &Cluster, message: &str) -> String {
    let status = push(cluster, message);
    assert_eq!(status.state, "in-force", "{status:#?}");
    status.applied.unwrap().id
}

fn list_users(cluster: &Cluster, client: &Client) -> Result<usize, Status> {
    let answer = cluster.run(client.users().list_users(ListUsersRequest {}))?;
    Ok(answer.into_inner().users.len())
}

fn role(text: &str, permissions: &[&str]) -> String {
    let permissions: Vec<_> = permissions.iter().map(|p| p.parse().unwrap()).collect();
    scaffold::role(&name(text), &permissions)
}

/// The line where a document names its object, from 1.
fn name_line(document: &str) -> u32 {
    let at = document.lines().position(|line| line.contains("name: "));
    u32::try_from(at.unwrap() + 1).unwrap()
}

/// Waits until the log says that all sessions of a user have ended; returns the reasons, oldest
/// first.
#[track_caller]
fn ends(cluster: &Cluster, user: &str, count: usize) -> Vec<String> {
    let list = || ListSessionsRequest {
        user: user.to_owned(),
        ended: true,
        ..ListSessionsRequest::default()
    };
    let ended = until(PATIENCE, || {
        let client = cluster.client();
        let listed = cluster.run(client.sessions().list_sessions(list()))?;
        let mut sessions = listed.into_inner().sessions;
        let over = |session: &&Session| session.ended.is_some();
        ensure!(
            sessions.iter().filter(over).count() == count,
            "{sessions:?}"
        );
        sessions.sort_by_key(|session| session.created.map(|at| (at.seconds, at.nanos)));
        Ok(sessions)
    });
    let ended = ended.unwrap();
    ended.into_iter().map(|one| one.ended_because).collect()
}

#[test]
fn what_is_pushed_holds_on_the_next_call_of_a_live_session() {
    let cluster = Cluster::started();
    let path = "users/carol.yaml";
    cluster.write("roles/people.yaml", &role("people", &["users:read"]));
    cluster.write(path, &user("carol", &["viewer"]));
    in_force(&cluster, "Add carol");
    let carol = cluster.enroll("carol", &cluster.code("carol")).unwrap();
    denied(list_users(&cluster, &carol.client), "not-permitted");

    cluster.write(path, &user("carol", &["viewer", "people"]));
    in_force(&cluster, "Carol looks after people");
    list_users(&cluster, &carol.client).unwrap();
    cluster.write("roles/people.yaml", &role("people", &["roles:read"]));
    in_force(&cluster, "People is less");
    denied(list_users(&cluster, &carol.client), "not-permitted");

    let disabled = format!("{}  disabled: true\n", user("carol", &["viewer"]));
    cluster.write(path, &disabled);
    in_force(&cluster, "Carol is off");
    denied(cluster.who(&carol.client), "session-ended");
    assert_eq!(ends(&cluster, "carol", 1), ["the user was disabled"]);
    refused(
        cluster.log_in("carol", PASSWORD),
        Code::PermissionDenied,
        &["disabled"],
    );
    cluster.write(path, &user("carol", &["viewer"]));
    in_force(&cluster, "Carol is on");
    denied(cluster.who(&carol.client), "session-ended");

    let carol = cluster.log_in("carol", PASSWORD).unwrap();
    let expired = "  expires: \"2020-01-01T00:00:00Z\"\n";
    cluster.write(path, &format!("{}{expired}", user("carol", &["viewer"])));
    in_force(&cluster, "Carol has left");
    denied(cluster.who(&carol.client), "session-ended");
    denied(
        cluster.refresh(&carol.tokens.refresh_token),
        "session-ended",
    );
    assert_eq!(ends(&cluster, "carol", 2)[1], "expired");
}

#[test]
fn a_user_that_git_removes_is_out_and_one_of_the_same_name_later_is_another() {
    let cluster = Cluster::started();
    let path = "users/carol.yaml";
    cluster.write(path, &user("carol", &["viewer"]));
    in_force(&cluster, "Add carol");
    let carol = cluster.enroll("carol", &cluster.code("carol")).unwrap();
    let id = cluster.user("carol").id;
    assert_eq!(cluster.who(&carol.client).unwrap().id, id);

    cluster.remove(path);
    in_force(&cluster, "Remove carol");
    let nothing_left = || {
        denied(cluster.who(&carol.client), "session-ended");
        denied(
            cluster.refresh(&carol.tokens.refresh_token),
            "session-ended",
        );
        denied(cluster.log_in("carol", PASSWORD), "bad-credentials");
    };
    nothing_left();
    cluster.write(path, &user("carol", &["viewer"]));
    in_force(&cluster, "Another carol");
    assert_ne!(cluster.user("carol").id, id);
    nothing_left();
}

#[test]
fn a_lock_lies_over_what_git_says_and_nothing_else_of_it_is_changed_by_a_call() {
    let cluster = Cluster::started();
    let path = "users/carol.yaml";
    let document = user("carol", &["viewer"]);
    cluster.write(path, &document);
    let commit = in_force(&cluster, "Add carol");
    let host = cluster.client();
    let place = format!("{path}:1 (commit {}", &commit[..7]);
    let git_owns = |result: Result<(), Status>| {
        refused(
            result,
            Code::FailedPrecondition,
            &["carol is declared by git", &place],
        );
    };
    let carol = || "carol".to_owned();
    let set_roles = SetRolesRequest {
        name: carol(),
        roles: vec!["admin".to_owned()],
    };
    git_owns(cluster.run(host.users().set_roles(set_roles)).map(drop));
    let disable = DisableUserRequest { name: carol() };
    git_owns(cluster.run(host.users().disable_user(disable)).map(drop));
    let remove = RemoveUserRequest { name: carol() };
    git_owns(cluster.run(host.users().remove_user(remove)).map(drop));

    let session = cluster.enroll("carol", &cluster.code("carol")).unwrap();
    let lock = LockUserRequest {
        name: carol(),
        reason: String::new(),
    };
    cluster.run(host.users().lock_user(lock)).unwrap();
    denied(cluster.who(&session.client), "session-ended");
    cluster.write(path, &user("carol", &["deployer"]));
    in_force(&cluster, "Carol deploys");
    let locked = cluster.user("carol");
    assert_eq!((&*locked.state, &*locked.locked_by), ("locked", "host"));
    denied(cluster.log_in("carol", PASSWORD), "not-permitted");
    let unlock = UnlockUserRequest { name: carol() };
    cluster.run(host.users().unlock_user(unlock)).unwrap();
    let session = cluster.log_in("carol", PASSWORD).unwrap();
    assert_eq!(cluster.who(&session.client).unwrap().roles, ["deployer"]);
}

#[test]
fn a_push_does_not_take_a_name_that_the_api_gave() {
    let cluster = Cluster::started();
    let dan = cluster.user_with("dan", &["viewer"]);
    let document = user("dan", &["admin"]);
    cluster.write("users/dan.yaml", &document);
    let status = push(&cluster, "Add dan");
    assert_eq!(status.state, "refused", "{status:#?}");
    let finding = &status.findings[0];
    assert_eq!(
        (finding.path.as_str(), finding.line),
        ("users/dan.yaml", name_line(&document)),
        "{finding:?}"
    );
    assert!(finding.message.contains("user dan"), "{finding:?}");
    assert!(
        finding.help.contains("banyan user remove dan"),
        "{finding:?}"
    );
    assert_eq!(cluster.who(&dan.client).unwrap().roles, ["viewer"]);
}

#[test]
fn a_push_does_not_take_away_the_last_admin_who_is_able_to_log_in() {
    let cluster = Cluster::started();
    let alice = cluster.enroll("alice", &cluster.code("alice")).unwrap();
    // Bob is an admin too, but never had a password.
    assert_eq!(cluster.user("bob").login, "none");
    let path = "users/alice.yaml";
    let document = user("alice", &["admin"]);
    let disabled = format!("{document}  disabled: true\n");
    let expires = format!("{document}  expires: \"2999-01-01T00:00:00Z\"\n");
    for changed in [user("alice", &["viewer"]), disabled, expires] {
        cluster.write(path, &changed);
        let status = push(&cluster, "Alice is less");
        assert_eq!(status.state, "refused", "{changed}: {status:#?}");
        let messages: Vec<_> = status.findings.iter().map(|f| &f.message).collect();
        assert!(
            messages.iter().any(|m| m.contains("alice was the last")),
            "{messages:?}"
        );
    }
    cluster.remove(path);
    assert_eq!(push(&cluster, "No alice").state, "refused");
    list_users(&cluster, &alice.client).unwrap();

    cluster.write(path, &document);
    in_force(&cluster, "Alice is back");
    cluster.enroll("bob", &cluster.code("bob")).unwrap();
    cluster.write(path, &user("alice", &["viewer"]));
    in_force(&cluster, "Bob is an admin who is able to log in");
    denied(list_users(&cluster, &alice.client), "not-permitted");
}

/// Signals stop on drop.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_push_gets_into_force_while_people_are_changed_all_the_time() {
    let cluster = Cluster::started();
    let stop = AtomicBool::new(false);
    let (made, calls) = (AtomicUsize::new(0), cluster.client().users());
    thread::scope(|scope| {
        let _stops = Stops(&stop);
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                while !stop.load(Ordering::Relaxed) {
                    let name = format!("user-{}", made.fetch_add(1, Ordering::Relaxed));
                    let added = calls.clone().add_user(new_user(&name, &[])).await;
                    added.unwrap();
                }
            });
        });
        for number in 0..10 {
            let name = format!("pushed-{number}");
            cluster.write(&format!("users/{name}.yaml"), &user(&name, &["viewer"]));
            in_force(&cluster, "One more");
        }
    });
    assert!(made.load(Ordering::Relaxed) > 3);
    assert!(!cluster.log().contains("a pass failed"));
}
