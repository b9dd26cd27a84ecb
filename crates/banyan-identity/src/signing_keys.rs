//! Decisions about signing keys: the first one, rotation and revocation.

use banyan_core::people::{EndReason, People, SigningKey, Write};
use banyan_core::{KeyId, Name, SecretText};
use jiff::{SignedDuration, Timestamp};

use crate::context::{Decision, DecisionContext};
use crate::hex::hex;
use crate::keyring::Seed;
use crate::refused::ChangeRefused;

/// How long a new key is published before it signs: twice as long as verifiers may cache the keys.
const PUBLISHED: SignedDuration = SignedDuration::from_mins(10);
/// How much longer than its last token a key is accepted, because the engines' clocks differ.
const MARGIN: SignedDuration = SignedDuration::from_mins(1);
/// How long a key stays in the store after it stopped being accepted.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// A new key.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Its id.
    pub id: KeyId,
    /// The private key, in hexadecimal digits.
    pub seed: SecretText,
}

impl NewKey {
    /// A key of a fresh random id and seed.
    #[must_use]
    pub fn new(id: KeyId, seed: &Seed) -> Self {
        let seed = SecretText::new(hex(seed.as_slice()));
        Self { id, seed }
    }

    fn write(&self, now: Timestamp, signs_from: Timestamp) -> Write {
        let key = SigningKey {
            seed: self.seed.clone(),
            made: now,
            signs_from,
            accepted_until: None,
        };
        Write::SigningKey(self.id.clone(), Some(key))
    }
}

/// Whether a first key is needed.
#[must_use]
pub fn needs_key(people: &People) -> bool {
    let mut keys = people.signing_keys.values();
    !keys.any(|key| key.accepted_until.is_none())
}

/// Creates the first key if there is none. Returns whether it did.
#[must_use]
pub fn first_key(people: &People, key: &NewKey, now: Timestamp) -> (Vec<Write>, bool) {
    match needs_key(people) {
        true => (vec![key.write(now, now)], true),
        false => (Vec::new(), false),
    }
}

impl DecisionContext<'_> {
    /// Creates the next key. It signs once every verifier has had time to fetch it; the others are accepted until their
    /// last token has expired.
    ///
    /// # Errors
    /// The change is refused.
    pub fn rotate(&self, key: &NewKey, refresh_expiry: SignedDuration) -> Decision<()> {
        let keys = &self.directory.people.signing_keys;
        let newest = keys.values().map(|key| key.signs_from).max();
        if let Some(waits) = newest.filter(|from| *from > self.now) {
            return Err(ChangeRefused::KeyWaits(waits));
        }
        let signs_from = later(self.now, PUBLISHED);
        let until = later(later(signs_from, refresh_expiry), MARGIN);
        let mut writes = vec![key.write(self.now, signs_from)];
        let open = keys.iter().filter(|(_, key)| key.accepted_until.is_none());
        writes.extend(open.map(|(id, key)| {
            let key = SigningKey {
                accepted_until: Some(until),
                ..SigningKey::clone(key)
            };
            Write::SigningKey(id.clone(), Some(key))
        }));
        Ok((writes, ()))
    }

    /// Replaces all keys by a new one, which signs at once. At most `limit` writes.
    ///
    /// # Errors
    /// The change is refused.
    pub fn replace(&self, key: &NewKey, limit: usize) -> Decision<()> {
        let others = self
            .directory
            .people
            .signing_keys
            .keys()
            .filter(|id| **id != key.id);
        let gone = others.map(|id| Write::SigningKey(id.clone(), None));
        let mut writes = vec![key.write(self.now, self.now)];
        writes.extend(gone.take(limit.saturating_sub(1)));
        Ok((writes, ()))
    }

    /// Ends the sessions whose refresh tokens other keys signed, of at most `limit` users. Returns whose.
    ///
    /// # Errors
    /// The change is refused.
    pub fn end_others(&self, key: &NewKey, limit: usize) -> Decision<Vec<Name>> {
        let directory = self.directory;
        let mut people: Vec<_> = directory
            .live_sessions(self.now)
            .filter(|(_, session)| session.current.key.as_ref() != Some(&key.id))
            .filter_map(|(_, session)| directory.find_id(&session.user, &session.name))
            .collect();
        people.sort_by_key(|person| person.name());
        people.dedup_by_key(|person| person.name());
        people.truncate(limit);
        let end = |person| self.ending(person, EndReason::Keys);
        let writes = people
            .iter()
            .map(|person| Write::Account(person.record.spec.id(), Some(end(person))));
        let names = people.iter().map(|person| person.name().clone());
        Ok((writes.collect(), names.collect()))
    }
}

/// Removes the keys that are no longer accepted.
pub(crate) fn expired(people: &People, now: Timestamp) -> impl Iterator<Item = Write> + '_ {
    let keys = people.signing_keys.iter();
    let over = keys.filter(move |(_, key)| {
        let until = key.accepted_until;
        until.is_some_and(|until| later(until, KEPT) <= now)
    });
    over.map(|(id, _)| Write::SigningKey(id.clone(), None))
}

/// When the next key is due for removal.
pub(crate) fn next_expiry(people: &People) -> Option<Timestamp> {
    let keys = people.signing_keys.values();
    keys.filter_map(|key| Some(later(key.accepted_until?, KEPT)))
        .min()
}

pub(crate) fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
