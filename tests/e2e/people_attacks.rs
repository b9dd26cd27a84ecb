//! Attacks over the wire on a running engine: gaining access, and escalating permissions.

mod forged;

use banyan_api::v1::{
    AddUserRequest, DisableUserRequest, EnableUserRequest, EnrollUserRequest, LockUserRequest,
    SetRolesRequest, UnlockUserRequest,
};
use banyan_api::{Client, denial_cause, retry_after};
use banyan_manifest::scaffold;
use tonic::Code;

use crate::harness::{Cluster, PASSWORD, denied, name, new_user, refused};

#[test]
fn a_refresh_token_sent_again_gets_the_same_successor_until_that_is_used_and_then_ends_the_session()
{
    let cluster = Cluster::started();
    let first = cluster.user_with("nina", &["viewer"]);
    let first_token = &first.tokens.refresh_token;
    let second = cluster.refresh(first_token).unwrap();
    let again = cluster.refresh(first_token).unwrap();
    assert_eq!(second.tokens.refresh_token, again.tokens.refresh_token);
    assert_ne!(*first_token, second.tokens.refresh_token);
    let third = cluster.refresh(&second.tokens.refresh_token).unwrap();
    cluster.who(&third.client).unwrap();

    // A later use of this token means theft, by one party or the other.
    denied(cluster.refresh(first_token), "session-ended");
    for client in [&first.client, &second.client, &third.client] {
        denied(cluster.who(client), "session-ended");
    }
    denied(
        cluster.refresh(&third.tokens.refresh_token),
        "session-ended",
    );
    let log = cluster.log();
    assert!(log.contains("a refresh token was used twice"), "{log}");
    cluster.log_in("nina", PASSWORD).unwrap();
}

#[test]
fn a_password_that_would_be_cut_short_is_refused_with_the_reason_wherever_one_is_given() {
    let cluster = Cluster::started();
    let long = "x".repeat(72);
    let nul = "correct horse\0battery";
    for (password, why) in [(long.as_str(), "72 bytes"), (nul, "NUL")] {
        let reason = [why];
        let no_login = cluster.log_in("alice", password);
        refused(no_login, Code::InvalidArgument, &reason);
        let request = AddUserRequest {
            password: password.to_owned(),
            ..new_user("nina", &["viewer"])
        };
        let added = cluster.run(cluster.client().users().add_user(request));
        refused(added, Code::InvalidArgument, &reason);
    }
    let longest = "x".repeat(71);
    let request = AddUserRequest {
        password: longest.clone(),
        ..new_user("nina", &["viewer"])
    };
    cluster
        .run(cluster.client().users().add_user(request))
        .unwrap();
    cluster.log_in("nina", &longest).unwrap();
    denied(cluster.log_in("nina", &"x".repeat(70)), "bad-credentials");
}

#[test]
fn a_writer_of_users_cannot_grant_more_than_they_hold() {
    let cluster = Cluster::started();
    let held = ["users:read", "users:write", "status:read"].map(|text| text.parse().unwrap());
    cluster.write("roles/clerk.yaml", &scaffold::role(&name("clerk"), &held));
    cluster.apply("Clerks");
    let admin = cluster.first_admin();
    for admins in ["off", "out"] {
        let user = new_user(admins, &["admin"]);
        cluster.run(admin.client.users().add_user(user)).unwrap();
    }
    let off = DisableUserRequest {
        name: "off".to_owned(),
    };
    cluster.run(admin.client.users().disable_user(off)).unwrap();
    let out = LockUserRequest {
        name: "out".to_owned(),
        reason: String::new(),
    };
    cluster.run(admin.client.users().lock_user(out)).unwrap();

    let clerk = cluster.user_with("clara", &["clerk"]);
    let users = || clerk.client.users();
    let add = cluster.run(users().add_user(new_user("mine", &["admin"])));
    let set_roles = |user: &str, role: &str| {
        let request = SetRolesRequest {
            name: user.to_owned(),
            roles: vec![role.to_owned()],
        };
        cluster.run(users().set_roles(request)).map(drop)
    };
    let enroll = EnrollUserRequest {
        name: "admin".to_owned(),
    };
    let enable = EnableUserRequest {
        name: "off".to_owned(),
    };
    let unlock = UnlockUserRequest {
        name: "out".to_owned(),
    };
    let tried = [
        ("add", add.map(drop)),
        ("set roles", set_roles("clara", "admin")),
        ("enroll", cluster.run(users().enroll_user(enroll)).map(drop)),
        ("enable", cluster.run(users().enable_user(enable)).map(drop)),
        ("unlock", cluster.run(users().unlock_user(unlock)).map(drop)),
    ];
    for (what, result) in tried {
        let status = result.err().unwrap_or_else(|| panic!("{what} was let"));
        assert_eq!(status.code(), Code::PermissionDenied, "{what}: {status:?}");
        assert!(
            status.message().contains("you do not hold"),
            "{what}: {status:?}"
        );
    }
    assert_eq!(cluster.user("clara").roles, ["clerk"]);
    cluster.log_in("admin", PASSWORD).unwrap();
    // Users may grant the permissions they hold.
    cluster
        .run(users().add_user(new_user("mine", &["clerk"])))
        .unwrap();
    set_roles("mine", "viewer").expect_err("it permits more than a clerk has");
}

fn attempt(cluster: &Cluster, by: &Client, user: &str) -> tonic::Status {
    let tried = cluster.log_in_by(by, user, "not the password");
    tried.err().expect("it was let in")
}

#[test]
fn the_eleventh_attempt_of_an_address_in_a_minute_waits_and_another_way_in_does_not() {
    let cluster = Cluster::started();
    cluster.user_with("nina", &["viewer"]);
    let stranger = cluster.stranger();
    for number in 1..=10 {
        // Each attempt uses another name: the address is rate-limited, whether the user exists or
        // not.
        let status = attempt(&cluster, &stranger, &format!("guess-{number}"));
        assert_eq!(denial_cause(&status), Some("bad-credentials"));
    }
    let status = cluster.log_in_by(&stranger, "nina", PASSWORD);
    let status = refused(status, Code::ResourceExhausted, &["try again in"]);
    assert_eq!(denial_cause(&status), Some("too-many"));
    let wait = retry_after(&status).unwrap().as_secs();
    assert!((1..=60).contains(&wait), "{wait}");
    denied(cluster.enroll("nina", "any"), "too-many");
    cluster.log_in("nina", PASSWORD).unwrap();
}

#[test]
fn an_account_with_many_failures_waits_and_others_do_not() {
    let cluster = Cluster::started();
    cluster.user_with("nina", &["viewer"]);
    cluster.user_with("otto", &["viewer"]);
    // Over the socket, which has no rate limit by address.
    let host = cluster.client();
    let mut failed = 0;
    let status = loop {
        let status = attempt(&cluster, &host, "nina");
        if denial_cause(&status) != Some("bad-credentials") {
            break status;
        }
        failed += 1;
        assert!(failed < 20, "the attempts are never limited");
    };
    assert_eq!(denial_cause(&status), Some("too-many"), "{status:?}");
    assert!(failed >= 5, "after {failed} already");
    assert!(retry_after(&status).unwrap().as_secs() >= 1);
    cluster.log_in("otto", PASSWORD).unwrap();
}
