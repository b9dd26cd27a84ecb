//! What is over, on plain data.

use std::sync::Arc;

use banyan_core::audit::Outcome;
use banyan_core::fixture::{commit, documents, lenient, pos};
use banyan_core::people::{Ended, Session};
use banyan_core::{At, Documents, admit, check};
use banyan_state::{Found, Term};
use banyan_store::{MemoryStore, Store as _};
use jiff::ToSpan as _;

use super::super::tests::{HOST, World, id, name, now};
use super::*;

fn reasons(view: &View, at: Timestamp) -> Vec<String> {
    let (writes, over) = over(view, at).unwrap();
    assert_eq!(writes.len(), over.len());
    over.iter()
        .map(|over| format!("{}: {}", over.user, over.because))
        .collect()
}

fn world() -> World {
    World::new()
        .with("root", 1, &["admin"])
        .with("mia", 2, &["viewer"])
        .session("mia", 50, None)
        .session("vera", 51, None)
}

#[test]
fn the_end_of_a_session_is_written_down_with_its_reason_and_once() {
    assert!(reasons(&world().view, now()).is_empty());
    let gone = world()
        .with("guest", 3, &["viewer"])
        .session("guest", 52, None);
    let (writes, _) = gone.by(&HOST).remove(&name("guest")).unwrap();
    let late = now() + 24.hours();
    let cases = [
        (gone.after(writes), now(), "guest: the user was removed"),
        (
            world().changed("mia", |user| user.disabled = true),
            now(),
            "mia: the user was disabled",
        ),
        (
            world().changed("mia", |user| user.expires = Some(now())),
            now(),
            "mia: expired",
        ),
        (world().locked("vera"), now(), "vera: the user was locked"),
    ];
    for (world, at, said) in cases {
        assert_eq!(reasons(&world.view, at), [said]);
        let (writes, _) = over(&world.view, at).unwrap();
        assert!(reasons(&world.after(writes).view, at).is_empty(), "{said}");
    }
    assert_eq!(
        reasons(&world().view, late),
        ["mia: expired", "vera: expired"]
    );
}

#[test]
fn nothing_is_judged_while_it_is_not_known_what_is_in_force() {
    let mut suspect = world().locked("vera");
    suspect.view.suspect = true;
    let mut nothing = world().locked("vera");
    Arc::make_mut(&mut nothing.view.in_force).applied = None;
    for world in [suspect, nothing] {
        assert!(reasons(&world.view, now()).is_empty());
        assert!(!orphans(&world.view).unwrap().1);
    }
}

#[test]
fn an_account_goes_with_its_user_and_no_other_does() {
    let world = world().with_password("vera");
    assert!(!orphans(&world.view).unwrap().1);
    let mut gone = world;
    gone.people().users.remove(&name("mia"));
    let (writes, any) = orphans(&gone.view).unwrap();
    assert!(any);
    assert!(matches!(&writes[..], [Write::Account(account, None)] if *account == id(2)));
}

#[test]
fn an_ended_session_is_remembered_for_a_week() {
    let mut world = world();
    let sid: SessionId = id(50);
    let session = Session {
        ended: Some(Ended {
            at: now(),
            because: EndReason::Logout,
        }),
        ..Session::clone(&world.view.people.sessions[&sid])
    };
    world.people().sessions.insert(sid, session.into());
    let week = now() + (7 * 24).hours();
    assert!(!forgotten(&world.view, week - 1.second()).unwrap().1);
    let (writes, any) = forgotten(&world.view, week).unwrap();
    assert!(any && writes.len() == 1);
}

#[test]
fn it_wakes_when_something_expires() {
    let world = world().changed("mia", |user| user.expires = Some(now() + 5.minutes()));
    assert_eq!(next(&world.view, now()), now() + 5.minutes());
    assert_eq!(
        next(&world.view, now() + 5.minutes()),
        now() + 65.minutes(),
        "at most an hour"
    );
}

async fn bring(state: &State, number: u8, repo: &Documents) {
    let checked = check(repo, Vec::new(), now()).unwrap();
    let view = state.view();
    let circumstances = banyan_core::AdmitContext {
        people: &view.people,
        made_of: None,
        ..lenient(now())
    };
    let target = admit(&view.in_force, &checked, &commit(number), &circumstances).unwrap();
    state.advance(&Term::alone(), &target, 0).await.unwrap();
}

async fn shows(state: &State, what: impl Fn(&View) -> bool) {
    let mut changes = state.changes();
    while !what(&state.view()) {
        changes.changed().await.unwrap();
    }
}

#[tokio::test]
async fn what_a_push_takes_from_users_ends_their_sessions_for_the_record_and_then_nothing_is_written()
 {
    let store = MemoryStore::new();
    let state = Arc::new(State::open(Arc::new(store.clone())).await.unwrap());
    let mut repo = documents();
    bring(&state, 1, &repo).await;
    let sid: SessionId = id(51);
    let mut world = World::new();
    world.view = View::clone(&state.view());
    let session = world.session("vera", 51, None);
    let session = Session::clone(&session.view.people.sessions[&sid]);
    let far = Session {
        current: banyan_core::people::RefreshToken {
            expires: Timestamp::MAX,
            ..session.current.clone()
        },
        ..session
    };
    let write = Write::Session(sid.clone(), Some(far));
    let begin = |_: &View| Ok::<_, ChangeRefused>((vec![write.clone()], ()));
    state.change(Scope::Own, begin).await.unwrap();

    let metrics = Arc::new(crate::metrics::Metrics::new());
    let log = || state.audit(name("north"));
    let (audit, writer) = Audit::new(log(), 1_000, metrics);
    let stop = CancellationToken::new();
    let writing = tokio::spawn(writer.run(stop.clone()));
    let (_role, role) = watch::channel(Leadership::Alone);
    let ending = SessionReaper {
        state: Arc::clone(&state),
        role,
        audit: audit.clone(),
    };
    let task = tokio::spawn(ending.run(stop.clone()));
    Arc::make_mut(&mut repo.users[2]).spec.disabled = Some(At::new(true, pos(4)));
    bring(&state, 2, &repo).await;
    shows(&state, |view| view.people.sessions[&sid].ended.is_some()).await;
    let ended = state.view().people.sessions[&sid].ended.clone().unwrap();
    assert_eq!(ended.because, EndReason::Disable);
    // Behind the entry of the end, so that it is written, too.
    let marker = AuditEntry::new(now(), Actor::Engine, Action::SESSION_END);
    audit.record_and_wait(marker.refused("x")).await.unwrap();
    let listed = log().list(None, 10).await.unwrap();
    let done = listed
        .into_iter()
        .filter_map(|recorded| match recorded.found {
            Found::Entry(entry) if entry.outcome == Outcome::Done => entry.detail,
            _ => None,
        });
    let done: Vec<String> = done.map(|detail| detail.to_string()).collect();
    assert_eq!(done, [format!("session {sid}: the user was disabled")]);
    let revision = || async { store.snapshot().await.unwrap().revision() };
    let quiet = revision().await;
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(7200)).await;
    assert_eq!(revision().await, quiet);
    stop.cancel();
    task.await.unwrap();
    writing.await.unwrap();
}
