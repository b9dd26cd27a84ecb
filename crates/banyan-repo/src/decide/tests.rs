use std::sync::Arc;

use banyan_core::fixture::{commit, documents, pos, recipients, t};
use banyan_core::people::{Account, Credential, NOBODY};
use banyan_core::{At, Catalog, Descent, Documents, Generation, Origin, Record, SecretText};

use super::*;

const NOW: &str = "2026-01-01T00:00:00Z";

fn revision(number: u8, documents: &Documents) -> Revision {
    Revision {
        commit: commit(number),
        loaded: Loaded {
            catalog: Catalog::of(documents),
            findings: Vec::new(),
            closed: 0,
            parsed: 0,
            files: 0,
        },
    }
}

fn engine() -> EngineContext {
    EngineContext {
        guards: Guards::default(),
        recipients: recipients(),
    }
}

fn baseline(in_force: &InForce) -> Baseline<'_> {
    Baseline {
        in_force,
        recent: &[],
        others: &[],
        people: &NOBODY,
        made_of: None,
        now: t(NOW),
    }
}

fn in_force() -> InForce {
    let before = InForce::default();
    let first = decide(
        Some(&engine()),
        &baseline(&before),
        None,
        revision(1, &documents()),
    );
    let target = first.unwrap().target;
    InForce {
        applied: Some(target.applied().clone()),
        objects: target.objects().clone(),
    }
}

fn rules(refused: Result<Admitted, Vec<Finding>>) -> Vec<String> {
    let findings = refused.err().unwrap_or_default();
    findings.iter().map(|f| f.rule.to_string()).collect()
}

#[test]
fn a_commit_that_may_not_follow_is_refused_for_that_alone() {
    let before = in_force();
    let lineage = Lineage {
        floor: None,
        ancestry: Ancestry {
            applied: Some(Descent::Apart),
            accepted: None,
        },
    };
    let empty = || revision(2, &Documents::default());
    let judged = |lineage| {
        rules(decide(
            Some(&engine()),
            &baseline(&before),
            lineage,
            empty(),
        ))
    };
    assert_eq!(judged(Some(lineage)), ["floor"]);
    // Without a lineage, or if it may follow, the commit is judged by its content.
    let follows = Lineage {
        floor: None,
        ancestry: Ancestry {
            applied: Some(Descent::Descends),
            accepted: None,
        },
    };
    for lineage in [None, Some(follows)] {
        let found = judged(lineage);
        assert!(
            !found.is_empty() && !found.contains(&"floor".to_owned()),
            "{found:?}"
        );
    }
}

#[test]
fn every_engine_keeps_a_recipient() {
    let before = in_force();
    let gone = EngineRecipients {
        engine: Some("north".parse().unwrap()),
        recipients: vec![Recipient("age1north".to_owned())],
    };
    let baseline = Baseline {
        others: &[gone],
        ..baseline(&before)
    };
    let decided = decide(Some(&engine()), &baseline, None, revision(2, &documents()));
    assert_eq!(rules(decided), ["guard-engine-recipient"]);
}

#[test]
fn without_an_engine_values_may_stay_closed_and_only_the_repos_guards_count() {
    let before = in_force();
    let mut closed = revision(2, &documents());
    closed.loaded.closed = 3;
    let by = |engine| decide(engine, &baseline(&before), None, closed.clone());
    let strict = EngineContext {
        recipients: vec![Recipient("age1other".to_owned())],
        ..EngineContext::default()
    };
    assert_eq!(rules(by(Some(&strict))), ["no-identity"]);
    assert!(by(None).is_ok());
}

#[test]
fn altered_records_are_restored_from_the_commit_in_force_and_from_no_other() {
    let before = in_force();
    let mut altered = before.clone();
    let alice = "alice".parse().unwrap();
    altered
        .objects
        .users
        .alter(&alice, |user| user.disabled = true);
    let restore =
        |number| decide_restore(&altered, &NOBODY, revision(number, &documents()), t(NOW));
    let admitted = restore(1).unwrap();
    assert_eq!(admitted.target.parent(), Generation(1));
    assert_eq!(
        admitted.target.objects().users.len(),
        before.objects.users.len()
    );
    assert_eq!(admitted.plan.changes.len(), 1);
    assert_eq!(rules(restore(2)), ["not-in-force"]);
    let nothing = decide_restore(
        &InForce::default(),
        &NOBODY,
        revision(1, &documents()),
        t(NOW),
    );
    assert_eq!(rules(nothing), ["not-in-force"]);
}

#[test]
fn nothing_is_restored_from_a_commit_whose_values_stay_closed() {
    let before = in_force();
    let mut closed = revision(1, &documents());
    closed.loaded.closed = 3;
    assert_eq!(
        rules(decide_restore(&before, &NOBODY, closed, t(NOW))),
        ["no-identity"]
    );
}

#[test]
fn a_commit_cannot_remove_the_last_admin_who_can_log_in_unless_the_api_created_another() {
    let before = in_force();
    let name = |text: &str| -> banyan_core::Name { text.parse().unwrap() };
    let credential = Credential {
        hash: SecretText::new("$2b$12$x".into()),
        set: t(NOW),
    };
    let with_password = |text: &str| Account {
        password: Some(credential.clone()),
        ..Account::new(name(text))
    };
    let alice = &before.objects.users[&name("alice")];
    let mut people = People::default();
    let account = with_password("alice").into();
    people.accounts.insert(alice.spec.id(), account);
    let mut repo = documents();
    // Bob is also an admin in git, but cannot log in.
    Arc::make_mut(&mut repo.users[0]).spec.disabled = Some(At::new(true, pos(4)));
    let judged = |people: &People| {
        let baseline = Baseline {
            people,
            ..baseline(&before)
        };
        rules(decide(
            Some(&engine()),
            &baseline,
            None,
            revision(2, &repo.clone()),
        ))
    };
    assert_eq!(judged(&people), ["guard-last-admin"]);
    let mut root = Record::clone(alice);
    root.spec.name = name("root");
    root.spec.made = None;
    root.origin = Origin::Api;
    let id = root.spec.id();
    people.users.insert(name("root"), root.into());
    assert_eq!(
        judged(&people),
        ["guard-last-admin"],
        "root has no password yet"
    );
    people.accounts.insert(id, with_password("root").into());
    assert!(judged(&people).is_empty());
}
