//! The task over the strict in-memory store.

use std::sync::Arc;

use banyan_core::audit::Outcome;
use banyan_core::fixture::{commit, documents, lenient, pos, t};
use banyan_core::people::{EndReason, Id, RefreshToken, Session, Write};
use banyan_core::{At, Documents, Name, SessionId, admit, check};
use banyan_state::{Found, Term};
use banyan_store::{MemoryStore, Store as _};

use super::*;

fn now() -> Timestamp {
    t("2026-01-01T00:00:00Z")
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

#[test]
fn nothing_is_judged_while_it_is_not_known_what_is_in_force() {
    let writes = |view: &View| judged(view, |_| (Vec::new(), true)).1;
    let mut view = View::default();
    assert!(!writes(&view), "nothing is in force");
    let checked = check(&documents(), Vec::new(), now()).unwrap();
    let target = admit(&view.in_force, &checked, &commit(1), &lenient(now())).unwrap();
    view.in_force = Arc::new(banyan_core::InForce {
        applied: Some(target.applied().clone()),
        objects: target.objects().clone(),
    });
    assert!(writes(&view));
    view.suspect = true;
    assert!(!writes(&view), "the records are suspect");
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
    let sid: SessionId = Id::from_bytes([51; 16]);
    let vera = state
        .view()
        .directory()
        .find(&name("vera"))
        .unwrap()
        .record
        .spec
        .id();
    let far = Session {
        user: vera,
        name: name("vera"),
        epoch: 0,
        created: now(),
        current: RefreshToken {
            id: Id::from_bytes([51; 16]),
            key: None,
            issued: now(),
            expires: Timestamp::MAX,
        },
        previous: None,
        via: "192.0.2.1".to_owned(),
        ended: None,
    };
    let write = Write::Session(sid.clone(), Some(far));
    let begin = |_: &View| Ok::<_, Infallible>((vec![write.clone()], ()));
    state.change(Scope::Own, begin).await.unwrap();

    let metrics = Arc::new(crate::ops::metrics::Metrics::new());
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
