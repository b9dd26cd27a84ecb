//! A cache of verified tokens: the signature of the same text under the same keys does not change.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::keyring::Keyring;
use crate::token::{Claims, Kind, MAX_TOKEN_BYTES, Settings, TokenError};

/// A bounded cache of valid tokens, by digest: it stores no token. `exp` is checked here on every call, and session, user
/// and roles by the caller.
///
/// The entries are in two generations. A used entry moves to the younger one; when that holds half of the bound, it becomes
/// the older one, and the previous older one is evicted as a whole. So used entries stay, at constant cost.
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
    /// For this many tokens, at least two. Each takes the space of its claims, typically a few hundred bytes.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self {
            half: (bound / 2).max(1),
            generations: Mutex::default(),
        }
    }

    /// [`Keyring::verify`], without the check of the signature if the token is cached. A token that was valid under another
    /// keyring or other settings is verified again.
    ///
    /// # Errors
    /// As [`Keyring::verify`]; refused tokens are not cached.
    pub fn verify(
        &self,
        keyring: &Keyring,
        kind: Kind,
        token: &str,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Arc<Claims>, TokenError> {
        // Before the digest, whose cost grows with the token.
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
        // Freeing a whole generation takes a while, so it happens after the lock is released.
        let gone = self.lock().insert(self.half, digest, claims);
        drop(gone);
    }

    /// No step under the lock leaves the maps half changed, so a poisoned lock can be used.
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
    /// Adds an entry to the younger generation; returns a generation to drop.
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

/// A digest of everything but `now` that the result depends on.
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
