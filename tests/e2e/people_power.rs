//! A one-time code lasts no longer than the power behind it, and nobody takes from a user who holds more.

use banyan_api::v1::{
    EnrollUserRequest, GetEngineStatusRequest, LockUserRequest, RevokeSessionsRequest,
    SetRolesRequest, UnlockUserRequest,
};
use banyan_manifest::scaffold;
use tonic::{Code, Status};

use crate::harness::{Cluster, LoggedIn, denied, name, new_user, refused, user};

/// A cluster with a service desk: users:read, users:write, and the viewer's permissions.
fn with_desk() -> (Cluster, LoggedIn, LoggedIn) {
    let cluster = Cluster::started();
    let viewer = banyan_core::built_in_role("viewer").unwrap();
    let more = ["users:read", "users:write", "sessions:revoke"].map(|text| text.parse().unwrap());
    let held: Vec<_> = viewer.into_iter().chain(more).collect();
    cluster.write("roles/desk.yaml", &scaffold::role(&name("desk"), &held));
    cluster.write("users/gita.yaml", &user("gita", &["viewer"]));
    cluster.apply("A service desk, and a viewer");
    let admin = cluster.first_admin();
    let desk = cluster.user_with("desk", &["desk"]);
    (cluster, admin, desk)
}

fn code_by(cluster: &Cluster, by: &LoggedIn, who: &str) -> Result<String, Status> {
    let request = EnrollUserRequest {
        name: who.to_owned(),
    };
    let enrolled = cluster.run(by.client.users().enroll_user(request))?;
    Ok(enrolled.into_inner().code)
}

fn set_roles(cluster: &Cluster, by: &LoggedIn, who: &str, roles: &[&str]) -> Result<(), Status> {
    let request = SetRolesRequest {
        name: who.to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
    };
    cluster.run(by.client.users().set_roles(request)).map(drop)
}

#[test]
fn a_code_of_the_service_desk_does_not_follow_its_user_into_a_promotion() {
    let (cluster, admin, desk) = with_desk();
    let add = cluster.run(admin.client.users().add_user(new_user("carl", &["viewer"])));
    add.unwrap();
    let code = code_by(&cluster, &desk, "carl").unwrap();
    set_roles(&cluster, &admin, "carl", &["admin"]).unwrap();
    denied(cluster.enroll("carl", &code), "bad-credentials");
    // Not even after the promotion is taken back.
    set_roles(&cluster, &admin, "carl", &["viewer"]).unwrap();
    denied(cluster.enroll("carl", &code), "bad-credentials");

    let code = code_by(&cluster, &desk, "gita").unwrap();
    cluster.write("users/gita.yaml", &user("gita", &["admin"]));
    cluster.apply("Promote gita");
    denied(cluster.enroll("gita", &code), "bad-credentials");
    refused(
        code_by(&cluster, &desk, "gita"),
        Code::PermissionDenied,
        &["you do not hold"],
    );
}

#[test]
fn what_a_locked_admin_handed_out_lets_nobody_in() {
    let (cluster, admin, _) = with_desk();
    let boss = cluster.user_with("boss", &["admin"]);
    let add = cluster.run(admin.client.users().add_user(new_user("dora", &["admin"])));
    add.unwrap();
    let used = code_by(&cluster, &boss, "gita").unwrap();
    cluster.enroll("gita", &used).unwrap();
    let code = code_by(&cluster, &boss, "dora").unwrap();
    let lock = LockUserRequest {
        name: "boss".to_owned(),
        reason: "stolen laptop".to_owned(),
    };
    let locked = cluster
        .run(admin.client.users().lock_user(lock))
        .unwrap()
        .into_inner();
    assert_eq!(locked.voided_codes, ["dora"]);
    let enrolled: Vec<_> = locked
        .enrolled
        .iter()
        .map(|user| user.name.as_str())
        .collect();
    assert_eq!(enrolled, ["gita"]);
    denied(cluster.enroll("dora", &code), "bad-credentials");
    let unlock = UnlockUserRequest {
        name: "boss".to_owned(),
    };
    cluster
        .run(admin.client.users().unlock_user(unlock))
        .unwrap();
    denied(cluster.enroll("dora", &code), "bad-credentials");
}

#[test]
fn the_service_desk_takes_nothing_from_an_admin() {
    let (cluster, admin, desk) = with_desk();
    let lock = LockUserRequest {
        name: "admin".to_owned(),
        reason: String::new(),
    };
    let revoke = RevokeSessionsRequest {
        user: "admin".to_owned(),
        ..RevokeSessionsRequest::default()
    };
    for (what, result) in [
        (
            "set roles",
            set_roles(&cluster, &desk, "admin", &["viewer"]),
        ),
        (
            "lock",
            cluster.run(desk.client.users().lock_user(lock)).map(drop),
        ),
        (
            "end sessions",
            cluster
                .run(desk.client.sessions().revoke_sessions(revoke))
                .map(drop),
        ),
    ] {
        let status = refused(
            result,
            Code::PermissionDenied,
            &["holds permissions that you do not"],
        );
        assert!(
            status.message().contains("user admin"),
            "{what}: {status:?}"
        );
    }
    assert_eq!(cluster.who(&admin.client).unwrap().name, "admin");
}

#[test]
fn a_guard_locks_an_admin_in_an_emergency_and_everybody_sees_that() {
    let (cluster, admin, _) = with_desk();
    let permissions = ["users:lock".parse().unwrap()];
    cluster.write(
        "roles/guard.yaml",
        &scaffold::role(&name("guard"), &permissions),
    );
    cluster.apply("A guard");
    let guard = cluster.user_with("guard", &["guard"]);
    let boss = cluster.user_with("boss", &["admin"]);
    let lock = LockUserRequest {
        name: "boss".to_owned(),
        reason: "stolen laptop".to_owned(),
    };
    (cluster.run(guard.client.users().lock_user(lock))).unwrap();
    denied(cluster.who(&boss.client), "session-ended");
    // The permission is good for nothing else.
    let request = UnlockUserRequest {
        name: "boss".to_owned(),
    };
    denied(
        cluster.run(guard.client.users().unlock_user(request)),
        "not-permitted",
    );

    let mut engine = admin.client.engine();
    let status = cluster.run(engine.get_status(GetEngineStatusRequest {}));
    let warnings = status.unwrap().into_inner().warnings;
    let told = warnings.iter().find(|line| line.contains("user boss"));
    let told = told.unwrap_or_else(|| panic!("{warnings:#?}"));
    assert!(told.contains("by guard, who holds less than the user does (emergency lock"));
    let entries = cluster.audited(&admin.client, "user.lock");
    assert_eq!(entries.len(), 1, "{entries:#?}");
    assert!(
        entries[0]
            .detail
            .contains("stolen laptop; emergency lock by users:lock")
    );
}
