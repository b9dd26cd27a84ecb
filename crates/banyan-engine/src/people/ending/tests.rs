//! What is over, on plain data.

use std::sync::Arc;

use banyan_core::people::{Ended, Session};
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
