//! One-time enrolment codes: 128 random bits in a form that people can read out and type.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::hex::hex;

/// Crockford's base32 in lower case: no i, l, o, u.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 26 digits of 5 bits hold 130 bits, so the first digit is at most 7.
const LENGTH: usize = 26;
const GROUP: usize = 4;
/// Longer texts are refused unread: this is the digits with plenty of spaces.
const LONGEST: usize = 128;
/// Separates the hash from those of other purposes.
const DOMAIN: &[u8] = b"banyan enrolment code v1\0";

/// A code with which a user sets a password, once. Only its hash is stored. Wiped when dropped, never shown by
/// `Debug`.
#[derive(Clone)]
pub struct Code(Zeroizing<[u8; 16]>);

impl Code {
    /// The code with these bytes, which must be random.
    #[must_use]
    pub fn from_bytes(bytes: Zeroizing<[u8; 16]>) -> Self {
        Self(bytes)
    }

    /// Parses what was typed: case, spaces and dashes are ignored, O is 0, I and L are 1.
    ///
    /// # Errors
    /// Says what is wrong, without the text.
    pub fn read(text: &str) -> Result<Self, CodeError> {
        if text.len() > LONGEST {
            return Err(CodeError::Length);
        }
        let mut value = Zeroizing::new(0_u128);
        let mut digits = 0;
        for c in text.chars().filter(|c| *c != '-' && !c.is_whitespace()) {
            let digit = value_of(c).ok_or(CodeError::Character)?;
            digits += 1;
            let full = *value >> (128 - 5) != 0;
            if digits > LENGTH || full {
                return Err(CodeError::Length);
            }
            *value = (*value << 5) | u128::from(digit);
        }
        if digits != LENGTH {
            return Err(CodeError::Length);
        }
        Ok(Self(Zeroizing::new(value.to_be_bytes())))
    }

    /// The code as it is handed out: `xxxx-xxxx-xxxx-xxxx-xxxx-xxxx-xx`.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        let value = Zeroizing::new(u128::from_be_bytes(*self.0));
        // Of its final size at once: growing would leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(LENGTH + LENGTH / GROUP));
        for place in 0..LENGTH {
            if place > 0 && place % GROUP == 0 {
                text.push('-');
            }
            let digit = (*value >> (5 * (LENGTH - 1 - place))) & 31;
            let digit = usize::try_from(digit).ok().and_then(|at| DIGITS.get(at));
            text.extend(digit.map(|digit| char::from(*digit)));
        }
        text
    }

    /// What is stored: SHA-256 in hex. The code has 128 random bits, so nothing slower is needed.
    #[must_use]
    pub fn hash(&self) -> String {
        let digest = Sha256::new_with_prefix(DOMAIN).chain_update(*self.0);
        hex(&digest.finalize())
    }

    /// Whether this is the code with that hash, in constant time.
    #[must_use]
    pub fn matches(&self, hash: &str) -> bool {
        self.hash().as_bytes().ct_eq(hash.as_bytes()).into()
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}

fn value_of(c: char) -> Option<u8> {
    let c = match c.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        other => other,
    };
    let at = DIGITS.iter().position(|digit| char::from(*digit) == c)?;
    u8::try_from(at).ok()
}

/// Why a text is not an enrolment code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Too few or too many digits.
    #[error(
        "an enrolment code has 26 letters and digits, as in 1234-5678-9abc-defg-hjkm-npqr-st: copy it whole"
    )]
    Length,
    /// A character that no code contains.
    #[error("an enrolment code has letters and digits only, and no u: copy it as it was shown")]
    Character,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(bytes: [u8; 16]) -> Code {
        Code(Zeroizing::new(bytes))
    }

    #[test]
    fn the_form_is_26_digits_in_groups_of_four() {
        assert_eq!(*code([0; 16]).expose(), "0000-0000-0000-0000-0000-0000-00");
        assert_eq!(
            *code([255; 16]).expose(),
            "7zzz-zzzz-zzzz-zzzz-zzzz-zzzz-zz"
        );
        let mut one = [0; 16];
        one[15] = 32 + 31;
        assert_eq!(*code(one).expose(), "0000-0000-0000-0000-0000-0000-1z");
    }

    #[test]
    fn what_is_easily_mistaken_is_understood() {
        let typed = " OIl1-0000 0000\t0000-0000-0000-ZA\n";
        let meant = "0111-0000-0000-0000-0000-0000-za";
        assert_eq!(*Code::read(typed).unwrap().expose(), meant);
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let all = "7zzz-zzzz-zzzz-zzzz-zzzz-zzzz-zz";
        assert!(Code::read(all).is_ok());
        let long = format!("{}{all}", " ".repeat(LONGEST));
        let cases = [
            ("", CodeError::Length),
            ("----", CodeError::Length),
            ("7zzz-zzzz-zzzz-zzzz-zzzz-zzzz-z", CodeError::Length),
            ("7zzz-zzzz-zzzz-zzzz-zzzz-zzzz-zz0", CodeError::Length),
            ("0000-0000-0000-0000-0000-0000-000", CodeError::Length),
            ("8000-0000-0000-0000-0000-0000-00", CodeError::Length),
            (&long, CodeError::Length),
            ("7uzz-zzzz-zzzz-zzzz-zzzz-zzzz-zz", CodeError::Character),
            ("7ézz-zzzz-zzzz-zzzz-zzzz-zzzz-zz", CodeError::Character),
        ];
        for (text, error) in cases {
            assert_eq!(Code::read(text).unwrap_err(), error, "{text:?}");
        }
    }

    #[test]
    fn a_stored_hash_stays_good_in_later_versions() {
        insta::assert_snapshot!(code([7; 16]).hash());
    }

    #[test]
    fn debug_and_errors_do_not_show_the_code() {
        let code = code([255; 16]);
        assert!(!format!("{code:?}").contains("zzz"));
        assert!(!CodeError::Length.to_string().contains("7zzz"));
    }

    proptest! {
        #[test]
        fn a_code_reads_back_however_it_was_copied(bytes in any::<[u8; 16]>(), upper in any::<bool>(), dashes in any::<bool>()) {
            let made = code(bytes);
            let mut text = made.expose().to_string();
            if upper { text = text.to_uppercase(); }
            if !dashes { text = text.replace('-', ""); }
            let read = Code::read(&text).unwrap();
            prop_assert_eq!(*read.0, bytes);
            prop_assert!(read.matches(&made.hash()));
        }

        #[test]
        fn another_code_does_not_match(bytes in any::<[u8; 16]>(), bit in 0..128_usize) {
            let mut other = bytes;
            other[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!code(other).matches(&code(bytes).hash()));
            prop_assert!(!code(bytes).matches(""));
        }

        #[test]
        fn no_text_makes_reading_panic(text in any::<String>(), near in "[0-9a-zA-Z -]{20,40}") {
            let _ = Code::read(&text);
            let _ = Code::read(&near);
        }
    }
}
