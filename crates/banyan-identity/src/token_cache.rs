//! Tokens that were judged once already: the signature of the same text under the same keys does not change.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::keyring::Keyring;
use crate::token::{Claims, Kind, MAX_TOKEN_BYTES, Settings, TokenError};

/// A bounded memory of good tokens, by digest: it holds none itself. What counts is judged on every call: `exp` here,
/// and session, user and roles by the caller.
///
/// The entries are in two generations. One that is used moves to the younger; when that holds half of the bound, it
/// becomes the older, and the former older one goes as a whole. So what is used stays, at constant cost.
pub struct TokenCache {
    half: usize,
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: Generation,
    old: Generation,
}

type Generation = HashMap<[u8; 32], Arc<Claims>>;

impl TokenCache {
    /// Room for this many tokens, at least two. Each takes the room of its claims, some hundred bytes as a rule.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self {
            half: (bound / 2).max(1),
            generations: Mutex::default(),
        }
    }

    /// As [`Keyring::verify`], of which it spares the signature's check where it can. A token that was good under
    /// another keyring or other settings is judged anew.
    ///
    /// # Errors
    /// As [`Keyring::verify`]; what is refused is not remembered.
    pub fn verify(
        &self,
        keyring: &Keyring,
        kind: Kind,
        token: &str,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Arc<Claims>, TokenError> {
        // Before the digest, whose price grows with the token.
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Malformed);
        }
        let digest = digest(keyring, kind, token, settings);
        if let Some(claims) = self.recall(&digest) {
            claims.still_good(now)?;
            return Ok(claims);
        }
        let claims = Arc::new(keyring.verify(kind, token, settings, now)?);
        self.remember(digest, Arc::clone(&claims));
        Ok(claims)
    }

    fn recall(&self, digest: &[u8; 32]) -> Option<Arc<Claims>> {
        let mut generations = self.lock();
        if let Some(claims) = generations.young.get(digest) {
            return Some(Arc::clone(claims));
        }
        let claims = generations.old.remove(digest)?;
        let gone = generations.insert(self.half, *digest, Arc::clone(&claims));
        drop(generations);
        drop(gone);
        Some(claims)
    }

    fn remember(&self, digest: [u8; 32], claims: Arc<Claims>) {
        // Freeing a whole generation takes a while, so it happens after the lock is free again.
        let gone = self.lock().insert(self.half, digest, claims);
        drop(gone);
    }

    /// Nothing that happens under the lock leaves the maps half changed, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let generations = self.lock();
        generations.young.len() + generations.old.len()
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache")
            .field("bound", &(2 * self.half))
            .finish_non_exhaustive()
    }
}

impl Generations {
    /// Puts an entry among the young, and gives back a generation that is to go.
    fn insert(&mut self, half: usize, digest: [u8; 32], claims: Arc<Claims>) -> Option<Generation> {
        let full = self.young.len() >= half && !self.young.contains_key(&digest);
        let gone = full.then(|| {
            let young = std::mem::take(&mut self.young);
            std::mem::replace(&mut self.old, young)
        });
        self.young.insert(digest, claims);
        gone
    }
}

/// Of everything that the judgement depends on but `now`.
fn digest(keyring: &Keyring, kind: Kind, token: &str, settings: &Settings) -> [u8; 32] {
    let mut digest = Sha256::new_with_prefix(keyring.identity());
    for part in [kind.typ(), &settings.issuer, &settings.audience, token] {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests;
