use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::fixture::{commit, documents, key, lenient, machine, t, user};
use crate::{Documents, Machine, Record, Table, check, plan};

const NOW: &str = "2026-01-01T00:00:00Z";
const LATER: &str = "2026-02-01T00:00:00Z";

/// A larger repo, so that tampering has more to change.
fn repo() -> Documents {
    let mut repo = documents();
    repo.users
        .extend((0..6).map(|n| user(&format!("u-{n}"), &["viewer"])));
    repo.machines
        .extend((0..6).map(|n| machine(&format!("m-{n}"), 40 + n)));
    repo
}

fn checked(repo: &Documents) -> Checked {
    check(repo, Vec::new(), t(NOW)).unwrap()
}

fn in_force(repo: &Documents) -> InForce {
    let first = admit(
        &InForce::default(),
        &checked(repo),
        &commit(1),
        &lenient(t(NOW)),
    );
    let first = first.unwrap();
    InForce {
        applied: Some(first.applied().clone()),
        objects: first.objects().clone(),
    }
}

fn restored(tampered: &InForce, repo: &Documents) -> Target {
    let applied = tampered.applied.as_ref().unwrap();
    restore(
        tampered,
        &checked(repo),
        applied,
        &crate::people::NOBODY,
        t(LATER),
    )
}

fn with_machine(state: &mut InForce, name: &str, change: impl FnOnce(&mut Machine)) {
    state.objects.machines.alter(&name.parse().unwrap(), change);
}

/// The parts of the records that the commit determines: without generation, time and user ids.
fn specs(objects: &Objects) -> String {
    fn each<'a, T: std::fmt::Debug + 'a>(
        records: impl Iterator<Item = &'a Arc<Record<T>>>,
    ) -> String {
        records
            .map(|record| format!("{:?}\n", record.spec))
            .collect()
    }
    let users: Vec<_> = (objects.users.values())
        .map(|record| {
            let mut record = (**record).clone();
            record.spec.made = None;
            Arc::new(record)
        })
        .collect();
    [
        each(objects.cluster.iter()),
        each(users.iter()),
        each(objects.roles.values()),
        each(objects.machines.values()),
    ]
    .concat()
}

#[test]
fn with_nothing_altered_nothing_changes() {
    let state = in_force(&repo());
    let target = restored(&state, &repo());
    assert_eq!(target.changes(), []);
    assert_eq!(target.objects(), &state.objects);
}

#[test]
fn it_is_the_same_commit_under_the_next_generation_and_takes_nothing_away() {
    let mut state = in_force(&repo());
    state.objects.users = Table::default();
    let target = restored(&state, &repo());
    assert_eq!(target.parent(), Generation(1));
    let applied = target.applied();
    assert_eq!(applied.generation, Generation(2));
    assert_eq!((&applied.commit, applied.at), (&commit(1), t(LATER)));
    assert_eq!(target.reductions(), []);
    assert_eq!(target.counts().added, repo().users.len());
}

#[test]
fn altered_records_get_the_new_generation_and_the_others_keep_theirs() {
    let before = in_force(&repo());
    let mut state = before.clone();
    with_machine(&mut state, "m-1", |m| m.public_key = key(200));
    let target = restored(&state, &repo());
    let (name, other) = ("m-1".parse().unwrap(), "m-2".parse().unwrap());
    let record = &target.objects().machines[&name];
    assert_eq!(record.spec, before.objects.machines[&name].spec);
    assert_eq!((record.generation, record.since), (Generation(2), t(LATER)));
    let kept = &target.objects().machines[&other];
    assert!(Arc::ptr_eq(kept, &before.objects.machines[&other]));
    assert_eq!(target.changes().len(), 1);
}

#[test]
fn an_address_that_was_altered_or_taken_from_another_goes_back() {
    let before = in_force(&repo());
    let addresses = |objects: &Objects| -> Vec<_> {
        let machines = objects.machines.values();
        machines.map(|m| m.spec.control_v4.unwrap()).collect()
    };
    let (all, mut state) = (addresses(&before.objects), before.clone());
    with_machine(&mut state, "m-1", |m| m.control_v4 = Some(all[4]));
    with_machine(&mut state, "m-2", |m| m.control_v4 = None);
    with_machine(&mut state, "m-3", |m| {
        m.control_v4 = "192.0.2.1".parse().ok();
    });
    let target = restored(&state, &repo());
    assert_eq!(addresses(target.objects()), all);
    assert_eq!(target.changes().len(), 3);
}

#[test]
fn a_user_whose_record_was_deleted_keeps_the_id_of_the_account() {
    let before = in_force(&repo());
    let name: Name = "alice".parse().unwrap();
    let id = before.objects.users[&name].spec.id();
    let mut people = People::default();
    let account = crate::people::Account::new(name.clone());
    people.accounts.insert(id.clone(), account.into());
    let mut state = before;
    state.objects.users.remove(&name);
    let applied = state.applied.as_ref().unwrap();
    let restored = |people| {
        let target = restore(&state, &checked(&repo()), applied, people, t(LATER));
        target.objects().users[&name].spec.id()
    };
    assert_eq!(restored(&people), id);
    assert_ne!(restored(&crate::people::NOBODY), id);
}

#[test]
fn mass_tampering_is_undone_regardless_of_guards() {
    let before = in_force(&repo());
    let mut state = before.clone();
    let intruder = &before.objects.users[&"alice".parse().unwrap()];
    for n in 0..40 {
        let name: Name = format!("intruder-{n}").parse().unwrap();
        let mut record = (**intruder).clone();
        record.spec.name = name.clone();
        state.objects.users.insert(name, record.into());
    }
    let target = restored(&state, &repo());
    assert_eq!(target.objects(), &before.objects);
    assert_eq!(target.counts().removed, 40);
}

#[derive(Debug, Clone)]
enum Tampering {
    RemoveUser(u8),
    DisableUser(u8),
    AddUser(u8),
    Rekey(u8, u8),
    Address(u8, u8),
    RemoveMachine(u8),
    Role,
    Cluster,
}

fn tampering() -> impl Strategy<Value = Tampering> {
    prop_oneof![
        (0..6u8).prop_map(Tampering::RemoveUser),
        (0..6u8).prop_map(Tampering::DisableUser),
        (0..6u8).prop_map(Tampering::AddUser),
        (0..6u8, 2..=255u8).prop_map(|(n, seed)| Tampering::Rekey(n, seed)),
        (0..6u8, any::<u8>()).prop_map(|(n, v4)| Tampering::Address(n, v4)),
        (0..6u8).prop_map(Tampering::RemoveMachine),
        Just(Tampering::Role),
        Just(Tampering::Cluster),
    ]
}

impl Tampering {
    fn with(&self, objects: &mut Objects) {
        let name = |kind: &str, n: &u8| -> Name { format!("{kind}-{n}").parse().unwrap() };
        match self {
            Self::RemoveUser(n) => drop(objects.users.remove(&name("u", n))),
            Self::DisableUser(n) => {
                objects
                    .users
                    .alter(&name("u", n), |user| user.disabled = true);
            }
            Self::AddUser(n) => {
                let mut record = (*objects.users[&"alice".parse().unwrap()]).clone();
                record.spec.name = name("intruder", n);
                objects.users.insert(name("intruder", n), record.into());
            }
            Self::Rekey(n, seed) => {
                let rekey = |machine: &mut Machine| machine.public_key = key(*seed);
                objects.machines.alter(&name("m", n), rekey);
            }
            Self::Address(n, last) => {
                let v4 = (*last > 9).then(|| [10, 200, 7, *last].into());
                let readdress = |machine: &mut Machine| machine.control_v4 = v4;
                objects.machines.alter(&name("m", n), readdress);
            }
            Self::RemoveMachine(n) => drop(objects.machines.remove(&name("m", n))),
            Self::Role => objects.roles = Table::default(),
            Self::Cluster => objects.cluster = None,
        }
    }
}

proptest! {
    #[test]
    fn after_any_tampering_the_records_match_the_commit_again(
        done in prop::collection::vec(tampering(), 0..10)
    ) {
        let before = in_force(&repo());
        let mut state = before.clone();
        for tampering in &done {
            tampering.with(&mut state.objects);
        }
        let target = restored(&state, &repo());
        prop_assert_eq!(specs(target.objects()), specs(&before.objects));
        prop_assert_eq!(plan(&state, &target, t(LATER)).changes, target.changes().to_vec());
        let state = InForce { applied: Some(target.applied().clone()), objects: target.objects().clone() };
        prop_assert_eq!(restored(&state, &repo()).changes().len(), 0);
    }
}
