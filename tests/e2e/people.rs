//! The whole life of a user created through the API, on a running engine: the next call of the logged-in user sees each
//! change.

use banyan_api::Client;
use banyan_api::v1::{
    ChangePasswordRequest, DisableUserRequest, EnableUserRequest, GetEngineStatusRequest,
    ListSessionsRequest, ListUsersRequest, LockUserRequest, LogoutRequest, RemoveUserRequest,
    RevokeSessionsRequest, SetRolesRequest, UnlockUserRequest, VerifyAuditRequest,
};
use tonic::{Code, Status};

use crate::harness::{Cluster, PASSWORD, denied, new_user, refused, text};

fn name(name: &str) -> String {
    name.to_owned()
}

fn list_users(cluster: &Cluster, client: &Client) -> Result<usize, Status> {
    let answer = cluster.run(client.users().list_users(ListUsersRequest {}))?;
    Ok(answer.into_inner().users.len())
}

fn status(cluster: &Cluster, client: &Client) -> Result<String, Status> {
    let call = cluster.run(client.engine().get_status(GetEngineStatusRequest {}));
    Ok(call?.into_inner().role)
}

fn set_roles(cluster: &Cluster, by: &Client, user: &str, roles: &[&str]) -> Result<(), Status> {
    let request = SetRolesRequest {
        name: name(user),
        roles: roles.iter().map(|&role| name(role)).collect(),
    };
    cluster.run(by.users().set_roles(request)).map(drop)
}

fn lock(cluster: &Cluster, by: &Client, user: &str) -> Result<(), Status> {
    let request = LockUserRequest {
        name: name(user),
        reason: "lost her laptop".to_owned(),
    };
    cluster.run(by.users().lock_user(request)).map(drop)
}

fn disable(cluster: &Cluster, by: &Client, user: &str) -> Result<(), Status> {
    let request = DisableUserRequest { name: name(user) };
    cluster.run(by.users().disable_user(request)).map(drop)
}

fn remove(cluster: &Cluster, by: &Client, user: &str) -> Result<u32, Status> {
    let request = RemoveUserRequest { name: name(user) };
    let answer = cluster.run(by.users().remove_user(request))?;
    Ok(answer.into_inner().ended_sessions)
}

#[test]
fn a_user_enrols_over_tls_and_may_do_what_the_roles_say_at_each_call() {
    let cluster = Cluster::started();
    let admin = cluster.first_admin();
    let answer = cluster.run(admin.client.users().add_user(new_user("nina", &[])));
    let added = answer.unwrap().into_inner();
    let made = added.user.unwrap();
    assert_eq!(
        (made.roles, made.login.as_str(), made.created_by.as_str()),
        (vec![name("viewer")], "enrolment open", "admin")
    );
    assert_eq!(made.origin.unwrap().from, "api");
    let code = added.enrolment.unwrap().code;

    denied(cluster.log_in("nina", PASSWORD), "bad-credentials");
    let wrong = "0000-0000-0000-0000-0000-0000-00";
    denied(cluster.enroll("nina", wrong), "bad-credentials");
    let nina = cluster.enroll("nina", &code).unwrap();
    denied(cluster.enroll("nina", &code), "bad-credentials");
    let who = cluster.who(&nina.client).unwrap();
    assert_eq!((who.kind.as_str(), who.name.as_str()), ("user", "nina"));
    assert_eq!(who.session.unwrap().via, "127.0.0.1");

    let again = cluster.log_in_by(&cluster.stranger(), "nina", PASSWORD);
    let again = again.unwrap();
    for session in [&nina.client, &again.client] {
        status(&cluster, session).unwrap();
        refused(
            list_users(&cluster, session),
            Code::PermissionDenied,
            &["users:read"],
        );
    }
    denied(list_users(&cluster, &cluster.stranger()), "no-token");
    assert_eq!(cluster.user("nina").sessions, 2);

    set_roles(&cluster, &admin.client, "nina", &["admin"]).unwrap();
    assert!(list_users(&cluster, &nina.client).unwrap() >= 2);
    set_roles(&cluster, &admin.client, "nina", &["deployer"]).unwrap();
    denied(list_users(&cluster, &nina.client), "not-permitted");
    status(&cluster, &nina.client).unwrap();

    let refreshed = cluster.refresh(&nina.tokens.refresh_token).unwrap();
    assert_eq!(cluster.who(&refreshed.client).unwrap().name, "nina");
    cluster
        .run(refreshed.client.auth().logout(LogoutRequest {}))
        .unwrap();
    for client in [&refreshed.client, &nina.client] {
        denied(cluster.who(client), "session-ended");
    }
    denied(
        cluster.refresh(&refreshed.tokens.refresh_token),
        "session-ended",
    );
    cluster.who(&again.client).unwrap();
}

#[test]
fn a_disabled_locked_or_revoked_user_is_out_at_once_and_sessions_do_not_come_back() {
    let cluster = Cluster::started();
    let admin = cluster.first_admin();
    let nina = cluster.user_with("nina", &["viewer"]);
    cluster.who(&nina.client).unwrap();

    disable(&cluster, &admin.client, "nina").unwrap();
    denied(cluster.who(&nina.client), "session-ended");
    denied(cluster.refresh(&nina.tokens.refresh_token), "session-ended");
    refused(
        cluster.log_in("nina", PASSWORD),
        Code::PermissionDenied,
        &["nina is disabled"],
    );
    denied(
        cluster.log_in("nina", "not her password"),
        "bad-credentials",
    );
    let enable = EnableUserRequest { name: name("nina") };
    cluster
        .run(admin.client.users().enable_user(enable))
        .unwrap();
    denied(cluster.who(&nina.client), "session-ended");

    let nina = cluster.log_in("nina", PASSWORD).unwrap();
    lock(&cluster, &admin.client, "nina").unwrap();
    denied(cluster.who(&nina.client), "session-ended");
    let locked = cluster.user("nina");
    assert_eq!((&*locked.state, &*locked.locked_by), ("locked", "admin"));
    assert_eq!(locked.lock_reason, "lost her laptop");
    refused(
        cluster.log_in("nina", PASSWORD),
        Code::PermissionDenied,
        &["locked by admin"],
    );
    let unlock = UnlockUserRequest { name: name("nina") };
    cluster
        .run(admin.client.users().unlock_user(unlock))
        .unwrap();
    denied(cluster.who(&nina.client), "session-ended");

    let nina = cluster.log_in("nina", PASSWORD).unwrap();
    let revoke = RevokeSessionsRequest {
        user: name("nina"),
        ..RevokeSessionsRequest::default()
    };
    let ended = cluster.run(admin.client.sessions().revoke_sessions(revoke));
    assert_eq!(ended.unwrap().into_inner().ended, 1);
    denied(cluster.who(&nina.client), "session-ended");
    let list = ListSessionsRequest {
        user: name("nina"),
        ended: true,
        ..ListSessionsRequest::default()
    };
    let list = cluster.run(admin.client.sessions().list_sessions(list));
    let mut why: Vec<String> = (list.unwrap().into_inner().sessions.into_iter())
        .map(|session| session.ended_because)
        .collect();
    why.sort();
    assert_eq!(
        why,
        ["revoked", "the user was disabled", "the user was locked"]
    );
}

#[test]
fn a_new_password_ends_the_other_sessions_and_the_old_password() {
    const NEW: &str = "a wholly different secret";
    let cluster = Cluster::started();
    let here = cluster.user_with("nina", &["viewer"]);
    let there = cluster.log_in("nina", PASSWORD).unwrap();
    let change = |current: &str| {
        let request = ChangePasswordRequest {
            current: current.to_owned(),
            new: NEW.to_owned(),
        };
        cluster.run(here.client.auth().change_password(request))
    };
    denied(change("not her password"), "bad-credentials");
    cluster.who(&there.client).unwrap();
    assert_eq!(change(PASSWORD).unwrap().into_inner().ended_sessions, 1);
    cluster.who(&here.client).unwrap();
    denied(cluster.who(&there.client), "session-ended");
    denied(
        cluster.refresh(&there.tokens.refresh_token),
        "session-ended",
    );
    denied(cluster.log_in("nina", PASSWORD), "bad-credentials");
    cluster.log_in("nina", NEW).unwrap();
    cluster.refresh(&here.tokens.refresh_token).unwrap();
}

#[test]
fn a_user_made_again_under_the_same_name_is_another() {
    let cluster = Cluster::started();
    let admin = cluster.first_admin();
    let nina = cluster.user_with("nina", &["viewer"]);
    let id = cluster.user("nina").id;
    assert_eq!(remove(&cluster, &admin.client, "nina").unwrap(), 1);
    let nothing_left = || {
        denied(cluster.who(&nina.client), "session-ended");
        denied(cluster.refresh(&nina.tokens.refresh_token), "session-ended");
        denied(cluster.log_in("nina", PASSWORD), "bad-credentials");
    };
    nothing_left();

    let request = new_user("nina", &["admin"]);
    let again = cluster.run(admin.client.users().add_user(request));
    let again = again.unwrap().into_inner();
    assert_ne!(again.user.unwrap().id, id);
    nothing_left();
    let code = again.enrolment.unwrap().code;
    let second = cluster.enroll("nina", &code).unwrap();
    list_users(&cluster, &second.client).unwrap();
    denied(cluster.who(&nina.client), "session-ended");
}

#[test]
fn nobody_takes_away_the_last_admin_who_is_able_to_log_in() {
    let cluster = Cluster::started();
    let admin = cluster.first_admin();
    // Git declares admins, but none of them can log in.
    assert_eq!(cluster.user("alice").login, "none");
    let by_anybody = |by: &Client| {
        let last = |result| {
            refused(result, Code::FailedPrecondition, &["last active admin"]);
        };
        last(set_roles(&cluster, by, "admin", &["viewer"]));
        last(disable(&cluster, by, "admin"));
        last(lock(&cluster, by, "admin"));
        last(remove(&cluster, by, "admin").map(drop));
    };
    by_anybody(&admin.client);
    by_anybody(&cluster.client());
    cluster.who(&admin.client).unwrap();

    let nina = cluster.user_with("nina", &["admin"]);
    set_roles(&cluster, &nina.client, "admin", &["viewer"]).unwrap();
    refused(
        remove(&cluster, &nina.client, "nina"),
        Code::FailedPrecondition,
        &["nina is the last active admin"],
    );
    denied(list_users(&cluster, &admin.client), "not-permitted");
}

/// The output of `banyan-engine`, which must succeed.
#[track_caller]
fn engine(cluster: &Cluster, args: &[&str]) -> String {
    let output = cluster.engine_output(args);
    let printed = text(&[output.stdout, output.stderr].concat());
    assert!(output.status.success(), "{args:?}: {printed}");
    printed
}

/// The one-time code in an output: the only word of groups of four.
fn code_in(printed: &str) -> String {
    let is_code = |word: &&str| word.len() > 26 && word.split('-').all(|group| group.len() <= 4);
    let mut words = printed.split_whitespace().filter(is_code);
    words.next().expect("there is no code").to_owned()
}

#[test]
fn the_first_admin_and_the_way_back_in_need_no_running_engine() {
    let mut cluster = Cluster::started();
    assert!(cluster.terminate().success());
    let printed = engine(&cluster, &["init", "--enroll"]);
    let code = code_in(&printed);
    let again = engine(&cluster, &["init", "--enroll"]);
    assert!(again.contains("nothing was changed"), "{again}");
    cluster.start();
    let again = engine(&cluster, &["init", "--enroll"]);
    assert!(again.contains("nothing was changed"), "{again}");
    let admin = cluster.enroll("admin", &code).unwrap();
    assert_eq!(cluster.who(&admin.client).unwrap().permissions, ["*"]);

    // Over the socket of the running engine, and without an engine.
    let nina = cluster.user_with("nina", &["viewer"]);
    disable(&cluster, &admin.client, "nina").unwrap();
    lock(&cluster, &admin.client, "nina").unwrap();
    let recover = ["recover-admin", "--user", "nina", "--enroll"];
    let first = code_in(&engine(&cluster, &recover));
    assert!(cluster.terminate().success());
    let code = code_in(&engine(&cluster, &recover));
    cluster.start();
    denied(cluster.enroll("nina", &first), "bad-credentials");
    let old = cluster.with_token(&nina.tokens.access_token);
    denied(cluster.who(&old), "session-ended");
    let nina = cluster.enroll("nina", &code).unwrap();
    list_users(&cluster, &nina.client).unwrap();
    let entries = cluster.audited(&nina.client, "host.recover-admin");
    assert_eq!(entries.len(), 3, "{entries:#?}");
    let verified = cluster.run(nina.client.audit().verify_audit(VerifyAuditRequest {}));
    let chains = verified.unwrap().into_inner().chains;
    assert!(
        chains.iter().all(|chain| chain.broken.is_empty()),
        "{chains:#?}"
    );
}

#[test]
fn a_restored_backup_has_the_passwords_and_ends_the_sessions() {
    let mut cluster = Cluster::started();
    let nina = cluster.user_with("nina", &["viewer"]);
    let id = cluster.who(&nina.client).unwrap().id;
    let backup = cluster.backup("people");
    assert!(cluster.terminate().success());
    cluster.restore(&backup.file);
    cluster.start();
    let status = cluster.who(&cluster.with_token(&nina.tokens.access_token));
    refused(status, Code::Unauthenticated, &[]);
    let refreshed = cluster.refresh(&nina.tokens.refresh_token);
    refused(refreshed.map(drop), Code::Unauthenticated, &[]);
    let nina = cluster.log_in("nina", PASSWORD).unwrap();
    assert_eq!(cluster.who(&nina.client).unwrap().id, id);
}
