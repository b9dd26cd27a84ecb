//! The gate over the strict in-memory store: who is let through, by what token, and what is said otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use banyan_api::ACCESS;
use banyan_core::fixture::t;
use banyan_core::people::{Account, Ended, Id, Lock, RefreshToken, Session, SigningKey, Write};
use banyan_core::people::{EndReason, TokenId};
use banyan_core::{
    Access, Creation, Denial, Generation, KeyId, Labels, Name, Origin, Record, SecretText,
    SessionId, User, UserId,
};
use banyan_identity::{Call, Caller, Claims, Denied, Keyring, Kind, PeerAddr, Seed, Settings};
use banyan_state::{Options, Scope, State};
use banyan_store::{
    LeaseId, MemoryStore, Outcome, Revision, Snapshot, Store, StoreError, Txn, Watch,
};
use jiff::{SignedDuration, Timestamp};
use tokio_util::task::TaskTracker;

use super::*;

const NOW: &str = "2026-11-21T12:00:00Z";
const LIST_USERS: &str = "/banyan.v1.UserService/ListUsers";
const WHO_AM_I: &str = "/banyan.v1.AuthService/WhoAmI";
const PEER: PeerAddr =
    PeerAddr::Address(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

fn settings() -> Settings {
    Settings {
        issuer: "banyan".into(),
        audience: "banyan".into(),
        access_expiry: Duration::from_secs(3600),
        refresh_expiry: Duration::from_secs(7 * 86_400),
    }
}

fn seed(byte: u8) -> Seed {
    Seed::new([byte; 32])
}

fn kid(byte: u8) -> KeyId {
    Id::from_bytes([byte; 16])
}

/// The keyring of key 1.
fn keyring() -> Keyring {
    Keyring::ed25519([(kid(1).to_string(), seed(1))], kid(1).as_str()).unwrap()
}

fn user(name: &str, byte: u8, role: &str) -> Write {
    let name: Name = name.parse().unwrap();
    let record = Record {
        spec: User {
            name: name.clone(),
            labels: Labels::default(),
            roles: [role.parse().unwrap()].into(),
            email: None,
            disabled: false,
            expires: None,
            password_hash: None,
            made: Some(Creation {
                id: Id::from_bytes([byte; 16]),
                at: t(NOW),
                by: "test".into(),
            }),
        },
        origin: Origin::Api,
        generation: Generation(1),
        since: t(NOW),
    };
    Write::User(name, Some(record))
}

fn session(name: &str, byte: u8) -> Session {
    Session {
        user: Id::from_bytes([byte; 16]),
        name: name.parse().unwrap(),
        epoch: 0,
        created: t(NOW),
        current: RefreshToken {
            id: TokenId::from_bytes([byte; 16]),
            key: Some(kid(1)),
            issued: t(NOW),
            expires: t(NOW) + SignedDuration::from_hours(24),
        },
        previous: None,
        via: "192.0.2.1".into(),
        ended: None,
    }
}

fn sid(byte: u8) -> SessionId {
    Id::from_bytes([byte; 16])
}

/// What an access token of a user says.
fn claims(name: &str, byte: u8) -> Claims {
    Claims {
        sub: UserId::from_bytes([byte; 16]).to_string(),
        name: name.into(),
        email: None,
        roles: vec!["admin".into()],
        permissions: vec!["*".into()],
        sid: sid(byte).to_string(),
        iat: t(NOW).as_second(),
        exp: t(NOW).as_second() + 3600,
        iss: "banyan".into(),
        aud: "banyan".into(),
        jti: TokenId::from_bytes([99; 16]).to_string(),
    }
}

fn token(claims: &Claims) -> SecretText {
    keyring().sign(Kind::Access, claims).unwrap()
}

/// The layer over a store with nobody in it.
pub(crate) async fn layer() -> GateLayer {
    let state = Arc::new(State::open(Arc::new(MemoryStore::new())).await.unwrap());
    let metrics = Arc::new(crate::ops::metrics::Metrics::new());
    let log = state.audit("test".parse().unwrap());
    let (audit, _) = crate::audit::Audit::new(log, 1_000, Arc::clone(&metrics));
    GateLayer {
        gate: Arc::new(LiveGate::new(
            state,
            Arc::new(KeyringCache::new(None)),
            settings(),
        )),
        denials: Denials::new(audit, metrics),
        trusted: Arc::new([]),
        calls: TaskTracker::new(),
    }
}

/// A gate before people: vera who views, ada who is admin, dora who deploys.
struct Fixture {
    state: Arc<State>,
    gate: LiveGate,
}

impl Fixture {
    async fn new() -> Self {
        let state = Arc::new(State::open(Arc::new(MemoryStore::new())).await.unwrap());
        let key = SigningKey {
            seed: SecretText::new("01".repeat(32)),
            made: t(NOW),
            signs_from: t(NOW),
            accepted_until: None,
        };
        let mut writes = vec![Write::SigningKey(kid(1), Some(key))];
        for (name, byte, role) in [
            ("vera", 2, "viewer"),
            ("ada", 3, "admin"),
            ("dora", 4, "deployer"),
        ] {
            writes.push(user(name, byte, role));
            writes.push(Write::Session(sid(byte), Some(session(name, byte))));
        }
        let fixture = Self {
            gate: LiveGate::new(
                Arc::clone(&state),
                Arc::new(KeyringCache::new(None)),
                settings(),
            ),
            state,
        };
        fixture.write(writes).await;
        fixture
    }

    async fn write(&self, writes: Vec<Write>) {
        let decide = |_: &_| Ok::<_, std::convert::Infallible>((writes.clone(), ()));
        self.state.change(Scope::Powers, decide).await.unwrap();
    }

    fn at(
        &self,
        path: &str,
        token: Option<&str>,
        from: PeerAddr,
        now: Timestamp,
    ) -> Result<Caller, Option<Denial>> {
        let judged = self.gate.authorize(Call { path, token, from }, now);
        judged.map_err(|Denied { denial, .. }| denial)
    }

    fn ask(&self, path: &str, claims: &Claims) -> Result<Caller, Option<Denial>> {
        self.at(path, Some(token(claims).expose()), PEER, t(NOW))
    }

    /// Why a token is not taken.
    fn cause(&self, token: &str) -> &'static str {
        match self.at(WHO_AM_I, Some(token), PEER, t(NOW)) {
            Ok(_) => "let through",
            Err(denial) => denial.map_or("no such path", |denial| denial.cause()),
        }
    }
}

#[tokio::test]
async fn each_rpc_lets_through_exactly_those_whom_its_definition_names() {
    let fixture = Fixture::new().await;
    let ops = banyan_core::ENGINE_PERMISSIONS
        .iter()
        .map(|(name, _)| *name);
    let ops: Vec<&str> = ops.collect();
    let holds = |who: &str, wanted: &str| match who {
        "ada" => true,
        _ => {
            let role = if who == "vera" { "viewer" } else { "deployer" };
            let permissions = banyan_core::built_in_role(role).unwrap();
            permissions
                .iter()
                .any(|held| held.covers(&wanted.parse().unwrap()))
        }
    };
    let mut refused = 0;
    for (path, access) in ACCESS {
        for (who, byte) in [("vera", 2), ("ada", 3), ("dora", 4)] {
            let expected = match access.unwrap() {
                Access::Anonymous
                | Access::Authenticated
                | Access::Permission { own: true, .. } => true,
                Access::Host => false,
                Access::Permission { permission, .. } => {
                    assert!(ops.contains(&permission));
                    holds(who, permission)
                }
            };
            let let_through = fixture.ask(path, &claims(who, byte));
            assert_eq!(
                let_through.is_ok(),
                expected,
                "{path} for {who}: {let_through:?}"
            );
            if let Err(denial) = let_through {
                assert_eq!(denial.unwrap().cause(), "not-permitted", "{path} for {who}");
                refused += 1;
            }
        }
        let nobody = fixture.at(path, None, PEER, t(NOW));
        assert_eq!(
            nobody.is_ok(),
            *access == Some(Access::Anonymous),
            "{path} for nobody"
        );
        let host = fixture.at(path, None, PeerAddr::Socket { uid: 0 }, t(NOW));
        assert!(host.is_ok(), "{path} for the host: {host:?}");
    }
    assert!(refused > 20, "{refused}");
}

#[tokio::test]
async fn what_is_not_ours_is_let_through_only_where_it_is_named() {
    let fixture = Fixture::new().await;
    let nobody = |path: &str| fixture.at(path, None, PEER, t(NOW));
    assert!(nobody("/grpc.health.v1.Health/Check").is_ok());
    let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    assert_eq!(nobody(reflection), Err(Some(Denial::NoToken)));
    assert!(fixture.ask(reflection, &claims("vera", 2)).is_ok());
    for path in ["/banyan.v1.UserService/Nothing", "/x.Y/Z", "/", ""] {
        assert_eq!(nobody(path), Err(None), "{path}");
        assert_eq!(
            fixture.at(path, None, PeerAddr::Socket { uid: 0 }, t(NOW)),
            Err(None),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_token_that_is_not_an_engines_own_access_token_is_refused_for_its_reason() {
    let fixture = Fixture::new().await;
    let good = claims("ada", 3);
    let cause = |token: SecretText| fixture.cause(token.expose());
    assert_eq!(cause(token(&good)), "let through");
    let foreign = Keyring::ed25519([(kid(1).to_string(), seed(9))], kid(1).as_str()).unwrap();
    assert_eq!(
        cause(foreign.sign(Kind::Access, &good).unwrap()),
        "bad-signature"
    );
    let unknown = Keyring::ed25519([(kid(7).to_string(), seed(1))], kid(7).as_str()).unwrap();
    assert_eq!(
        cause(unknown.sign(Kind::Access, &good).unwrap()),
        "bad-signature"
    );
    let shared = Keyring::shared(&SecretText::new("s".repeat(32))).unwrap();
    assert_eq!(
        cause(shared.sign(Kind::Access, &good).unwrap()),
        "missing-kid"
    );
    assert_eq!(
        cause(keyring().sign(Kind::Refresh, &good).unwrap()),
        "malformed"
    );
    let with = |change: fn(&mut Claims)| {
        let mut claims = good.clone();
        change(&mut claims);
        token(&claims)
    };
    assert_eq!(cause(with(|c| c.aud = "other".into())), "wrong-audience");
    assert_eq!(cause(with(|c| c.iss = "other".into())), "malformed");
    assert_eq!(cause(with(|c| c.exp = t(NOW).as_second())), "expired");
    assert_eq!(cause(with(|c| c.exp = t(NOW).as_second() - 1)), "expired");
    assert_eq!(
        cause(with(|c| c.exp = t(NOW).as_second() + 1)),
        "let through"
    );
    for garbage in ["", "a", "a.b.c", "Bearer", "é.é.é"] {
        assert_eq!(fixture.cause(garbage), "malformed", "{garbage}");
    }
}

#[tokio::test]
async fn a_token_is_its_own_sessions_and_users_and_nobody_elses() {
    let fixture = Fixture::new().await;
    let with = |change: fn(&mut Claims)| {
        let mut claims = claims("vera", 2);
        change(&mut claims);
        fixture.ask(WHO_AM_I, &claims)
    };
    let ended = Err(Some(Denial::SessionEnded));
    assert!(with(|_| ()).is_ok());
    assert_eq!(
        with(|c| c.sub = claims("ada", 3).sub),
        ended,
        "another user's id"
    );
    assert_eq!(
        with(|c| c.sid = claims("ada", 3).sid),
        ended,
        "another user's session"
    );
    assert_eq!(with(|c| c.sid = sid(77).to_string()), ended, "no session");
    assert_eq!(with(|c| c.sid = "x".into()), Err(Some(Denial::Malformed)));
    // What it says of names, roles and permissions counts for nothing.
    let Caller::User { name, .. } = with(|c| c.name = "ada".into()).unwrap() else {
        panic!("not a user");
    };
    assert_eq!(name.as_str(), "vera");
    assert!(fixture.ask(LIST_USERS, &claims("vera", 2)).is_err());
}

#[tokio::test]
async fn whatever_is_taken_from_a_user_holds_on_the_next_call_with_the_same_token() {
    let lock = Lock {
        at: t(NOW),
        by: "ada".into(),
        reason: String::new(),
        emergency: false,
    };
    let account = |change: fn(&mut Account)| {
        let mut account = Account::new("dora".parse().unwrap());
        change(&mut account);
        Write::Account(Id::from_bytes([4; 16]), Some(account))
    };
    let mut locked = Account::new("dora".parse().unwrap());
    locked.lock = Some(lock);
    let edited = |change: fn(&mut User)| {
        let Write::User(name, Some(mut record)) = user("dora", 4, "deployer") else {
            panic!("not a user");
        };
        change(&mut record.spec);
        Write::User(name, Some(record))
    };
    let ended = |because| Ended {
        at: t(NOW),
        because,
    };
    let mut over = session("dora", 4);
    over.ended = Some(ended(EndReason::Revoked));
    let changes = [
        (
            "removed",
            Write::User("dora".parse().unwrap(), None),
            "session-ended",
        ),
        (
            "made again under the same name",
            user("dora", 5, "admin"),
            "session-ended",
        ),
        (
            "disabled",
            edited(|user| user.disabled = true),
            "session-ended",
        ),
        (
            "expired",
            edited(|user| user.expires = Some(t(NOW))),
            "session-ended",
        ),
        (
            "locked",
            Write::Account(Id::from_bytes([4; 16]), Some(locked)),
            "session-ended",
        ),
        (
            "ended with all others",
            account(|account| {
                account.end_sessions(Ended {
                    at: t(NOW),
                    because: EndReason::Password,
                });
            }),
            "session-ended",
        ),
        ("ended", Write::Session(sid(4), Some(over)), "session-ended"),
        ("gone", Write::Session(sid(4), None), "session-ended"),
        (
            "demoted",
            edited(|user| user.roles.clear()),
            "not-permitted",
        ),
    ];
    for (what, change, cause) in changes {
        let fixture = Fixture::new().await;
        let path = "/banyan.v1.EngineService/GetStatus";
        let dora = token(&claims("dora", 4));
        assert!(fixture.at(path, Some(dora.expose()), PEER, t(NOW)).is_ok());
        fixture.write(vec![change]).await;
        let denial = fixture
            .at(path, Some(dora.expose()), PEER, t(NOW))
            .unwrap_err();
        assert_eq!(denial.unwrap().cause(), cause, "{what}");
    }
}

#[tokio::test]
async fn what_a_user_is_given_holds_on_the_next_call_with_the_same_token() {
    let fixture = Fixture::new().await;
    let vera = token(&claims("vera", 2));
    let ask = || fixture.at(LIST_USERS, Some(vera.expose()), PEER, t(NOW));
    assert!(ask().is_err());
    fixture.write(vec![user("vera", 2, "admin")]).await;
    assert!(ask().is_ok());
}

#[tokio::test]
async fn over_the_local_socket_the_host_may_do_everything_and_a_token_counts_all_the_same() {
    let fixture = Fixture::new().await;
    let socket = PeerAddr::Socket { uid: 0 };
    let recover = "/banyan.v1.HostService/RecoverAdmin";
    assert_eq!(
        fixture.at(recover, None, socket, t(NOW)),
        Ok(Caller::Host { uid: 0 })
    );
    let ada = token(&claims("ada", 3));
    let asked = fixture.at(recover, Some(ada.expose()), socket, t(NOW));
    assert_eq!(asked.unwrap_err().unwrap().cause(), "not-permitted");
    assert_eq!(
        fixture.at(recover, None, PeerAddr::Unknown, t(NOW)),
        Err(Some(Denial::NoToken))
    );
}

#[tokio::test]
async fn a_key_that_is_taken_away_takes_its_tokens_along_at_once() {
    let fixture = Fixture::new().await;
    let ada = token(&claims("ada", 3));
    assert_eq!(fixture.cause(ada.expose()), "let through");
    let second = SigningKey {
        seed: SecretText::new("02".repeat(32)),
        made: t(NOW),
        signs_from: t(NOW),
        accepted_until: None,
    };
    let writes = vec![
        Write::SigningKey(kid(1), None),
        Write::SigningKey(kid(2), Some(second)),
    ];
    fixture.write(writes).await;
    assert_eq!(fixture.cause(ada.expose()), "bad-signature");
}

/// A store that can be cut off.
struct Cut {
    inner: MemoryStore,
    away: AtomicBool,
}

impl Cut {
    fn there(&self) -> Result<(), StoreError> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(StoreError::unavailable("asking", "the store is cut off")),
            false => Ok(()),
        }
    }
}

#[tonic::async_trait]
impl Store for Cut {
    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.there()?;
        self.inner.snapshot().await
    }

    async fn commit(&self, txn: Txn) -> Result<Outcome, StoreError> {
        self.there()?;
        self.inner.commit(txn).await
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, StoreError> {
        self.there()?;
        self.inner.watch(prefix, after).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.there()?;
        self.inner.grant(ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.there()?;
        self.inner.keep_alive(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.there()?;
        self.inner.revoke(lease).await
    }
}

/// The engine is cut off from its store: the reads that confirm the view find nobody.
#[tokio::test(start_paused = true)]
async fn people_are_refused_a_quarter_of_an_hour_after_the_store_was_last_heard_of_and_let_in_again_when_it_is()
 {
    let store = Arc::new(Cut {
        inner: MemoryStore::new(),
        away: AtomicBool::new(false),
    });
    let options = Options {
        probe: Some(Duration::from_secs(1)),
        ..Options::default()
    };
    let dynamic: Arc<dyn Store> = store.clone();
    let state = Arc::new(State::open_with(dynamic, options).await.unwrap());
    let fixture = Fixture {
        gate: LiveGate::new(
            Arc::clone(&state),
            Arc::new(KeyringCache::new(None)),
            settings(),
        ),
        state,
    };
    let key = SigningKey {
        seed: SecretText::new("01".repeat(32)),
        made: t(NOW),
        signs_from: t(NOW),
        accepted_until: None,
    };
    let writes = vec![
        Write::SigningKey(kid(1), Some(key)),
        user("vera", 2, "viewer"),
        Write::Session(sid(2), Some(session("vera", 2))),
    ];
    fixture.write(writes).await;
    let cause = || fixture.cause(token(&claims("vera", 2)).expose());
    let wait = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
    wait(3).await;
    assert_eq!(cause(), "let through");
    store.away.store(true, Ordering::SeqCst);
    wait(14 * 60).await;
    assert_eq!(cause(), "let through");
    wait(61).await;
    assert_eq!(cause(), "cut-off");
    let host = fixture.at(WHO_AM_I, None, PeerAddr::Socket { uid: 0 }, t(NOW));
    assert!(
        host.is_ok(),
        "whoever has the host is known by the kernel, not by the store"
    );
    store.away.store(false, Ordering::SeqCst);
    wait(5).await;
    assert_eq!(cause(), "let through");
}
