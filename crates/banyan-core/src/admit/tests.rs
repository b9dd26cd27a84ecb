use std::sync::Arc;

use super::*;
use crate::fixture::{cluster, documents, machine, pos, recipients, t, user};
use crate::people::{Account, Credential};
use crate::{At, Documents, Origin, Record, Sealed, User, check, plan};
use proptest::prelude::*;

const NOW: &str = "2026-01-01T00:00:00Z";

fn commit(number: u8, trailers: &[(&str, &str)]) -> CommitInfo {
    let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    CommitInfo {
        id: crate::CommitId::from_sha1([number; 20]),
        author: "A <a@example.org>".into(),
        committed_at: t(NOW),
        summary: "x".into(),
        trailers: trailers.iter().map(own).collect(),
    }
}

fn context(recent: &[Reduction]) -> AdmitContext<'_> {
    AdmitContext {
        guards: Guards::default(),
        engine_recipients: &[],
        recent,
        people: &crate::people::NOBODY,
        made_of: None,
        now: t(NOW),
    }
}

fn checked(documents: &Documents) -> Checked {
    check(documents, Vec::new(), t(NOW)).unwrap()
}

fn applied(target: &Target) -> InForce {
    InForce {
        applied: Some(target.applied().clone()),
        objects: target.objects().clone(),
    }
}

fn in_force(documents: &Documents) -> InForce {
    let first = admit(
        &InForce::default(),
        &checked(documents),
        &commit(1, &[]),
        &context(&[]),
    );
    applied(&first.unwrap())
}

/// The refusal of a change from one repo to another; empty if it is admitted.
fn refusal(before: &Documents, after: &Documents, trailers: &[(&str, &str)]) -> String {
    let target = admit(
        &in_force(before),
        &checked(after),
        &commit(2, trailers),
        &context(&[]),
    );
    let findings = target.err().unwrap_or_default();
    findings.iter().map(|f| format!("{f}\n")).collect()
}

/// The fixture's repo with this many machines in total.
fn with_machines(count: u8) -> Documents {
    let mut repo = documents();
    repo.machines = (0..count)
        .map(|n| machine(&format!("worker-{n:02}"), n + 2))
        .collect();
    repo
}

#[test]
fn a_removal_within_the_limits_is_admitted_and_a_larger_one_needs_the_exact_count() {
    let before = with_machines(20);
    assert_eq!(refusal(&before, &with_machines(15), &[]), "");
    insta::assert_snapshot!(refusal(&before, &with_machines(14), &[]), @"(repository): error: 6 machines would be removed or cut off (worker-14, worker-15, worker-16, worker-17, worker-18 and 1 more): 6 of 20 within a day is more than 25 % and more than 5 (if this is intended, add to the commit message: Banyan-Allow-Removals: machine=6)");
    let trailer = |value| [("Banyan-Allow-Removals", value)];
    insta::assert_snapshot!(refusal(&before, &with_machines(14), &trailer("machine=5")), @"(repository): error: 6 machines would be removed or cut off (worker-14, worker-15, worker-16, worker-17, worker-18 and 1 more): 6 of 20 within a day is more than 25 % and more than 5; the trailer says 5, but the count is 6 (if this is intended, add to the commit message: Banyan-Allow-Removals: machine=6)");
    insta::assert_snapshot!(refusal(&before, &with_machines(14), &trailer("six")), @"(repository): error: 6 machines would be removed or cut off (worker-14, worker-15, worker-16, worker-17, worker-18 and 1 more): 6 of 20 within a day is more than 25 % and more than 5; the trailer Banyan-Allow-Removals is malformed (if this is intended, add to the commit message: Banyan-Allow-Removals: machine=6)");
    assert_eq!(
        refusal(&before, &with_machines(14), &trailer("user=1, machine=6")),
        ""
    );
}

#[test]
fn a_share_alone_or_a_number_alone_is_no_mass_removal() {
    // One of three machines is a third, but only one; six of sixty are six, but only a tenth.
    assert_eq!(refusal(&with_machines(3), &with_machines(2), &[]), "");
    assert_eq!(refusal(&with_machines(60), &with_machines(54), &[]), "");
}

#[test]
fn removing_all_of_a_kind_requires_a_trailer() {
    insta::assert_snapshot!(refusal(&with_machines(2), &with_machines(0), &[]), @"(repository): error: 2 machines would be removed or cut off (worker-00, worker-01): all 2 would be removed (if this is intended, add to the commit message: Banyan-Allow-Removals: machine=2)");
    assert_eq!(refusal(&with_machines(1), &with_machines(0), &[]), "");
}

#[test]
fn small_removals_add_up_for_a_day_and_are_then_forgotten() {
    let mut state = in_force(&with_machines(20));
    let mut recent = Vec::new();
    for left in (15..20).rev() {
        let target = admit(
            &state,
            &checked(&with_machines(left)),
            &commit(left, &[]),
            &context(&recent),
        )
        .unwrap();
        recent.extend_from_slice(target.reductions());
        state = applied(&target);
    }
    let next = checked(&with_machines(14));
    let refused = admit(&state, &next, &commit(9, &[]), &context(&recent)).unwrap_err();
    insta::assert_snapshot!(refused[0], @"(repository): error: 1 machine would be removed or cut off (worker-14): 6 of 20 within a day is more than 25 % and more than 5 (if this is intended, add to the commit message: Banyan-Allow-Removals: machine=1)");
    let tomorrow = AdmitContext {
        now: t("2026-01-02T00:00:00Z"),
        ..context(&recent)
    };
    assert!(admit(&state, &next, &commit(9, &[]), &tomorrow).is_ok());
    // A reduction that a trailer announced does not count against later commits.
    let said = commit(9, &[("Banyan-Allow-Removals", "machine=1")]);
    let target = admit(&state, &next, &said, &context(&recent)).unwrap();
    assert_eq!(target.reductions(), []);
}

#[test]
fn disabling_expiring_emptying_and_rekeying_count_like_removing() {
    let users = |change: fn(&mut crate::UserSpec)| {
        let mut repo = documents();
        repo.users.extend((0..10).map(|n| {
            let mut user = (*user(&format!("user-{n}"), &["viewer"])).clone();
            change(&mut user.spec);
            Arc::new(user)
        }));
        repo
    };
    let before = users(|_| {});
    let later = "2030-01-01T00:00:00Z";
    for change in [
        (|u| u.disabled = Some(At::new(true, pos(5)))) as fn(&mut crate::UserSpec),
        |u| u.expires = Some(At::new(t("2030-01-01T00:00:00Z"), pos(5))),
        |u| u.roles.clear(),
    ] {
        assert!(
            refusal(&before, &users(change), &[]).contains("10 users would be removed or cut off")
        );
    }
    let machines = |key_offset: u8, expires: Option<&str>| {
        let mut repo = with_machines(0);
        repo.machines = (0..10)
            .map(|n| {
                let mut machine = (*machine(&format!("m-{n}"), n + key_offset)).clone();
                machine.spec.expires = expires.map(|at| At::new(t(at), pos(5)));
                Arc::new(machine)
            })
            .collect();
        repo
    };
    let before = machines(2, Some("2031-01-01T00:00:00Z"));
    for after in [
        machines(2, Some(later)),
        machines(50, Some("2031-01-01T00:00:00Z")),
    ] {
        assert!(refusal(&before, &after, &[]).contains("10 machines would be removed or cut off"));
    }
    // The reverse change reduces nothing.
    assert_eq!(refusal(&machines(2, Some(later)), &before, &[]), "");
}

#[test]
fn a_protected_machine_goes_only_after_it_was_unprotected_whatever_a_trailer_says() {
    let protected = |protected: bool| {
        let mut repo = documents();
        let mut gateway = (*machine("gateway", 40)).clone();
        gateway.spec.protected = protected;
        repo.machines.push(gateway.into());
        repo
    };
    let trailer = [("Banyan-Allow-Removals", "machine=1")];
    insta::assert_snapshot!(refusal(&protected(true), &documents(), &trailer), @"machines/gateway.yaml:1:1: error: machine gateway is protected and would be removed (first remove `protected` in a separate commit)");
    assert_eq!(refusal(&protected(true), &protected(false), &[]), "");
    assert_eq!(refusal(&protected(false), &documents(), &[]), "");
}

#[test]
fn the_last_admin_able_to_log_in_stays_whatever_a_trailer_says() {
    let state = in_force(&documents());
    let mut after = documents();
    after.users.retain(|u| u.name.value.as_str() != "alice");
    let people = with_password(&state, "alice");
    let barred = AdmitContext {
        people: &people,
        made_of: None,
        ..context(&[])
    };
    let said = commit(2, &[("Banyan-Allow-Removals", "user=1")]);
    let refused = admit(&state, &checked(&after), &said, &barred).unwrap_err();
    insta::assert_snapshot!(refused[0], @"users/alice.yaml:1:1: error: no active admin would remain: alice was the last (at least one enabled user without an expiry must hold `*` and be able to log in)");
    assert!(admit(&state, &checked(&after), &said, &context(&[])).is_ok());
}

#[test]
fn an_admin_that_git_does_not_declare_is_one_that_remains() {
    let state = in_force(&documents());
    let mut people = with_password(&state, "alice");
    let root = Record {
        spec: User {
            name: "root".parse().unwrap(),
            made: None,
            ..state.objects.users.values().next().unwrap().spec.clone()
        },
        origin: Origin::Bootstrap,
        generation: Generation(1),
        since: t(NOW),
    };
    let mut account = Account::new(root.spec.name.clone());
    account.password = Some(credential());
    people.accounts.insert(root.spec.id(), account.into());
    people.users.insert(root.spec.name.clone(), root.into());
    let mut after = documents();
    after.users.retain(|u| u.name.value.as_str() != "alice");
    let beside = AdmitContext {
        people: &people,
        made_of: None,
        ..context(&[])
    };
    assert!(admit(&state, &checked(&after), &commit(2, &[]), &beside).is_ok());
}

#[test]
fn a_user_created_through_the_api_is_not_taken_over_by_a_commit() {
    let state = in_force(&documents());
    let mut people = People::default();
    let made = state.objects.users.values().next().unwrap().clone();
    people.users.insert("zoe".parse().unwrap(), made);
    let mut after = documents();
    after.users.push(user("zoe", &["viewer"]));
    let beside = AdmitContext {
        people: &people,
        made_of: None,
        ..context(&[])
    };
    let refused = admit(&state, &checked(&after), &commit(2, &[]), &beside).unwrap_err();
    insta::assert_snapshot!(refused[0], @"users/zoe.yaml:3:3: error: user zoe already exists, created through the engine's API (choose another name, or remove that user first: `banyan user remove zoe`)");
}

#[test]
fn a_user_who_is_removed_and_declared_again_is_another_and_one_who_is_changed_is_not() {
    let first = in_force(&documents());
    let id = |state: &InForce| {
        state.objects.users[&"bob".parse::<Name>().unwrap()]
            .spec
            .id()
    };
    let next = |state: &InForce, repo: &Documents, number: u8| {
        let commit = commit(number, &[("Banyan-Allow-Removals", "user=1")]);
        let target = admit(state, &checked(repo), &commit, &context(&[])).unwrap();
        InForce {
            applied: Some(target.applied().clone()),
            objects: target.objects().clone(),
        }
    };
    let mut changed = documents();
    let at = changed
        .users
        .iter()
        .position(|u| u.name.value.as_str() == "bob")
        .unwrap();
    changed.users[at] = user("bob", &["admin", "viewer"]);
    let second = next(&first, &changed, 2);
    assert_eq!(id(&second), id(&first));
    let mut without = documents();
    without.users.remove(at);
    let third = next(&next(&second, &without, 3), &documents(), 4);
    assert_ne!(id(&third), id(&first));
}

#[test]
fn the_admins_that_a_repo_without_an_admin_would_remove_are_named() {
    let state = in_force(&documents());
    let mut after = documents();
    after
        .users
        .retain(|u| u.spec.roles.iter().all(|r| r.value.as_str() != "admin"));
    let mut findings = check(&after, Vec::new(), t(NOW)).unwrap_err();
    state.remind_of_admins(&mut findings, t(NOW));
    insta::assert_snapshot!(findings[0], @"cluster/demo.yaml:1:1: error: no admin would remain: no user holds `*`; currently held by alice (users/alice.yaml:1), bob (users/bob.yaml:1) (one enabled user without `expires` must hold `*`, for example through the role admin)");
    let untouched = findings.clone();
    InForce::default().remind_of_admins(&mut findings, t(NOW));
    assert_eq!(findings, untouched);
}

#[test]
fn the_engines_recipients_and_the_ranges_stay() {
    let state = in_force(&documents());
    let mut after = documents();
    let mut changed = (*cluster("demo")).clone();
    changed.spec.control_range.value = "10.99.0.0/16".parse().unwrap();
    after.clusters = vec![changed.into()];
    let stranger = Recipient("age1stranger".into());
    let of = |engine: Option<&str>, recipients: &[&Recipient]| EngineRecipients {
        engine: engine.map(|name| name.parse().unwrap()),
        recipients: recipients.iter().map(|r| (*r).clone()).collect(),
    };
    let known = AdmitContext {
        engine_recipients: &[of(None, &[&stranger])],
        ..context(&[])
    };
    let refused = admit(&state, &checked(&after), &commit(2, &[]), &known).unwrap_err();
    let shown: Vec<_> = refused.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(shown.join("\n"), @"
    cluster/demo.yaml:5:3: error: the control range of a live cluster cannot change from 10.200.0.0/16 to 10.99.0.0/16 (every member's address depends on it; revert the change)
    cluster/demo.yaml:8:3: error: the Cluster's recipients do not include this engine's recipient age1stranger (without it this engine could not decrypt values sealed from now on; add it to `recipients`)
    ");
    let own = AdmitContext {
        engine_recipients: &[of(None, &[&stranger, &recipients()[0]])],
        ..context(&[])
    };
    assert!(admit(&state, &checked(&documents()), &commit(2, &[]), &own).is_ok());
    // Each engine of the cluster keeps one; an engine without an identity has none to lose.
    let several = AdmitContext {
        engine_recipients: &[
            of(None, &[&recipients()[0]]),
            of(Some("north"), &[&stranger]),
            of(Some("south"), &[&stranger, &recipients()[1]]),
            of(Some("west"), &[]),
        ],
        ..context(&[])
    };
    let refused = admit(&state, &checked(&documents()), &commit(2, &[]), &several).unwrap_err();
    let shown: Vec<_> = refused.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(shown.join("\n"), @"cluster/demo.yaml:8:3: error: the Cluster's recipients do not include engine north's recipient age1stranger (without it that engine could not decrypt values sealed from now on; add it to `recipients`, or if that engine is gone permanently: banyan engine remove north)");
}

#[test]
fn the_strictest_of_engine_repo_before_and_repo_after_holds() {
    let guarded = |count: u8, max_removed: u32| {
        let mut repo = with_machines(count);
        let mut cluster = (*cluster("demo")).clone();
        cluster.spec.guards = Guards {
            max_removed_percent: 0,
            max_removed,
        };
        repo.clusters = vec![cluster.into()];
        repo
    };
    // Relaxing a guard and using it in the same commit does not help; neither does a lax repo with a strict engine.
    assert!(refusal(&guarded(10, 0), &guarded(9, 5), &[]).contains("more than 0"));
    assert!(refusal(&guarded(10, 5), &guarded(9, 0), &[]).contains("more than 0"));
    assert_eq!(refusal(&guarded(10, 5), &guarded(9, 5), &[]), "");
    let strict = AdmitContext {
        guards: Guards {
            max_removed_percent: 0,
            max_removed: 0,
        },
        ..context(&[])
    };
    let next = admit(
        &in_force(&guarded(10, 5)),
        &checked(&guarded(9, 5)),
        &commit(2, &[]),
        &strict,
    );
    assert!(next.is_err());
}

#[test]
fn what_only_moves_keeps_its_age_and_what_stays_keeps_its_record() {
    let state = in_force(&documents());
    let mut after = documents();
    let mut moved = (*after.users[0]).clone();
    moved.path = "people/alice.yaml".into();
    after.users[0] = moved.into();
    let target = admit(&state, &checked(&after), &commit(2, &[]), &context(&[])).unwrap();
    assert_eq!(target.changes().len(), 1);
    assert!(target.changes()[0].is_move());
    let alice = "alice".parse().unwrap();
    assert_eq!(target.objects().users[&alice].generation, Generation(1));
    let bob = "bob".parse().unwrap();
    assert!(Arc::ptr_eq(
        &target.objects().users[&bob],
        &state.objects.users[&bob]
    ));
}

#[test]
fn a_closed_value_changes_the_plan_only_when_it_was_sealed_again() {
    let closed = |seed: u8| {
        let mut repo = documents();
        let mut machine = (*machine("worker-1", 1)).clone();
        machine.spec.public_key.value = Sealed::Closed {
            ciphertext: crate::Digest([seed; 32]),
        };
        repo.machines[0] = machine.into();
        repo
    };
    let state = in_force(&closed(9));
    let same = admit(&state, &checked(&closed(9)), &commit(2, &[]), &context(&[])).unwrap();
    assert_eq!(same.changes().len(), 0);
    let other = admit(&state, &checked(&closed(8)), &commit(2, &[]), &context(&[])).unwrap();
    assert_eq!(other.changes().len(), 1);
}

/// A repo from numbers: which users and machines exist, with which role or key.
fn repo(users: &[(u8, u8)], machines: &[(u8, u8)]) -> Documents {
    let mut repo = documents();
    let roles = ["viewer", "deployer", "admin"];
    let users: std::collections::BTreeMap<_, _> = users.iter().copied().collect();
    for (number, role) in users {
        repo.users.push(user(
            &format!("u-{number}"),
            &[roles[usize::from(role) % 3]],
        ));
    }
    let machines: std::collections::BTreeMap<_, _> = machines.iter().copied().collect();
    let mut keys = std::collections::BTreeSet::new();
    for (number, key) in machines {
        if keys.insert(key) {
            repo.machines.push(machine(
                &format!("m-{number}"),
                key.saturating_add(100).max(100),
            ));
        }
    }
    repo
}

proptest! {
    #[test]
    fn applied_then_planned_again_nothing_changes(
        before in prop::collection::vec((0u8..12, 0u8..3), 0..12),
        after in prop::collection::vec((0u8..12, 0u8..3), 0..12),
        keys_before in prop::collection::vec((0u8..12, 0u8..100), 0..12),
        keys_after in prop::collection::vec((0u8..12, 0u8..100), 0..12),
    ) {
        let lax = AdmitContext { guards: Guards { max_removed_percent: 100, max_removed: 99 }, ..context(&[]) };
        let state = in_force(&repo(&before, &keys_before));
        let mut said = commit(2, &[]);
        for count in 0..20 {
            for kind in ["user", "machine"] {
                said.trailers.push(("Banyan-Allow-Removals".into(), format!("{kind}={count}")));
            }
        }
        let next = checked(&repo(&after, &keys_after));
        let target = admit(&state, &next, &said, &lax).unwrap();
        prop_assert_eq!(plan(&state, &target, t(NOW)).changes, target.changes().to_vec());
        let state = applied(&target);
        let again = admit(&state, &next, &said, &lax).unwrap();
        prop_assert_eq!(again.changes().len(), 0);
        prop_assert!(plan(&state, &again, t(NOW)).is_empty());
    }
}

fn credential() -> Credential {
    Credential {
        hash: crate::SecretText::new("$2b$12$".into()),
        set: t(NOW),
    }
}

/// The given user of git has a password, and no other user has.
fn with_password(state: &InForce, name: &str) -> People {
    let name: Name = name.parse().unwrap();
    let mut account = Account::new(name.clone());
    account.password = Some(credential());
    let mut people = People::default();
    let id = state.objects.users[&name].spec.id();
    people.accounts.insert(id, account.into());
    people
}
