//! Decisions about users, on plain data.

mod power;
mod reap;
mod recovery;
mod signing_keys;

use std::collections::BTreeSet;
use std::sync::Arc;

use banyan_core::fixture::{commit, documents, lenient, role, t};
use banyan_core::people::{
    Account, Credential, Directory, EndReason, Id, Lock, People, RefreshToken, Session, Write,
};
use banyan_core::{
    Creation, Generation, InForce, KeyId, Labels, Name, Objects, Origin, Permission, Record,
    SecretText, SessionId, User, UserId, admit, check,
};
use jiff::{Timestamp, ToSpan as _};

use crate::context::put;
use crate::*;

pub(crate) const NOW: &str = "2026-01-01T00:00:00Z";

pub(crate) fn now() -> Timestamp {
    t(NOW)
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn id<K>(byte: u8) -> Id<K> {
    Id::from_bytes([byte; 16])
}

fn names(list: &[&str]) -> BTreeSet<Name> {
    list.iter().map(|text| name(text)).collect()
}

pub(crate) const HOST: Caller = Caller::Host { uid: 0 };

/// Git's alice and bob (admins) and vera (a viewer), and those that a test adds.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) objects: Objects,
    pub(crate) people: People,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut repo = documents();
        repo.roles.push(role("ops", &["users:read", "users:write"]));
        let desk = ["users:read", "users:write", "sessions:revoke"];
        let viewer = banyan_core::built_in_role("viewer").unwrap();
        let desk = desk
            .into_iter()
            .chain(viewer.iter().map(Permission::as_str));
        repo.roles.push(role("desk", &desk.collect::<Vec<_>>()));
        repo.roles.push(role("guard", &["users:lock"]));
        let checked = check(&repo, Vec::new(), now()).unwrap();
        let target = admit(&InForce::default(), &checked, &commit(1), &lenient(now())).unwrap();
        Self {
            objects: target.objects().clone(),
            people: People::default(),
        }
    }

    pub(crate) fn directory(&self) -> Directory<'_> {
        Directory {
            objects: &self.objects,
            people: &self.people,
        }
    }

    /// A user of the API's with a password.
    pub(crate) fn with(mut self, text: &str, byte: u8, roles: &[&str]) -> Self {
        let user = User {
            name: name(text),
            labels: Labels::default(),
            roles: names(roles),
            email: None,
            disabled: false,
            expires: None,
            password_hash: None,
            made: Some(Creation {
                id: id(byte),
                at: now(),
                by: "host".to_owned(),
            }),
        };
        let record = Record {
            spec: user,
            origin: Origin::Api,
            generation: Generation(0),
            since: now(),
        };
        self.people.users.insert(name(text), record.into());
        self.with_password(text)
    }

    pub(crate) fn with_password(mut self, text: &str) -> Self {
        self.account(text, |account| {
            account.password = Some(Credential {
                hash: SecretText::new("$2b$12$x".into()),
                set: now(),
            });
        });
        self
    }

    pub(crate) fn id(&self, text: &str) -> UserId {
        let person = self.directory().find(&name(text)).unwrap();
        person.record.spec.id()
    }

    pub(crate) fn account(&mut self, text: &str, change: impl FnOnce(&mut Account)) {
        let id = self.id(text);
        let account = self.people.accounts.entry(id);
        let account = account.or_insert_with(|| Arc::new(Account::new(name(text))));
        change(Arc::make_mut(account));
    }

    pub(crate) fn locked(mut self, text: &str) -> Self {
        self.account(text, |account| {
            account.lock = Some(Lock {
                at: now(),
                by: "host".into(),
                reason: String::new(),
                emergency: false,
            });
        });
        self
    }

    pub(crate) fn changed(mut self, text: &str, change: impl FnOnce(&mut User)) -> Self {
        let people = &mut self.people;
        let record = people.users.get_mut(&name(text)).unwrap();
        change(&mut Arc::make_mut(record).spec);
        self
    }

    pub(crate) fn session(mut self, text: &str, byte: u8, key: Option<KeyId>) -> Self {
        let user = self.id(text);
        let epoch = self
            .people
            .accounts
            .get(&user)
            .map_or(0, |account| account.epoch);
        let session = Session {
            user,
            name: name(text),
            epoch,
            created: now(),
            current: RefreshToken {
                id: id(byte),
                key,
                issued: now(),
                expires: now() + 24.hours(),
            },
            previous: None,
            via: "192.0.2.1".to_owned(),
            ended: None,
        };
        self.people.sessions.insert(id(byte), session.into());
        self
    }

    pub(crate) fn caller(&self, text: &str) -> Caller {
        Caller::User {
            id: self.id(text),
            name: name(text),
            session: id(200),
            token_expires: now() + 1.hour(),
            via: "192.0.2.1".to_owned(),
        }
    }

    pub(crate) fn by<'a>(&'a self, by: &'a Caller) -> DecisionContext<'a> {
        DecisionContext {
            directory: self.directory(),
            by,
            now: now(),
        }
    }

    /// Takes writes in, as the store would.
    pub(crate) fn after(mut self, writes: Vec<Write>) -> Self {
        let people = &mut self.people;
        for write in writes {
            match write {
                Write::User(name, user) => put(&mut people.users, &name, user.as_ref()),
                Write::Account(id, account) => put(&mut people.accounts, &id, account.as_ref()),
                Write::Session(id, session) => put(&mut people.sessions, &id, session.as_ref()),
                Write::SigningKey(id, key) => put(&mut people.signing_keys, &id, key.as_ref()),
            }
        }
        self
    }
}

fn code() -> FirstLogin {
    FirstLogin::Code(SecretText::new("00".into()))
}

fn new(text: &str, roles: &[&str]) -> NewUser {
    NewUser {
        name: name(text),
        id: id(100),
        email: None,
        roles: names(roles),
        expires: None,
        login: code(),
    }
}

fn refusal<T>(decision: Decision<T>) -> String {
    match decision {
        Ok((writes, _)) => format!("done: {} written", writes.len()),
        Err(refused) => {
            format!("{:?}: {refused}", refused.kind())
        }
    }
}

#[test]
fn a_user_is_made_within_the_powers_of_whoever_makes_it() {
    let world = World::new().with("olga", 1, &["ops"]);
    let olga = world.caller("olga");
    let with = |change: &dyn Fn(&mut NewUser)| {
        let mut user = new("new", &["ops"]);
        change(&mut user);
        refusal(world.by(&olga).add(&user))
    };
    let cases = [
        ("as she may", with(&|_| {})),
        ("an admin", with(&|user| user.roles = names(&["admin"]))),
        ("no such role", with(&|user| user.roles = names(&["opps"]))),
        ("git's name", with(&|user| user.name = name("vera"))),
        ("a name of ours", with(&|user| user.name = name("olga"))),
        (
            "a name of the log's",
            with(&|user| user.name = name("host")),
        ),
        (
            "no address",
            with(&|user| user.email = Some("a b@c".into())),
        ),
        ("expired", with(&|user| user.expires = Some(now()))),
    ];
    let lines: Vec<String> = cases
        .iter()
        .map(|(case, said)| format!("{case}: {said}"))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
    let (writes, ()) = world.by(&olga).add(&new("new", &["ops"])).unwrap();
    let world = world.after(writes);
    let made = world.directory().find(&name("new")).unwrap();
    assert_eq!(made.record.spec.made.as_ref().unwrap().by, "olga");
    let can = |at| world.directory().can_log_in(&made, at);
    assert!(can(now()) && !can(now() + 24.hours()));
}

#[test]
fn what_git_declares_is_refused_with_the_place_to_change_but_for_locks_and_codes() {
    let world = World::new().with("root", 1, &["admin"]);
    let by_host = world.by(&HOST);
    let vera = name("vera");
    let said = [
        refusal(by_host.set_roles(&vera, &names(&["viewer"]))),
        refusal(by_host.disable(&vera)),
        refusal(by_host.enable(&vera)),
        refusal(by_host.remove(&vera)),
        refusal(by_host.lock(&vera, "lost her laptop")),
        refusal(by_host.enroll(&vera, &code())),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn nothing_takes_the_last_admin_away() {
    let alone = || World::new().with("root", 1, &["admin"]);
    let acts = |world: &World| {
        let (by_host, root) = (world.by(&HOST), name("root"));
        [
            by_host.disable(&root).map(drop),
            by_host.set_roles(&root, &names(&["viewer"])).map(drop),
            by_host.lock(&root, "").map(drop),
            by_host.remove(&root).map(drop),
        ]
    };
    // Git's admins have no password, so they are not able to log in.
    for refused in acts(&alone()) {
        assert_eq!(refused, Err(ChangeRefused::LastAdmin(name("root"))));
    }
    for two in [
        alone().with_password("alice"),
        alone().with("other", 2, &["admin"]),
    ] {
        assert!(acts(&two).iter().all(Result::is_ok));
    }
    let guest = alone()
        .with("guest", 2, &["admin"])
        .changed("guest", |user| user.expires = Some(now() + 1.hour()));
    assert!(
        acts(&guest).iter().all(Result::is_err),
        "who expires does not count"
    );
    let git = World::new().with_password("alice");
    let locked = git.by(&HOST).lock(&name("alice"), "");
    assert_eq!(
        locked.map(drop),
        Err(ChangeRefused::LastAdmin(name("alice")))
    );
}

#[test]
fn what_comes_back_is_within_the_powers_of_whoever_brings_it_back() {
    let world = World::new()
        .with_password("alice")
        .with("olga", 1, &["ops"])
        .with("boss", 2, &["admin"])
        .with("mate", 3, &["ops"])
        .changed("boss", |user| user.disabled = true)
        .changed("mate", |user| user.disabled = true)
        .locked("vera")
        .locked("olga");
    let mut unlocked = world.clone();
    unlocked.account("olga", |account| account.lock = None);
    let (olga, locked) = (unlocked.caller("olga"), world.caller("olga"));
    let by_olga = unlocked.by(&olga);
    let said = [
        refusal(by_olga.enable(&name("boss"))),
        refusal(by_olga.enable(&name("mate"))),
        refusal(by_olga.unlock(&name("vera"))),
        refusal(by_olga.enroll(&name("alice"), &code())),
        refusal(by_olga.set_roles(&name("mate"), &names(&["admin", "ops"]))),
        refusal(by_olga.set_roles(&name("boss"), &names(&["ops"]))),
        refusal(world.by(&locked).unlock(&name("olga"))),
        refusal(world.by(&HOST).unlock(&name("olga"))),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_code_is_for_a_user_who_may_act_and_leaves_the_password() {
    let world = World::new()
        .with("root", 1, &["admin"])
        .with("off", 2, &["viewer"])
        .with("late", 3, &["viewer"])
        .changed("off", |user| user.disabled = true)
        .changed("late", |user| user.expires = Some(now()))
        .locked("vera");
    let by_host = world.by(&HOST);
    let said = ["off", "late", "vera", "nobody-there", "root"]
        .map(|who| format!("{who}: {}", refusal(by_host.enroll(&name(who), &code()))));
    insta::assert_snapshot!(said.join("\n"));
    let (writes, ()) = by_host.enroll(&name("root"), &code()).unwrap();
    let world = world.after(writes);
    let account = &world.people.accounts[&world.id("root")];
    assert!(account.password.is_some());
    let root = world.directory().find(&name("root")).unwrap();
    assert!(world.directory().open_enrolment(&root, now()).is_some());
}

#[test]
fn who_loses_access_loses_the_sessions_in_the_same_change() {
    let world = || {
        World::new()
            .with("root", 1, &["admin"])
            .with("mia", 2, &["viewer"])
            .session("mia", 50, None)
            .session("mia", 51, None)
    };
    type Act = fn(DecisionContext<'_>) -> Decision<Taken>;
    let acts: [(EndReason, Act); 3] = [
        (EndReason::Disable, |at| at.disable(&name("mia"))),
        (EndReason::Lock, |at| {
            let (writes, locked) = at.lock(&name("mia"), "why")?;
            Ok((writes, locked.taken))
        }),
        (EndReason::Removal, |at| at.remove(&name("mia"))),
    ];
    for (because, act) in acts {
        let before = world();
        let (writes, taken) = act(before.by(&HOST)).unwrap();
        assert_eq!(taken.ended, 2, "{because}");
        let after = world().after(writes);
        let session = &after.people.sessions[&SessionId::from_bytes([50; 16])];
        let end = after.directory().session_end(session, now()).unwrap();
        assert_eq!(end.because, because);
    }
}

#[test]
fn an_account_that_could_not_be_read_brings_no_session_back_when_it_is_unlocked() {
    let mut world = World::new()
        .with("mia", 2, &["viewer"])
        .session("mia", 50, None);
    world.account("mia", |account| {
        account.name = name("unreadable");
        account.lock = Some(Lock {
            at: Timestamp::UNIX_EPOCH,
            by: "the engine".into(),
            reason: String::new(),
            emergency: false,
        });
    });
    let (writes, ()) = world.by(&HOST).unlock(&name("mia")).unwrap();
    let world = world.after(writes);
    assert_eq!(world.directory().live_sessions(now()).count(), 0);
    let person = world.directory().find(&name("mia")).unwrap();
    assert!(person.inactive(now()).is_none());
    assert!(!world.directory().can_log_in(&person, now()));
}

#[test]
fn sessions_are_revoked_by_their_users_and_by_who_may() {
    let world = World::new()
        .with("root", 1, &["admin"])
        .with("mia", 2, &["viewer"])
        .with("olga", 3, &["ops"])
        .session("mia", 50, None)
        .session("mia", 51, None);
    let (root, mia, olga) = (
        world.caller("root"),
        world.caller("mia"),
        world.caller("olga"),
    );
    let one: SessionId = id(50);
    let ended = |by: &Caller, user: &str| world.by(by).revoke_all(&name(user)).unwrap().1.ended;
    assert_eq!(
        (
            ended(&mia, "mia"),
            ended(&root, "mia"),
            ended(&HOST, "olga")
        ),
        (2, 2, 0)
    );
    assert_eq!(world.by(&mia).revoke(&one).unwrap().1.ended, 1);
    let said = [
        refusal(world.by(&olga).revoke(&one)),
        refusal(world.by(&olga).revoke_all(&name("mia"))),
        refusal(world.by(&olga).revoke_all(&name("nobody-there"))),
        refusal(world.by(&olga).revoke(&id(99))),
        refusal(world.by(&root).revoke(&id(99))),
        refusal(world.by(&root).revoke_all(&name("nobody-there"))),
    ];
    insta::assert_snapshot!(said.join("\n"));
    let writes = world.by(&root).revoke(&one).unwrap().0;
    let world = world.after(writes);
    assert_eq!(
        world.by(&HOST).revoke(&one).unwrap().1.ended,
        0,
        "it has ended already"
    );
}
