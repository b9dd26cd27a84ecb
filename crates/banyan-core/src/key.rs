//! WireGuard public keys: X25519 points of 32 bytes, written in base64.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// A WireGuard public key that is usable for key exchange.
///
/// The text form is that of `wg pubkey`: 44 characters of padded base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

/// Why bytes or a text are not a usable [`PublicKey`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not canonical padded base64.
    #[error("not base64 in the form `wg pubkey` prints (44 characters, ending in '=')")]
    Base64,
    /// Base64 of a length other than 32 bytes.
    #[error("a key has 32 bytes, this one has {0}")]
    Length(usize),
    /// 32 zero bytes, which usually means a key that was never set or was wiped.
    #[error("the key is all zero")]
    Zero,
    /// A point of small order (RFC 7748 §6.1): a key exchange with it yields a predictable secret.
    #[error("the key is a low-order point, which is not usable for key exchange")]
    LowOrder,
}

impl PublicKey {
    /// A key from its 32 bytes.
    ///
    /// # Errors
    /// The all-zero key and points of small order are refused.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        if bytes == [0; 32] {
            return Err(KeyError::Zero);
        }
        if is_low_order(&bytes) {
            return Err(KeyError::LowOrder);
        }
        Ok(Self(bytes))
    }

    /// The raw 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = STANDARD.decode(text).map_err(|_| KeyError::Base64)?;
        let bytes: [u8; 32] = bytes
            .try_into()
            .map_err(|b: Vec<u8>| KeyError::Length(b.len()))?;
        Self::from_bytes(bytes)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// The u-coordinates of small order on Curve25519 and its twist, reduced modulo 2^255 - 19, and the
/// non-canonical ways (p and above) to write them. X25519 ignores the top bit, so it is masked first.
const LOW_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    first_byte(1),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef,
        0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f,
        0x11, 0x57,
    ],
    near_prime(0xec),
    near_prime(0xed),
    near_prime(0xee),
];

const fn first_byte(byte: u8) -> [u8; 32] {
    let mut point = [0; 32];
    point[0] = byte;
    point
}

const fn near_prime(lowest: u8) -> [u8; 32] {
    let mut point = [0xff; 32];
    point[0] = lowest;
    point[31] = 0x7f;
    point
}

fn is_low_order(bytes: &[u8; 32]) -> bool {
    let mut masked = *bytes;
    if let Some(top) = masked.last_mut() {
        *top &= 0x7f;
    }
    LOW_ORDER.contains(&masked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contributes(bytes: [u8; 32]) -> bool {
        let secret = x25519_dalek::StaticSecret::from([7; 32]);
        secret
            .diffie_hellman(&x25519_dalek::PublicKey::from(bytes))
            .was_contributory()
    }

    #[test]
    fn no_listed_point_is_usable_for_key_exchange() {
        for point in LOW_ORDER {
            assert!(!contributes(point), "{point:02x?}");
            let mut high_bit = point;
            high_bit[31] |= 0x80;
            assert!(!contributes(high_bit));
            assert!(PublicKey::from_bytes(high_bit).is_err());
        }
    }

    #[test]
    fn a_valid_key_round_trips_through_text() {
        let text = "y/xUY4hUb/bH2i5OVLMPtS3fdGcKQ3eaKTkBVqZqZEc=";
        let key: PublicKey = text.parse().unwrap();
        assert_eq!(key.to_string(), text);
        assert!(contributes(*key.as_bytes()));
    }

    #[test]
    fn a_wrong_key_says_what_is_wrong_with_it() {
        assert_eq!("x".parse::<PublicKey>(), Err(KeyError::Base64));
        assert_eq!("AAAA".parse::<PublicKey>(), Err(KeyError::Length(3)));
        let zero = STANDARD.encode([0; 32]);
        assert_eq!(zero.parse::<PublicKey>(), Err(KeyError::Zero));
        let one = STANDARD.encode(first_byte(1));
        assert_eq!(one.parse::<PublicKey>(), Err(KeyError::LowOrder));
    }
}
