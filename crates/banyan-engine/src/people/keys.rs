//! The keys that tokens are signed with: the first one, the next one, and the end of all of them.

use std::fmt::Write as _;

use banyan_core::people::{EndReason, SigningKey};
use banyan_core::{KeyId, Name, SecretText};
use banyan_identity::{RandomError, Seed};
use banyan_state::{ChangeError, Scope, State, View, Write};
use jiff::{SignedDuration, Timestamp};

use super::{ChangeRefused, Decision, DecisionContext};
use crate::access::Caller;

/// How long a new key is published before it signs: twice as long as whoever checks tokens may keep the keys.
const PUBLISHED: SignedDuration = SignedDuration::from_mins(10);
/// By how much longer than its last token a key is accepted, because the engines' clocks differ.
const MARGIN: SignedDuration = SignedDuration::from_mins(1);
/// How long a key that nobody accepts any more stays in the store.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// A key that nobody has yet.
#[derive(Debug, Clone)]
pub(crate) struct NewKey {
    pub(crate) id: KeyId,
    pub(crate) seed: SecretText,
}

impl NewKey {
    /// A random one.
    pub(crate) fn random() -> Result<Self, RandomError> {
        let id = super::random_id()?;
        let seed = seed_text(&banyan_identity::new_seed()?);
        Ok(Self { id, seed })
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

fn seed_text(seed: &Seed) -> SecretText {
    // Room for all of it at once: growing would leave copies behind.
    let mut text = String::with_capacity(2 * seed.len());
    for byte in seed.iter() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    SecretText::new(text)
}

/// Makes the first key where there is none. Gives whether it was made.
pub(crate) fn first(view: &View, key: &NewKey, now: Timestamp) -> Decision<bool> {
    let mut keys = view.people.signing_keys.values();
    if keys.any(|key| key.accepted_until.is_none()) {
        return Ok((Vec::new(), false));
    }
    Ok((vec![key.write(now, now)], true))
}

/// Sees to it that there is a key to sign with. Any engine may; of two at once, one makes it.
///
/// # Errors
/// The store failed, or the system gives no random bytes.
pub(crate) async fn ensure(state: &State, now: Timestamp) -> Result<bool, KeyError> {
    if !first(&state.view(), &NewKey::none(), now)?.1 {
        return Ok(false);
    }
    let key = NewKey::random()?;
    let made = state.change(Scope::Powers, |view| first(view, &key, now));
    Ok(made.await?)
}

impl NewKey {
    /// Stands for a key where only whether one is needed is asked.
    fn none() -> Self {
        Self {
            id: KeyId::from_bytes([0; 16]),
            seed: SecretText::new(String::new()),
        }
    }
}

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error(transparent)]
    Chance(#[from] RandomError),
    #[error(transparent)]
    Refused(#[from] ChangeRefused),
    #[error("the signing keys could not be changed")]
    Change(#[from] ChangeError<ChangeRefused>),
}

impl DecisionContext<'_> {
    /// Makes the next key. It signs once everybody has had time to fetch it; the others are accepted until their last
    /// token has expired.
    pub(crate) fn rotate(&self, key: &NewKey, refresh_expiry: SignedDuration) -> Decision<()> {
        let keys = &self.view.people.signing_keys;
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

    /// Lets a new key sign at once and accepts no other any more.
    pub(crate) fn replace(&self, key: &NewKey) -> Decision<()> {
        let others = self
            .view
            .people
            .signing_keys
            .keys()
            .filter(|id| **id != key.id);
        let gone = others.map(|id| Write::SigningKey(id.clone(), None));
        let mut writes = vec![key.write(self.now, self.now)];
        writes.extend(gone.take(State::MAX_WRITES - 1));
        Ok((writes, ()))
    }

    /// Ends the sessions of accounts that go on with other keys than this, as many as one change takes. Gives whose.
    pub(crate) fn end_others(&self, key: &NewKey) -> Decision<Vec<Name>> {
        let directory = self.directory();
        let mut people: Vec<_> = directory
            .live_sessions(self.now)
            .filter(|(_, session)| session.current.key.as_ref() != Some(&key.id))
            .filter_map(|(_, session)| directory.find_id(&session.user, &session.name))
            .collect();
        people.sort_by_key(|person| person.name());
        people.dedup_by_key(|person| person.name());
        people.truncate(State::MAX_WRITES);
        let end = |person| self.ending(person, EndReason::Keys);
        let writes = people
            .iter()
            .map(|person| Write::Account(person.record.spec.id(), Some(end(person))));
        let names = people.iter().map(|person| person.name().clone());
        Ok((writes.collect(), names.collect()))
    }
}

/// Revokes all keys but a new one: every token dies with them, and the sessions end. Gives how many users that concerns.
///
/// # Errors
/// The store failed. Once the keys are gone, no token of theirs is accepted, whatever comes after.
pub(crate) async fn revoke(
    state: &State,
    by: &Caller,
    key: &NewKey,
    now: Timestamp,
) -> Result<usize, ChangeError<ChangeRefused>> {
    let others = |view: &View| view.people.signing_keys.keys().any(|id| *id != key.id);
    // As many rounds as keys take; the first one makes the new key in any case.
    loop {
        state
            .change(Scope::Powers, |view| {
                DecisionContext { view, by, now }.replace(key)
            })
            .await?;
        if !others(&state.view()) {
            break;
        }
    }
    let mut ended = 0_usize;
    loop {
        let names = state
            .change(Scope::Powers, |view| {
                DecisionContext { view, by, now }.end_others(key)
            })
            .await?;
        if names.is_empty() {
            return Ok(ended);
        }
        ended = ended.saturating_add(names.len());
    }
}

/// The keys that nobody accepts any more, to be removed.
pub(super) fn expired(view: &View, now: Timestamp) -> impl Iterator<Item = Write> + '_ {
    let keys = view.people.signing_keys.iter();
    let over = keys.filter(move |(_, key)| {
        let until = key.accepted_until;
        until.is_some_and(|until| later(until, KEPT) <= now)
    });
    over.map(|(id, _)| Write::SigningKey(id.clone(), None))
}

/// When the next key is to be removed.
pub(super) fn next_expiry(view: &View) -> Option<Timestamp> {
    let keys = view.people.signing_keys.values();
    keys.filter_map(|key| Some(later(key.accepted_until?, KEPT)))
        .min()
}

pub(super) fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
