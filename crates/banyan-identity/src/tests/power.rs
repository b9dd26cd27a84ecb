//! Nobody reaches beyond their own power: not upwards, not through time.

use proptest::prelude::*;

use super::*;
use crate::login::{Proof, begin};

/// desk (a role of its own, with the viewer's permissions), a guard who may only lock, a viewer and an admin.
fn world() -> World {
    World::new()
        .with("root", 1, &["admin"])
        .with("desk", 2, &["desk"])
        .with("carl", 3, &["viewer"])
        .with("guard", 4, &["guard"])
        .with("mate", 5, &["desk"])
        .with("boss", 6, &["admin"])
}

fn code_of(byte: u8) -> FirstLogin {
    FirstLogin::Code(SecretText::new(format!("{byte:02x}")))
}

/// Issues a code, and takes it in.
fn with_code(world: World, by: &str, user: &str, byte: u8) -> World {
    let caller = match by {
        "host" => HOST,
        by => world.caller(by),
    };
    let (writes, ()) = world
        .by(&caller)
        .enroll(&name(user), &code_of(byte))
        .unwrap();
    world.after(writes)
}

/// Whether the code lets in.
fn lets_in(world: &World, user: &str, byte: u8) -> bool {
    used(world, user, byte).is_some()
}

/// The world after the use of a code, if it lets in.
fn used(world: &World, user: &str, byte: u8) -> Option<World> {
    let proof = Proof::Code {
        id: world.id(user),
        code: SecretText::new(format!("{byte:02x}")),
        chosen: Credential {
            hash: SecretText::new("$2b$12$y".into()),
            set: now(),
        },
    };
    let token = RefreshToken {
        id: id(byte),
        key: None,
        issued: now(),
        expires: now() + 24.hours(),
    };
    let (writes, _) = begin(
        world.directory(),
        &name(user),
        &proof,
        &id(byte),
        &token,
        "192.0.2.1",
        now(),
    )
    .ok()?;
    Some(world.clone().after(writes))
}

fn set_roles(world: World, user: &str, roles: &[&str]) -> World {
    world.changed(user, |user| user.roles = names(roles))
}

#[test]
fn a_code_dies_when_its_user_gains_power() {
    for issuer in ["desk", "root", "host"] {
        let world = with_code(world(), issuer, "carl", 50);
        assert!(lets_in(&world, "carl", 50), "{issuer}");
        let promoted = set_roles(world.clone(), "carl", &["viewer", "admin"]);
        assert!(!lets_in(&promoted, "carl", 50), "{issuer}: by set-role");
        let mut grown = world.clone();
        let viewer: BTreeSet<Permission> = ["*".parse().unwrap()].into();
        grown
            .objects
            .roles
            .alter(&name("desk"), |role| role.permissions = viewer);
        let grown = set_roles(grown, "carl", &["desk"]);
        assert!(
            !lets_in(&grown, "carl", 50),
            "{issuer}: by a role that grew"
        );
        let fewer = set_roles(world, "carl", &["guard"]);
        assert!(
            !lets_in(&fewer, "carl", 50),
            "{issuer}: another permission is more, too"
        );
    }
}

#[test]
fn a_code_dies_with_the_power_of_its_issuer() {
    let world = || with_code(world(), "root", "boss", 51);
    assert!(lets_in(&world(), "boss", 51));
    let gone = {
        let mut world = world();
        world.people.users.remove(&name("root"));
        world
    };
    for (what, world) in [
        ("locked", world().locked("root")),
        (
            "disabled",
            world().changed("root", |user| user.disabled = true),
        ),
        (
            "expired",
            world().changed("root", |user| user.expires = Some(now())),
        ),
        ("demoted", set_roles(world(), "root", &["desk"])),
        ("removed", gone),
    ] {
        assert!(!lets_in(&world, "boss", 51), "{what}");
    }
}

#[test]
fn a_code_that_was_voided_stays_void() {
    let start = with_code(world(), "root", "boss", 51);
    let (writes, locked) = start.by(&HOST).lock(&name("root"), "").unwrap();
    assert_eq!(locked.taken.voided, [name("boss")]);
    let mut after = start.after(writes);
    after.account("root", |account| account.lock = None);
    assert!(!lets_in(&after, "boss", 51), "after the issuer is unlocked");

    // What a commit takes, the reaper voids.
    let start = with_code(world(), "root", "boss", 51);
    let expired = start.changed("root", |user| user.expires = Some(now()));
    let (writes, whose) = crate::reap::void(expired.directory(), 10, now());
    assert_eq!(whose, [name("boss")]);
    let back = expired
        .after(writes)
        .changed("root", |user| user.expires = None);
    assert!(
        !lets_in(&back, "boss", 51),
        "after the issuer's expiry is moved"
    );
    let (writes, whose) = crate::reap::void(back.directory(), 10, now());
    assert!(writes.is_empty() && whose.is_empty());
}

#[test]
fn a_lock_names_whom_the_locked_user_enrolled_lately() {
    let world = with_code(world(), "root", "carl", 50);
    let world = used(&world, "carl", 50).unwrap();
    let lock = |at: Timestamp| {
        let by = DecisionContext {
            now: at,
            ..world.by(&HOST)
        };
        by.lock(&name("root"), "").unwrap().1.enrolled
    };
    assert_eq!(lock(now() + 1.hour()), [(name("carl"), now())]);
    assert!(lock(now() + (8 * 24).hours()).is_empty());
}

#[test]
fn a_code_of_an_older_version_lets_nobody_in() {
    let mut world = with_code(world(), "host", "carl", 50);
    world.account("carl", |account| {
        let code = account.enrolment.as_mut().unwrap();
        (code.issuer, code.powers) = (None, BTreeSet::new());
    });
    assert!(!lets_in(&world, "carl", 50));
}

/// Every action that takes something, by somebody weaker, equal and stronger, before and after a change of power.
#[test]
fn who_takes_from_a_user_holds_what_that_user_holds() {
    type Act = fn(DecisionContext<'_>, &Name) -> Result<(), ChangeRefused>;
    let acts: [(&str, Act); 6] = [
        ("set roles", |at, who| {
            at.set_roles(who, &names(&["viewer"])).map(drop)
        }),
        ("disable", |at, who| at.disable(who).map(drop)),
        ("remove", |at, who| at.remove(who).map(drop)),
        ("lock", |at, who| at.lock(who, "").map(drop)),
        ("end sessions", |at, who| at.revoke_all(who).map(drop)),
        ("void a code by a new one", |at, who| {
            at.enroll(who, &code_of(99)).map(drop)
        }),
    ];
    let sessions = |world: World| {
        ["root", "desk", "carl", "mate"]
            .into_iter()
            .zip(60..)
            .fold(world, |world, (user, byte)| world.session(user, byte, None))
    };
    let before = sessions(world());
    let mate_promoted = set_roles(sessions(world()), "mate", &["desk", "deployer"]);
    let desk_demoted = set_roles(sessions(world()), "desk", &["ops"]);
    let mut lines = Vec::new();
    for (when, world) in [
        ("before", &before),
        ("mate promoted", &mate_promoted),
        ("desk demoted", &desk_demoted),
    ] {
        for target in ["carl", "mate", "root"] {
            for (what, act) in acts {
                let by = world.caller("desk");
                let said = match act(world.by(&by), &name(target)) {
                    Ok(()) => "done".to_owned(),
                    Err(refused) => format!("{:?}", refused.kind()),
                };
                lines.push(format!("{when}: desk, {what}, {target}: {said}"));
            }
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn users_lock_locks_anybody_but_the_last_admin_and_gives_nothing_else() {
    let world = world();
    let guard = world.caller("guard");
    let at = world.by(&guard);
    let (writes, locked) = at.lock(&name("root"), "stolen laptop").unwrap();
    assert!(locked.emergency);
    let after = world.clone().after(writes);
    let lock = after.people.accounts[&world.id("root")]
        .lock
        .clone()
        .unwrap();
    assert!(lock.emergency && lock.by == "guard");
    assert!(
        at.lock(&name("guard"), "")
            .is_ok_and(|(_, locked)| !locked.emergency)
    );
    let last = after.by(&guard).lock(&name("boss"), "");
    assert_eq!(last.map(drop), Err(ChangeRefused::LastAdmin(name("boss"))));
    assert!(after.by(&guard).unlock(&name("root")).is_err());
    for refused in [
        at.disable(&name("carl")).map(drop),
        at.remove(&name("carl")).map(drop),
        at.enroll(&name("carl"), &code_of(1)).map(drop),
    ] {
        assert!(refused.is_err());
    }
    let weaker = world.caller("carl");
    assert!(world.by(&weaker).lock(&name("guard"), "").is_err());
}

#[test]
fn admins_who_cannot_log_in_do_not_make_it_safe_to_lock_the_one_who_can() {
    // Git's alice and bob are admins and never enrolled.
    let world = World::new().with("root", 1, &["admin"]);
    let refused = world.by(&HOST).lock(&name("root"), "");
    assert_eq!(
        refused.map(drop),
        Err(ChangeRefused::LastAdmin(name("root")))
    );
    // A code that the locked admin issued dies with the lock, so it does not count either.
    let world = with_code(world, "root", "alice", 50);
    let refused = world.by(&HOST).lock(&name("root"), "");
    assert_eq!(
        refused.map(drop),
        Err(ChangeRefused::LastAdmin(name("root")))
    );
    let world = with_code(world, "host", "bob", 51);
    assert!(world.by(&HOST).lock(&name("root"), "").is_ok());
}

/// A step of somebody.
#[derive(Debug, Clone)]
enum Step {
    Add(usize, usize),
    SetRoles(usize, usize, usize),
    Disable(usize, usize),
    Enable(usize, usize),
    Lock(usize, usize),
    Unlock(usize, usize),
    Remove(usize, usize),
    Enroll(usize, usize),
    UseCode(usize),
}

const PEOPLE: [&str; 7] = ["root", "desk", "carl", "guard", "mate", "new", "other"];
const ROLES: [&[&str]; 5] = [
    &["viewer"],
    &["desk"],
    &["admin"],
    &["guard"],
    &["ops", "viewer"],
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (who, role) = (0..PEOPLE.len(), 0..ROLES.len());
    let two = (who.clone(), who.clone());
    let step = prop_oneof![
        (who.clone(), role.clone()).prop_map(|(by, role)| Step::Add(by, role)),
        (who.clone(), who, role).prop_map(|(by, user, role)| Step::SetRoles(by, user, role)),
        two.clone().prop_map(|(by, user)| Step::Disable(by, user)),
        two.clone().prop_map(|(by, user)| Step::Enable(by, user)),
        two.clone().prop_map(|(by, user)| Step::Lock(by, user)),
        two.clone().prop_map(|(by, user)| Step::Unlock(by, user)),
        two.clone().prop_map(|(by, user)| Step::Remove(by, user)),
        two.prop_map(|(by, user)| Step::Enroll(by, user)),
        (0..40_usize).prop_map(Step::UseCode),
    ];
    prop::collection::vec(step, 1..40)
}

/// The users who work together against the rest, and what they may have at most.
struct Coalition {
    members: BTreeSet<Name>,
    held: BTreeSet<Permission>,
    /// Codes known to them: whose, and which.
    codes: Vec<(Name, u8)>,
}

impl Coalition {
    fn is(&self, who: &str) -> bool {
        self.members.contains(&name(who))
    }

    /// Nothing that the members hold, or can get by a code, is beyond what they held or were given.
    fn check(&self, world: &World) {
        let directory = world.directory();
        for member in &self.members {
            if let Some(person) = directory.find(member) {
                let held = directory.permissions(&person, now());
                assert!(
                    escalates(&self.held, &held).is_empty(),
                    "{member} holds {held:?}"
                );
            }
        }
        for (user, byte) in &self.codes {
            if let Some(person) = directory.find(user)
                && lets_in(world, user.as_str(), *byte)
            {
                let powers = directory.permissions(&person, now());
                assert!(
                    escalates(&self.held, &powers).is_empty(),
                    "a code for {user} gives {powers:?}"
                );
            }
        }
    }
}

fn escalates(held: &BTreeSet<Permission>, wanted: &BTreeSet<Permission>) -> Vec<Permission> {
    banyan_core::people::escalation(held, wanted)
}

/// One step. Those of root are legitimate, whatever they are; what root gives to a member is given.
fn step(world: World, coalition: &mut Coalition, step: &Step, byte: u8) -> World {
    let (by, user) = match step {
        Step::Add(by, _) => (*by, 5 + usize::from(byte) % 2),
        Step::SetRoles(by, user, _)
        | Step::Disable(by, user)
        | Step::Enable(by, user)
        | Step::Lock(by, user)
        | Step::Unlock(by, user)
        | Step::Remove(by, user)
        | Step::Enroll(by, user) => (*by, *user),
        Step::UseCode(which) => {
            let codes = &coalition.codes;
            let Some((user, byte)) = codes.get(which % codes.len().max(1)).cloned() else {
                return world;
            };
            // Whoever uses the code is that user from now on.
            if let Some(after) = used_by_name(&world, &user, byte) {
                coalition.members.insert(user);
                return after;
            }
            return world;
        }
    };
    let (by, user) = (PEOPLE[by], PEOPLE[user]);
    let Some(caller) = world.directory().find(&name(by)).map(|_| world.caller(by)) else {
        return world;
    };
    let at = world.by(&caller);
    let who = name(user);
    let writes = match step {
        Step::Add(_, role) => {
            let mut new = new(user, ROLES[*role]);
            new.id = id(byte);
            new.login = code_of(byte);
            at.add(&new).map(|(writes, ())| writes)
        }
        Step::SetRoles(_, _, role) => at.set_roles(&who, &names(ROLES[*role])).map(|done| done.0),
        Step::Disable(..) => at.disable(&who).map(|done| done.0),
        Step::Enable(..) => at.enable(&who).map(|done| done.0),
        Step::Lock(..) => at.lock(&who, "").map(|done| done.0),
        Step::Unlock(..) => at.unlock(&who).map(|done| done.0),
        Step::Remove(..) => at.remove(&who).map(|done| done.0),
        Step::Enroll(..) => at.enroll(&who, &code_of(byte)).map(|done| done.0),
        Step::UseCode(_) => return world,
    };
    let Ok(writes) = writes else { return world };
    if coalition.is(by) && matches!(step, Step::Add(..) | Step::Enroll(..)) {
        coalition.codes.push((who.clone(), byte));
    }
    let after = world.after(writes);
    if !coalition.is(by)
        && coalition.is(user)
        && let Some(person) = after.directory().find(&who)
    {
        coalition
            .held
            .extend(after.directory().powers(&person.record.spec.roles));
    }
    after
}

fn used_by_name(world: &World, user: &Name, byte: u8) -> Option<World> {
    world.directory().find(user)?;
    used(world, user.as_str(), byte)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever desk, guard and mate do together, and whatever root does between, they end up with no more than they held
    /// and were given.
    #[test]
    fn no_sequence_of_calls_gives_more_than_was_held_or_given(steps in steps()) {
        let mut world = world();
        let members = names(&["desk", "guard", "mate"]);
        let directory = world.directory();
        let held = members.iter().filter_map(|member| directory.find(member));
        let held = held.flat_map(|person| directory.permissions(&person, now())).collect();
        let mut coalition = Coalition { members, held, codes: Vec::new() };
        for (next, byte) in steps.iter().zip(100..) {
            world = step(world, &mut coalition, next, byte);
            coalition.check(&world);
        }
    }
}
