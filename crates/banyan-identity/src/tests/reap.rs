//! What is over, on plain data.

use banyan_core::people::Ended;

use super::*;
use crate::reap::{forgotten, next, orphans, over};

/// More than a test writes.
const LIMIT: usize = 100;

fn reasons(world: &World, at: Timestamp) -> Vec<String> {
    let (writes, over) = over(world.directory(), LIMIT, at);
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
    assert!(reasons(&world(), now()).is_empty());
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
        assert_eq!(reasons(&world, at), [said]);
        let (writes, _) = over(world.directory(), LIMIT, at);
        assert!(reasons(&world.after(writes), at).is_empty(), "{said}");
    }
    assert_eq!(reasons(&world(), late), ["mia: expired", "vera: expired"]);
}

#[test]
fn an_account_goes_with_its_user_and_no_other_does() {
    let world = world().with_password("vera");
    assert!(orphans(world.directory(), LIMIT).is_empty());
    let mut gone = world;
    gone.people.users.remove(&name("mia"));
    let writes = orphans(gone.directory(), LIMIT);
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
        ..Session::clone(&world.people.sessions[&sid])
    };
    world.people.sessions.insert(sid, session.into());
    let week = now() + (7 * 24).hours();
    let forget = |at| forgotten(world.directory(), LIMIT, at);
    assert!(forget(week - 1.second()).is_empty());
    assert_eq!(forget(week).len(), 1);
}

#[test]
fn it_wakes_when_something_expires() {
    let world = world().changed("mia", |user| user.expires = Some(now() + 5.minutes()));
    assert_eq!(next(world.directory(), now()), now() + 5.minutes());
    assert_eq!(
        next(world.directory(), now() + 5.minutes()),
        now() + 65.minutes(),
        "at most an hour"
    );
}
