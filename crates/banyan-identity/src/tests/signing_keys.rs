//! The keys that tokens are signed with.

use banyan_core::people::{SigningKey, signing_key_at};
use jiff::SignedDuration;

use super::*;
use crate::signing_keys::expired;

/// More than a test writes.
const LIMIT: usize = 100;
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

fn new_key(byte: u8) -> NewKey {
    NewKey {
        id: id(byte),
        seed: SecretText::new("00".repeat(32)),
    }
}

/// With the first key, made an hour ago.
fn world() -> World {
    let before = now() - 1.hour();
    let (writes, made) = first_key(&People::default(), &new_key(1), before);
    assert!(made);
    World::new().with("root", 9, &["admin"]).after(writes)
}

fn key(world: &World, byte: u8) -> &SigningKey {
    &world.people.signing_keys[&KeyId::from_bytes([byte; 16])]
}

fn signs(world: &World, at: Timestamp) -> KeyId {
    let (id, _) = signing_key_at(&world.people.signing_keys, at).unwrap();
    id.clone()
}

#[test]
fn a_first_key_is_made_once() {
    let world = world();
    let (writes, made) = first_key(&world.people, &new_key(2), now());
    assert!(writes.is_empty() && !made);
}

#[test]
fn the_next_key_signs_after_it_was_published_and_the_old_one_is_accepted_until_its_last_token() {
    let world = world();
    let (writes, ()) = world.by(&HOST).rotate(&new_key(2), WEEK).unwrap();
    let world = world.after(writes);
    let switch_at = now() + 10.minutes();
    assert_eq!(signs(&world, switch_at - 1.second()), id(1));
    assert_eq!(signs(&world, switch_at), id(2));
    let last = key(&world, 1).accepted_until.unwrap();
    assert!(last > switch_at + WEEK && last < switch_at + WEEK + SignedDuration::from_hours(1));
    assert_eq!(key(&world, 2).accepted_until, None);
    let again = world.by(&HOST).rotate(&new_key(3), WEEK);
    assert_eq!(again.map(drop), Err(ChangeRefused::KeyWaits(switch_at)));
    assert_eq!(expired(&world.people, last).count(), 0);
    assert_eq!(expired(&world.people, last + 1.hour()).count(), 1);
}

#[test]
fn revoking_leaves_the_new_key_alone_and_ends_the_sessions_of_the_others() {
    let world = world()
        .with("mia", 2, &["viewer"])
        .session("root", 50, Some(id(1)))
        .session("mia", 51, Some(id(1)))
        .session("vera", 52, Some(id(7)));
    let key = new_key(7);
    let (writes, ()) = world.by(&HOST).replace(&key, LIMIT).unwrap();
    let world = world.after(writes);
    assert_eq!(world.people.signing_keys.len(), 1);
    assert_eq!(signs(&world, now()), id(7));
    let (writes, ended) = world.by(&HOST).end_others(&key, LIMIT).unwrap();
    assert_eq!(ended, [name("mia"), name("root")]);
    let world = world.after(writes);
    assert_eq!(world.directory().live_sessions(now()).count(), 1);
    assert!(
        world
            .by(&HOST)
            .end_others(&key, LIMIT)
            .unwrap()
            .0
            .is_empty()
    );
}
