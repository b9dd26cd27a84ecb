//! The system's randomness: ids and key seeds.

use std::fmt::Write as _;

use zeroize::Zeroizing;

/// The secret half of an Ed25519 key (RFC 8032); wiped when dropped.
pub type Seed = Zeroizing<[u8; 32]>;

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes (getrandom(2))")]
pub struct RandomError(#[source] getrandom::Error);

/// 128 random bits as 32 lower-case hex digits: for ids of users, sessions, tokens and keys.
///
/// # Errors
/// When the system has no randomness to give.
pub fn random_id() -> Result<String, RandomError> {
    Ok(hex(random::<16>()?.as_slice()))
}

/// A new signing key's seed.
///
/// # Errors
/// When the system has no randomness to give.
pub fn new_seed() -> Result<Seed, RandomError> {
    random()
}

pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, RandomError> {
    let mut bytes = Zeroizing::new([0_u8; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(RandomError)?;
    Ok(bytes)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_32_lower_case_hex_digits_and_never_the_same() {
        let (one, other) = (random_id().unwrap(), random_id().unwrap());
        assert_ne!(one, other);
        for id in [one, other] {
            assert_eq!(id.len(), 32);
            assert!(
                id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
                "{id}"
            );
        }
    }

    #[test]
    fn seeds_are_never_the_same() {
        assert_ne!(*new_seed().unwrap(), *new_seed().unwrap());
        assert_eq!(hex(&[0, 0x0f, 0xa0, 0xff]), "000fa0ff");
    }
}
