//! The system's randomness: ids, keys, codes, salts, and what spreads retries.

use banyan_core::people::Id;
use banyan_identity::{Code, NewKey};
use zeroize::Zeroizing;

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes (getrandom(2))")]
pub(crate) struct RandomError(#[source] getrandom::Error);

/// A fresh id, of 128 random bits.
///
/// # Errors
/// The system gives no random bytes.
pub(crate) fn id<K>() -> Result<Id<K>, RandomError> {
    Ok(Id::from_bytes(*bytes()?))
}

/// A fresh signing key.
///
/// # Errors
/// The system gives no random bytes.
pub(crate) fn signing_key() -> Result<NewKey, RandomError> {
    Ok(NewKey::new(id()?, &bytes()?))
}

/// A fresh one-time code.
///
/// # Errors
/// The system gives no random bytes.
pub(crate) fn code() -> Result<Code, RandomError> {
    bytes().map(Code::from_bytes)
}

/// Random bytes, wiped when dropped.
///
/// # Errors
/// The system gives no random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, RandomError> {
    let mut bytes = Zeroizing::new([0_u8; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(RandomError)?;
    Ok(bytes)
}

/// A number from 0 to 1 that spreads retries and passes. If the system gives no randomness, nothing is spread, which is
/// no reason to stop.
pub(crate) fn jitter() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_ids_keys_or_codes_are_the_same() {
        assert_ne!(id::<()>().unwrap(), id::<()>().unwrap());
        let seed = || signing_key().unwrap().seed.expose().to_owned();
        assert_ne!(seed(), seed());
        assert_ne!(code().unwrap().hash(), code().unwrap().hash());
    }
}
