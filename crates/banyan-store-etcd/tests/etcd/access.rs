//! Access: invalid options, certificates, users.

use banyan_store::{KeyRange, Revision, Store, StoreError, read_all};
use banyan_store_etcd::{EtcdOptions, EtcdStore, Login, Tls};
use banyan_testkit::etcd::{Cluster, LIMITED, Options, Security};

use crate::support::{
    PREFIX, assert_denied, closed, live_watch, options, put, put_when_healed, store, try_put,
};

const NONSENSE: &str = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";

fn login(name: &str, password: &str) -> Option<Login> {
    Some(Login {
        name: name.to_owned(),
        password: password.to_owned().into(),
    })
}

#[test]
fn options_that_cannot_be_used_are_refused_without_a_server() {
    let plain = EtcdOptions::new(["http://127.0.0.1:1"]);
    let secure = EtcdOptions::new(["https://127.0.0.1:1"]);
    let tls = |ca_pem: &str, identity: Option<(&str, &str)>| {
        Some(Tls {
            ca_pem: ca_pem.to_owned(),
            identity: identity.map(|(cert, key)| (cert.to_owned(), key.to_owned().into())),
        })
    };
    let of = |endpoint: &str| EtcdOptions::new([endpoint]);
    let table = [
        (EtcdOptions::new(Vec::<String>::new()), "endpoints"),
        (of("127.0.0.1:2379"), "http://"),
        (of("ftp://127.0.0.1:2379"), "http://"),
        (of("http://"), "not a URL"),
        (of("http://a b:1"), "not a URL"),
        (of("http://127.0.0.1"), "port"),
        (of("http://me:hunter2@127.0.0.1:1"), "own option"),
        (secure.clone(), "certificate authority"),
        (
            EtcdOptions {
                tls: tls(NONSENSE, None),
                ..plain.clone()
            },
            "use https",
        ),
        (
            EtcdOptions {
                tls: tls("x", None),
                ..secure.clone()
            },
            "no certificate",
        ),
        (
            EtcdOptions {
                tls: tls(NONSENSE, Some((NONSENSE, "x"))),
                ..secure.clone()
            },
            "private key",
        ),
        (
            EtcdOptions {
                tls: tls(NONSENSE, None),
                ..secure
            },
            "not usable",
        ),
        (
            EtcdOptions {
                prefix: "p".repeat(300),
                ..plain.clone()
            },
            "256",
        ),
        (
            EtcdOptions {
                user: login("", "x"),
                ..plain.clone()
            },
            "name",
        ),
        (
            EtcdOptions {
                request_timeout: std::time::Duration::ZERO,
                ..plain.clone()
            },
            "zero",
        ),
    ];
    for (options, expect) in table {
        let shown = format!("{options:?}");
        let error = EtcdStore::connect(options).unwrap_err();
        assert!(matches!(error, StoreError::BadOption { .. }), "{error:?}");
        assert!(error.to_string().contains(expect), "{shown}: {error}");
        assert!(
            !format!("{shown}{error}{error:?}").contains("hunter2"),
            "{shown}"
        );
    }
    assert!(EtcdStore::connect(plain).is_ok(), "no server is needed");
}

#[test]
fn no_secret_is_shown() {
    let mut options = EtcdOptions::new(["http://127.0.0.1:1"]);
    options.user = login("me", "hunter2");
    let shown = format!(
        "{options:?} {:?}",
        EtcdStore::connect(options.clone()).unwrap()
    );
    assert!(
        shown.contains("me") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_known_by_its_certificate() {
    let cluster = Cluster::with(&Options {
        security: Security::MutualTls,
        ..Options::default()
    });
    let cluster = cluster.unwrap();
    let (cert, key) = cluster.client_identity().unwrap();
    let with = |ca_pem: &str, identity| {
        let mut options = options(&cluster, &[0]);
        let ca_pem = ca_pem.to_owned();
        options.tls = Some(Tls { ca_pem, identity });
        store(options)
    };
    let ca = cluster.ca_pem().unwrap();
    let known = with(&ca, Some((cert.clone(), key.into())));
    live_watch(&known).await;
    let nobody = with(&ca, None);
    // Over TLS 1.3 the server's refusal may be lost with the connection: then the cause has a hint.
    let error = try_put(&nobody, "k").await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    let told = matches!(error, StoreError::Denied { .. }) || cause.contains("client certificate");
    assert!(told, "{error:?}");
    let mistrusting = with(&cert, None);
    assert_denied(&try_put(&mistrusting, "k").await);
    assert_denied(&mistrusting.watch("", Revision(0)).await);
}

fn with_users() -> Cluster {
    let options = Options {
        users_under: Some(PREFIX.to_owned()),
        ..Options::default()
    };
    Cluster::with(&options).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_limited_to_the_prefix_can_do_everything_there_and_nothing_beside() {
    let cluster = with_users();
    let limited = EtcdOptions {
        user: login(LIMITED.0, LIMITED.1),
        ..options(&cluster, &[0])
    };
    let within = store(limited.clone());
    live_watch(&within).await;
    let lease = within
        .grant(std::time::Duration::from_secs(5))
        .await
        .unwrap();
    within.keep_alive(lease).await.unwrap();
    within.revoke(lease).await.unwrap();
    let snapshot = within.snapshot().await.unwrap();
    let all = read_all(&*snapshot, &KeyRange::all()).await.unwrap();
    assert_eq!(all.len(), 2);
    let beside = store(EtcdOptions {
        prefix: "other/".to_owned(),
        ..limited
    });
    refused_everything(&beside).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_or_no_user_is_denied() {
    let cluster = with_users();
    for user in [
        login(LIMITED.0, "hunter2"),
        login("nobody", "hunter2"),
        None,
    ] {
        let store = store(EtcdOptions {
            user,
            ..options(&cluster, &[0])
        });
        refused_everything(&store).await;
    }
}

async fn refused_everything(store: &dyn Store) {
    let put = try_put(store, "k").await;
    assert!(!format!("{put:?}").contains("hunter2"), "{put:?}");
    assert_denied(&put);
    assert_denied(&store.snapshot().await.map(|snapshot| snapshot.revision()));
    assert_denied(&store.watch("", Revision(0)).await);
}

/// etcd's auth tokens do not survive a server restart or a change of any user.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_the_server_no_longer_takes_is_made_anew() {
    let mut cluster = with_users();
    let store = store(EtcdOptions {
        user: login(LIMITED.0, LIMITED.1),
        ..options(&cluster, &[0])
    });
    put(&store, "k").await;
    cluster.done(&["user", "add", "another:x"]).unwrap();
    put(&store, "k").await;
    cluster.done(&["user", "add", "a-third:x"]).unwrap();
    live_watch(&store).await;
    let mut watch = live_watch(&store).await;
    cluster.restart(0).unwrap();
    closed(&mut watch).await;
    cluster.wait_healthy().unwrap();
    let at = put_when_healed(&store, "k").await;
    store.watch("", at).await.unwrap();
}
