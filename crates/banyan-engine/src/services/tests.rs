//! The services for people on a running engine, over its local socket.

use banyan_api::v1::{
    AddUserRequest, DisableUserRequest, EnrollRequest, EnrollUserRequest, GetUserRequest,
    GetVersionRequest, ListAuditRequest, ListRolesRequest, ListSessionsRequest,
    ListSigningKeysRequest, ListUsersRequest, LockUserRequest, RecoverAdminRequest,
    RemoveUserRequest, RevokeSessionsRequest, RotateSigningKeyRequest, SetRolesRequest, Tokens,
    UnlockUserRequest, VerifyAuditRequest, WhoAmIRequest,
};
use banyan_api::{Client, Target, denial_cause};
use banyan_core::SecretText;
use tonic::Code;

use crate::config::{Config, Wireguard};
use crate::run::Engine;

const PASSWORD: &str = "correct horse battery";

struct Running {
    config: Config,
    engine: Engine,
    host: Client,
    _folder: tempfile::TempDir,
}

impl Running {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let yaml = format!(
            "engine:\n  name: north\n  state_dir: {path}/state\n  socket: {path}/engine.sock\n  gitops: {{url: {path}/repo}}\n"
        );
        let mut config = Config::parse("banyan.yaml".as_ref(), &yaml).unwrap();
        config.wireguard = Wireguard::None;
        config.grpc_port = 0;
        config.http_port = 0;
        config.metrics_port = 0;
        let engine = Engine::start(config.clone(), true).await.unwrap();
        let socket = Target::Socket(engine.socket().to_owned());
        let host = Client::connect(&socket).await.unwrap();
        Self {
            config,
            engine,
            host,
            _folder: folder,
        }
    }

    /// Sets a password with a code, and logs in.
    async fn enroll(&self, name: &str, code: &str) -> (Client, Tokens) {
        let request = EnrollRequest {
            name: name.to_owned(),
            code: code.to_owned(),
            password: PASSWORD.to_owned(),
        };
        let tokens = self.host.auth().enroll(request).await.unwrap().into_inner();
        let token = SecretText::new(tokens.access_token.clone());
        (self.host.with_token(&token).unwrap(), tokens)
    }

    async fn add(&self, name: &str, roles: &[&str]) -> String {
        let request = AddUserRequest {
            name: name.to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            ..AddUserRequest::default()
        };
        let added = self.host.users().add_user(request).await.unwrap();
        added.into_inner().enrolment.unwrap().code
    }

    /// The audit log, newest first: action, object, outcome.
    async fn audit(&self, request: ListAuditRequest) -> Vec<String> {
        let listed = self.host.audit().list_audit(request).await.unwrap();
        let entries = listed.into_inner().entries.into_iter();
        let line = |entry: banyan_api::v1::AuditEntry| {
            format!(
                "{} {} {} {}",
                entry.actor, entry.action, entry.object, entry.outcome
            )
        };
        entries.map(line).collect()
    }
}

async fn ended(client: &Client) -> bool {
    match client.auth().who_am_i(WhoAmIRequest {}).await {
        Ok(_) => false,
        Err(status) => {
            assert_eq!(status.code(), Code::Unauthenticated, "{status}");
            true
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_makes_an_admin_who_makes_users_within_their_powers() {
    let running = Running::start().await;
    let wanted = RecoverAdminRequest {
        only_if_none: true,
        ..RecoverAdminRequest::default()
    };
    let made = running
        .host
        .host()
        .recover_admin(wanted.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(made.user.unwrap().login, "enrolment open");
    let again = running
        .host
        .host()
        .recover_admin(wanted.clone())
        .await
        .unwrap()
        .into_inner();
    assert!(again.done.is_empty() && again.enrolment.is_none());
    let (admin, _) = running.enroll("admin", &made.enrolment.unwrap().code).await;
    let refused = admin.host().recover_admin(wanted).await.unwrap_err();
    assert_eq!(denial_cause(&refused), Some("not-permitted"));

    let request = AddUserRequest {
        name: "mia".to_owned(),
        ..AddUserRequest::default()
    };
    let added = admin
        .users()
        .add_user(request.clone())
        .await
        .unwrap()
        .into_inner();
    let user = added.user.unwrap();
    assert_eq!(
        (user.roles, user.created_by.as_str()),
        (vec!["viewer".to_owned()], "admin")
    );
    assert_eq!(user.origin.unwrap().from, "api");
    let twice = admin.users().add_user(request.clone()).await.unwrap_err();
    assert_eq!(twice.code(), Code::AlreadyExists);
    let (mia, _) = running.enroll("mia", &added.enrolment.unwrap().code).await;
    let refused = mia.users().add_user(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);

    let roles = running
        .host
        .roles()
        .list_roles(ListRolesRequest {})
        .await
        .unwrap();
    let viewer = roles
        .into_inner()
        .roles
        .into_iter()
        .find(|role| role.name == "viewer");
    assert_eq!(viewer.unwrap().holders, ["mia"]);
    let listed = running
        .host
        .users()
        .list_users(ListUsersRequest {})
        .await
        .unwrap();
    let sessions = listed
        .into_inner()
        .users
        .into_iter()
        .map(|user| (user.name, user.sessions));
    assert_eq!(
        sessions.collect::<Vec<_>>(),
        [("admin".to_owned(), 1), ("mia".to_owned(), 1)]
    );
    running.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_from_a_user_is_gone_at_the_next_call_and_written_down() {
    let running = Running::start().await;
    running.add("root", &["admin"]).await;
    let code = running.add("mia", &["viewer"]).await;
    let (mia, _) = running.enroll("mia", &code).await;
    assert!(!ended(&mia).await);
    let users = || running.host.users();
    let lock = LockUserRequest {
        name: "mia".to_owned(),
        reason: "lost laptop".to_owned(),
    };
    let locked = users().lock_user(lock).await.unwrap().into_inner();
    let locked = locked.user.unwrap();
    assert_eq!(
        (locked.state.as_str(), locked.locked_by.as_str()),
        ("locked", "host")
    );
    assert!(locked.locked_at.is_some());
    assert_eq!(
        (locked.lock_reason.as_str(), locked.sessions),
        ("lost laptop", 0)
    );
    assert!(ended(&mia).await);
    let name = || "mia".to_owned();
    users()
        .unlock_user(UnlockUserRequest { name: name() })
        .await
        .unwrap();
    assert!(ended(&mia).await, "a lifted lock brings no session back");
    let enrolled = users()
        .enroll_user(EnrollUserRequest { name: name() })
        .await
        .unwrap();
    let (mia, _) = running.enroll("mia", &enrolled.into_inner().code).await;
    let roles = vec!["deployer".to_owned()];
    let set = users()
        .set_roles(SetRolesRequest {
            name: name(),
            roles,
        })
        .await
        .unwrap();
    assert_eq!(set.into_inner().roles, ["deployer"]);
    assert!(!ended(&mia).await);
    let root = DisableUserRequest {
        name: "root".to_owned(),
    };
    let refused = users().disable_user(root).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert!(
        refused.message().contains("the last active admin"),
        "{refused}"
    );
    let removed = users()
        .remove_user(RemoveUserRequest { name: name() })
        .await
        .unwrap();
    assert_eq!(removed.into_inner().ended_sessions, 1);
    assert!(ended(&mia).await);

    let of_mia = ListAuditRequest {
        user: name(),
        action: "user".to_owned(),
        ..ListAuditRequest::default()
    };
    assert_eq!(
        running.audit(of_mia).await,
        [
            "host (uid 0) user.remove user mia done",
            "host (uid 0) user.set-roles user mia done",
            "host (uid 0) user.enroll user mia done",
            "host (uid 0) user.unlock user mia done",
            "host (uid 0) user.lock user mia done",
            "host (uid 0) user.add user mia done",
        ]
        .map(|line| line.replace(
            "uid 0",
            &format!("uid {}", rustix::process::getuid().as_raw())
        ))
    );
    // The engine writes entries of its own, so one may come between the two calls. Then they are made again.
    let mut agree = false;
    for _ in 0..50 {
        agree = the_chain_ends_with_the_newest_entry(&running).await;
        if agree {
            break;
        }
    }
    assert!(agree);
    running.engine.stop().await;
}

async fn the_chain_ends_with_the_newest_entry(running: &Running) -> bool {
    let verify = VerifyAuditRequest {};
    let verified = running.host.audit().verify_audit(verify).await.unwrap();
    let chains = verified.into_inner().chains;
    assert_eq!(chains.len(), 1);
    let chain = &chains[0];
    assert_eq!(
        (chain.engine.as_str(), chain.broken.as_str()),
        ("north", "")
    );
    assert!(chain.entries >= 6);
    let newest = ListAuditRequest {
        limit: 1,
        ..ListAuditRequest::default()
    };
    let newest = running.host.audit().list_audit(newest).await.unwrap();
    newest.into_inner().entries[0].hash == chain.head.as_ref().unwrap().hash
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sees_and_ends_ones_own_sessions_and_others_with_the_permission() {
    let running = Running::start().await;
    running.add("root", &["admin"]).await;
    let code = running.add("mia", &["viewer"]).await;
    let (mia, _) = running.enroll("mia", &code).await;
    let list = |client: &Client, user: &str, all: bool| {
        let request = ListSessionsRequest {
            user: user.to_owned(),
            all,
            ended: true,
        };
        let mut sessions = client.sessions();
        async move {
            sessions
                .list_sessions(request)
                .await
                .map(|r| r.into_inner().sessions)
        }
    };
    let own = list(&mia, "", false).await.unwrap();
    assert!(
        matches!(&own[..], [one] if one.current && one.user == "mia"),
        "{own:?}"
    );
    assert_eq!(list(&mia, "mia", false).await.unwrap().len(), 1);
    for (user, all) in [("root", false), ("", true), ("nobody-there", false)] {
        let refused = list(&mia, user, all).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    }
    let by_host = list(&running.host, "", false).await.unwrap();
    assert!(by_host.len() == 1 && !by_host[0].current);
    let revoke = RevokeSessionsRequest {
        id: own[0].id.clone(),
        ..RevokeSessionsRequest::default()
    };
    let revoked = mia
        .sessions()
        .revoke_sessions(revoke)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(revoked.ended, 1);
    assert!(ended(&mia).await);
    let over = list(&running.host, "mia", false).await.unwrap();
    assert_eq!(over[0].ended_because, "revoked");
    running.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_command_asks_the_engine_that_runs() {
    let running = Running::start().await;
    let options = crate::admin::RecoverOptions {
        user: "night".parse().unwrap(),
        password_file: None,
        enroll: true,
    };
    let recover = || crate::admin::recover_admin(&running.config, &options);
    let said = recover().await.unwrap();
    assert!(
        said.contains("created user night with the role admin"),
        "{said}"
    );
    let code = said.lines().find_map(|line| {
        let code = line.trim();
        banyan_identity::Code::read(code)
            .is_ok()
            .then(|| code.to_owned())
    });
    let (night, _) = running.enroll("night", &code.unwrap()).await;
    assert!(!ended(&night).await);
    let again = recover().await.unwrap();
    assert!(again.contains("ended the user's sessions"), "{again}");
    assert!(ended(&night).await);
    let actions = ListAuditRequest {
        action: "host".to_owned(),
        ..ListAuditRequest::default()
    };
    assert_eq!(running.audit(actions).await.len(), 2);
    running.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_lets_sessions_go_on_and_revoked_keys_end_them() {
    let running = Running::start().await;
    let code = running.add("root", &["admin"]).await;
    let (root, _) = running.enroll("root", &code).await;
    let rotate = |revoke| {
        let mut keys = root.signing_keys();
        async move {
            keys.rotate_signing_key(RotateSigningKeyRequest { revoke })
                .await
        }
    };
    let keys = rotate(false).await.unwrap().into_inner().keys;
    assert_eq!(
        keys.iter().map(|key| key.signs).collect::<Vec<_>>(),
        [true, false]
    );
    assert!(keys[0].accepted_until.is_some() && keys[1].accepted_until.is_none());
    assert!(!ended(&root).await);
    assert_eq!(
        rotate(false).await.unwrap_err().code(),
        Code::FailedPrecondition
    );
    rotate(true).await.unwrap();
    assert!(ended(&root).await);
    let left = running
        .host
        .signing_keys()
        .list_signing_keys(ListSigningKeysRequest {})
        .await;
    let left = left.unwrap().into_inner().keys;
    assert!(matches!(&left[..], [one] if one.signs), "{left:?}");
    running.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_shown_with_what_each_role_gives_and_how_they_log_in() {
    let running = Running::start().await;
    running.add("root", &["admin"]).await;
    let code = running.add("mia", &["viewer"]).await;
    let shown = || async {
        let name = "mia".to_owned();
        let shown = running.host.users().get_user(GetUserRequest { name }).await;
        shown.unwrap().into_inner()
    };
    let before = shown().await;
    assert!(before.password.is_none() && before.last_refreshed.is_none());
    let open = before.code.unwrap();
    assert_eq!((open.by.as_str(), open.expires.is_some()), ("host", true));

    let (mia, _) = running.enroll("mia", &code).await;
    let after = shown().await;
    let user = after.user.unwrap();
    assert_eq!((user.state.as_str(), user.sessions), ("active", 1));
    let grant = &after.grants[0];
    assert_eq!(grant.role, "viewer");
    assert_eq!(grant.origin.as_ref().unwrap().from, "built-in");
    assert!(grant.permissions.contains(&"status:read".to_owned()));
    let password = after.password.unwrap();
    assert_eq!(password.from, "api");
    assert!(password.set.is_some() && after.last_refreshed.is_some());
    assert!(after.code.is_none() && after.hidden.is_empty());

    let ask = |name: &str| GetUserRequest {
        name: name.to_owned(),
    };
    let refused = mia.users().get_user(ask("mia")).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let missing = running.host.users().get_user(ask("ghost")).await;
    assert_eq!(missing.unwrap_err().code(), Code::NotFound);
    let version = mia.engine().get_version(GetVersionRequest {}).await;
    assert_eq!(version.unwrap().into_inner(), crate::version());
    running.engine.stop().await;
}
