//! WireGuard private keys: wiped on drop and never shown by accident.

use std::fmt;

use banyan_core::{KeyError, PublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

/// A WireGuard private key, clamped as `wg genkey` prints it.
#[derive(Clone)]
pub struct PrivateKey {
    bytes: Zeroizing<[u8; 32]>,
    public: PublicKey,
}

/// Why a text or bytes are not a [`PrivateKey`].
#[derive(Debug, thiserror::Error)]
pub enum PrivateKeyError {
    /// Not canonical padded base64. The text is not shown: it may be most of a key.
    #[error("not base64 in the form `wg genkey` prints (44 characters, ending in '=')")]
    Base64,
    /// Base64 of a length other than 32 bytes.
    #[error("a private key has 32 bytes, this one has {0}")]
    Length(usize),
    /// 32 zero bytes, which usually means a key that was never set or was wiped.
    #[error("the private key is all zero")]
    Zero,
    /// Its public key is not usable.
    #[error("the private key has no usable public key")]
    Public(#[source] KeyError),
    /// The system's random number generator failed.
    #[error("the system's random number generator failed")]
    Random(#[source] getrandom::Error),
}

impl PrivateKey {
    /// A new random key from the system's random number generator.
    ///
    /// # Errors
    /// If the generator fails.
    pub fn generate() -> Result<Self, PrivateKeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice()).map_err(PrivateKeyError::Random)?;
        Self::from_bytes(bytes)
    }

    /// Parses the output of `wg genkey`, without surrounding whitespace.
    ///
    /// # Errors
    /// If the text is not base64 of 32 bytes, or all bytes are zero.
    pub fn from_base64(text: &str) -> Result<Self, PrivateKeyError> {
        let mut decoded = Zeroizing::new([0; 64]);
        let length = match STANDARD.decode_slice(text, decoded.as_mut_slice()) {
            Ok(length) => length,
            Err(base64::DecodeSliceError::OutputSliceTooSmall) => {
                return Err(PrivateKeyError::Length(text.len() / 4 * 3));
            }
            Err(base64::DecodeSliceError::DecodeError(_)) => return Err(PrivateKeyError::Base64),
        };
        let (key, rest) = decoded.split_at(32);
        if length != 32 || rest.iter().any(|byte| *byte != 0) {
            return Err(PrivateKeyError::Length(length));
        }
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(key);
        Self::from_bytes(bytes)
    }

    fn from_bytes(mut bytes: Zeroizing<[u8; 32]>) -> Result<Self, PrivateKeyError> {
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(PrivateKeyError::Zero);
        }
        clamp(&mut bytes);
        let secret = StaticSecret::from(*bytes);
        let public = x25519_dalek::PublicKey::from(&secret);
        let public = PublicKey::from_bytes(public.to_bytes()).map_err(PrivateKeyError::Public)?;
        Ok(Self { bytes, public })
    }

    /// The key in the form that `wg genkey` prints.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.bytes.as_slice()))
    }

    /// The public key, as `wg pubkey` prints it.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.public
    }

    /// The raw 32 bytes; the name makes each use easy to find.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }
}

/// RFC 7748 §5. X25519 clamps every scalar anyway; doing it here makes both tools print the same text.
fn clamp(bytes: &mut [u8; 32]) {
    let [first, .., last] = bytes;
    *first &= 0b1111_1000;
    *last = (*last & 0b0111_1111) | 0b0100_0000;
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(of {})", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    fn wg(arguments: &[&str], input: &str) -> String {
        let mut child = Command::new("wg")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`wg` is missing: apt-get install wireguard-tools");
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn keys_are_those_of_the_stock_tools() {
        let ours = PrivateKey::generate().unwrap();
        assert_eq!(
            wg(&["pubkey"], &ours.to_base64()),
            ours.public_key().to_string()
        );

        let text = wg(&["genkey"], "");
        let theirs = PrivateKey::from_base64(&text).unwrap();
        assert_eq!(*theirs.to_base64(), text);
        assert_eq!(wg(&["pubkey"], &text), theirs.public_key().to_string());
    }

    #[test]
    fn two_generated_keys_differ() {
        let [one, two] = [(); 2].map(|()| PrivateKey::generate().unwrap());
        assert_ne!(one.expose(), two.expose());
    }

    #[test]
    fn debug_does_not_show_the_key() {
        let key = PrivateKey::generate().unwrap();
        let shown = format!("{key:?}");
        assert!(!shown.contains(key.to_base64().as_str()));
        assert!(!shown.contains(&format!("{:?}", key.expose())));
    }

    #[test]
    fn a_wrong_key_says_what_is_wrong_without_showing_it() {
        let error = |text: &str| PrivateKey::from_base64(text).unwrap_err().to_string();
        assert!(error("tHis is no key").starts_with("not base64"));
        assert!(!error("tHis is no key").contains("tHis"));
        assert_eq!(error("AAAA"), "a private key has 32 bytes, this one has 3");
        assert!(error(&STANDARD.encode([1; 33])).contains("33"));
        assert!(error(&STANDARD.encode([1; 300])).contains("300"));
        assert_eq!(
            error(&STANDARD.encode([0; 32])),
            "the private key is all zero"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_key_or_an_error(text in "\\PC{0,100}") {
            let _outcome = PrivateKey::from_base64(&text);
        }

        #[test]
        fn any_bytes_but_zero_are_a_key_that_survives_its_text(bytes: [u8; 32]) {
            prop_assume!(bytes != [0; 32]);
            let key = PrivateKey::from_base64(&STANDARD.encode(bytes)).unwrap();
            let again = PrivateKey::from_base64(&key.to_base64()).unwrap();
            prop_assert_eq!(key.expose(), again.expose());
            prop_assert_eq!(key.public_key(), again.public_key());
        }
    }
}
