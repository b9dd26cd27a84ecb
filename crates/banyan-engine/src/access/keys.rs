//! The keys that sign and verify tokens, from the live view.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use banyan_core::KeyId;
use banyan_core::people::{SigningKey, signing_key_at};
use banyan_identity::{Keyring, Seed};
use jiff::Timestamp;

type Known = BTreeMap<KeyId, Arc<SigningKey>>;

/// Builds a keyring from the view's keys, and caches it while they stay the same.
pub(crate) struct KeyringCache {
    /// The keyring of a configured secret, which replaces the view's keys.
    shared: Option<Keyring>,
    kept: ArcSwapOption<CachedKeyring>,
}

struct CachedKeyring {
    known: Known,
    accepted: Vec<KeyId>,
    signing: KeyId,
    keyring: Keyring,
}

impl KeyringCache {
    /// With the configured secret, or with the keys of the view.
    pub(crate) fn new(shared: Option<Keyring>) -> Self {
        Self {
            shared,
            kept: ArcSwapOption::empty(),
        }
    }

    /// Whether a configured secret signs.
    pub(crate) fn are_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// The keyring at `now`; `None` while there is no key.
    pub(crate) fn at(&self, known: &Known, now: Timestamp) -> Option<Keyring> {
        if let Some(shared) = &self.shared {
            return Some(shared.clone());
        }
        let (signing, _) = signing_key_at(known, now)?;
        if let Some(kept) = &*self.kept.load()
            && kept.is_of(known, signing, now)
        {
            return Some(kept.keyring.clone());
        }
        let kept = CachedKeyring::make(known, signing, now)?;
        let keyring = kept.keyring.clone();
        self.kept.store(Some(Arc::new(kept)));
        Some(keyring)
    }
}

impl CachedKeyring {
    fn is_of(&self, known: &Known, signing: &KeyId, now: Timestamp) -> bool {
        let same = known.len() == self.known.len()
            && (known.iter().zip(&self.known))
                .all(|((one, a), (two, b))| one == two && Arc::ptr_eq(a, b));
        let accepted = known.iter().filter(|(_, key)| key.is_accepted(now));
        same && *signing == self.signing && accepted.map(|(id, _)| id).eq(&self.accepted)
    }

    fn make(known: &Known, signing: &KeyId, now: Timestamp) -> Option<Self> {
        let accepted = known.iter().filter(|(_, key)| key.is_accepted(now));
        let seeds = accepted.clone().filter_map(|(id, key)| {
            let seed = seed(key);
            if seed.is_none() {
                tracing::warn!(key = %id, "a signing key in the store cannot be read and is not used");
            }
            Some((id.to_string(), seed?))
        });
        match Keyring::ed25519(seeds, signing.as_str()) {
            Ok(keyring) => Some(Self {
                known: known.clone(),
                accepted: accepted.map(|(id, _)| id.clone()).collect(),
                signing: signing.clone(),
                keyring,
            }),
            Err(error) => {
                tracing::error!(
                    error = crate::report(&error),
                    "the signing keys cannot be used"
                );
                None
            }
        }
    }
}

/// The private key, from its hexadecimal digits.
fn seed(key: &SigningKey) -> Option<Seed> {
    let text = key.seed.expose().as_bytes();
    if text.len() != 64 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut seed = Seed::new([0; 32]);
    for (byte, pair) in seed.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?;
    }
    Some(seed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use banyan_core::SecretText;
    use banyan_core::people::Id;
    use jiff::SignedDuration;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    fn key(byte: u8, from: i64, until: Option<i64>) -> (KeyId, Arc<SigningKey>) {
        let key = SigningKey {
            seed: SecretText::new(format!("{byte:02x}").repeat(32)),
            made: at(0),
            signs_from: at(from),
            accepted_until: until.map(at),
        };
        (Id::from_bytes([byte; 16]), Arc::new(key))
    }

    #[test]
    fn the_keyring_follows_the_keys_and_the_time() {
        let keys = KeyringCache::new(None);
        assert!(keys.at(&Known::new(), at(0)).is_none());
        let known: Known = [key(1, 0, Some(100)), key(2, 50, None)].into();
        let signs = |now| {
            keys.at(&known, at(now))
                .unwrap()
                .signing_kid()
                .unwrap()
                .to_owned()
        };
        let [one, two] = [1, 2].map(|byte| Id::<()>::from_bytes([byte; 16]).to_string());
        assert_eq!(
            [signs(0), signs(49), signs(50)],
            [one.clone(), one.clone(), two]
        );
        assert!(keys.at(&known, at(99)).unwrap().jwks().contains(&one));
        assert!(!keys.at(&known, at(100)).unwrap().jwks().contains(&one));
    }

    #[test]
    fn a_key_that_cannot_be_read_does_not_take_the_others_with_it() {
        let keys = KeyringCache::new(None);
        let (id, broken) = key(3, -10, None);
        let broken = SigningKey {
            seed: SecretText::new("zz".repeat(32)),
            ..(*broken).clone()
        };
        let known: Known = [key(1, 0, None), (id, broken.into())].into();
        assert!(keys.at(&known, at(1)).is_some());
    }
}
