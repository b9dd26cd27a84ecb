//! Passwords: their form, limits and hashes.

use std::fmt;

use banyan_core::SecretText;
pub use bcrypt::BcryptError;
use bcrypt::Version;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// The longest password, in bytes of UTF-8. bcrypt uses 72 bytes, the last of which is the closing NUL, and ignores
/// the rest; so a longer password is refused rather than truncated.
pub const MAX_PASSWORD_BYTES: usize = 71;

/// The shortest new password, in characters (Unicode scalar values).
pub const MIN_PASSWORD_CHARS: usize = 12;

/// A password that bcrypt takes whole: not empty, no NUL, at most [`MAX_PASSWORD_BYTES`]. Wiped when dropped, never shown.
///
/// Keyboards and systems encode the same letters differently (`é` as one code point or as two). A password is therefore
/// normalized as RFC 8265's `OpaqueString` (§4.2.1): every space is U+0020, and the text is in Unicode's form C. The limits
/// count what results.
pub struct Password {
    text: Zeroizing<String>,
    /// As typed, if that differs: a hash that was not made here may be of this form.
    typed: Option<Zeroizing<String>>,
}

impl Password {
    /// A password as typed to log in.
    ///
    /// # Errors
    /// It cannot be a password.
    pub fn entered(text: impl Into<Zeroizing<String>>) -> Result<Self, PasswordError> {
        let typed = text.into();
        if typed.is_empty() {
            return Err(PasswordError::Empty);
        }
        if typed.contains('\0') {
            return Err(PasswordError::Nul);
        }
        // Form C is at most three times as long as other forms of the same text: what is longer is refused unread.
        if typed.len() > 4 * MAX_PASSWORD_BYTES {
            return Err(PasswordError::TooLong { bytes: typed.len() });
        }
        let text = normal(&typed);
        if text.len() > MAX_PASSWORD_BYTES {
            return Err(PasswordError::TooLong { bytes: text.len() });
        }
        let typed =
            Some(typed).filter(|typed| **typed != *text && typed.len() <= MAX_PASSWORD_BYTES);
        Ok(Self { text, typed })
    }

    /// A new password: at least [`MIN_PASSWORD_CHARS`] characters of any kind.
    ///
    /// # Errors
    /// It is too short, or cannot be a password.
    pub fn chosen(text: impl Into<Zeroizing<String>>) -> Result<Self, PasswordError> {
        let password = Self::entered(text)?;
        let chars = password.text.chars().count();
        if chars < MIN_PASSWORD_CHARS {
            return Err(PasswordError::TooShort { chars });
        }
        Ok(password)
    }

    /// Hashes it. Takes about a fifth of a second of one core at the standard cost.
    ///
    /// # Errors
    /// bcrypt failed.
    pub fn hash(&self, cost: Cost, salt: [u8; 16]) -> Result<SecretText, BcryptError> {
        let parts = bcrypt::non_truncating_hash_with_salt(self.text.as_bytes(), cost.0, salt)?;
        Ok(SecretText::new(parts.format_for_version(Version::TwoB)))
    }

    /// Whether it is the password that was hashed. Takes as long as hashing, or twice as long if the password is not
    /// typed in its normal form: then both forms are tried, whatever the hash.
    ///
    /// # Errors
    /// bcrypt failed; the hash did not pass [`banyan_core::people::check_hash`].
    pub fn matches(&self, hash: &SecretText) -> Result<bool, BcryptError> {
        let matches = |text: &str| bcrypt::non_truncating_verify(text.as_bytes(), hash.expose());
        match &self.typed {
            Some(typed) => Ok(matches(&self.text)? | matches(typed)?),
            None => matches(&self.text),
        }
    }
}

/// The normal form (RFC 8265 §4.2.1: additional mapping, then normalization). Of its final size at once: growing would leave
/// copies behind.
fn normal(typed: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(4 * typed.len()));
    let spaces = typed.chars().map(|c| if is_space(c) { ' ' } else { c });
    text.extend(spaces.nfc());
    text
}

/// Unicode's space separators (category Zs).
fn is_space(c: char) -> bool {
    matches!(
        c,
        ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Why a text is not a password. States the limit, never the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It is empty.
    #[error("the password is empty")]
    Empty,
    /// A NUL ends a password for bcrypt.
    #[error("the password contains a NUL character, which bcrypt cannot take")]
    Nul,
    /// Longer than bcrypt can use.
    #[error(
        "the password is {bytes} bytes long and bcrypt takes at most {MAX_PASSWORD_BYTES}: use a shorter one \
         (letters outside of ASCII take 2 to 4 bytes each)"
    )]
    TooLong {
        /// Its length in UTF-8.
        bytes: usize,
    },
    /// Fewer characters than a new password must have.
    #[error("the password has {chars} characters and needs at least {MIN_PASSWORD_CHARS}")]
    TooShort {
        /// Its length.
        chars: usize,
    },
}

/// bcrypt's cost: each step doubles the work. All hashes have the same cost, so that every login takes the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost(u32);

impl Cost {
    /// The cost of all password hashes, 12.
    pub const STANDARD: Self = Self(banyan_core::people::HASH_COST);

    /// bcrypt's lowest cost, for tests with many logins. A rule test keeps it out of shipped code.
    pub const LOWEST: Self = Self(4);

    /// The number, whose power of two is the count of rounds.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }

    /// A well-formed hash of this cost, to do the same work where there is nothing to compare with.
    #[must_use]
    pub fn dummy(self) -> SecretText {
        let salt_and_digest = "R9h.cIPz0gi.URNNX3kh2OPST9.PgBkqquzi.Ss7KIUgO2t0jWMUW";
        SecretText::new(format!("$2b${:02}${salt_and_digest}", self.0))
    }
}

#[cfg(test)]
mod tests {
    use banyan_core::people::{HashError, check_hash};
    use proptest::prelude::*;

    use super::*;

    const REAL: &str = "$2y$12$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u";

    fn entered(text: &str) -> Result<Password, PasswordError> {
        Password::entered(text.to_owned())
    }

    fn chosen(text: &str) -> Result<Password, PasswordError> {
        Password::chosen(text.to_owned())
    }

    fn check(text: &str) -> Result<(), HashError> {
        check_hash(text, Cost::STANDARD.number())
    }

    #[test]
    fn bcrypt_itself_takes_71_bytes_and_no_more() {
        let at = |bytes: usize| bcrypt::non_truncating_hash("x".repeat(bytes), Cost::LOWEST.0);
        assert!(at(MAX_PASSWORD_BYTES).is_ok());
        assert!(at(MAX_PASSWORD_BYTES + 1).is_err());
    }

    #[test]
    fn a_password_of_more_than_71_bytes_is_refused_with_that_reason() {
        assert!(entered(&"x".repeat(71)).is_ok());
        let error = entered(&"x".repeat(72)).unwrap_err();
        assert_eq!(error, PasswordError::TooLong { bytes: 72 });
        let said = error.to_string();
        assert!(
            said.contains("72 bytes") && said.contains("at most 71"),
            "{said}"
        );
        // Bytes count, not characters.
        assert!(entered(&"é".repeat(36)).is_err());
        assert!(entered(&"é".repeat(35)).is_ok());
    }

    #[test]
    fn a_password_is_the_same_however_it_is_typed() {
        let hash = |text: &str| entered(text).unwrap().hash(Cost::LOWEST, [7; 16]).unwrap();
        let matches =
            |typed: &str, hash: &SecretText| entered(typed).unwrap().matches(hash).unwrap();
        // One code point, two code points; a no-break space, an ideographic space.
        for (one, other) in [
            ("caf\u{e9} cr\u{e8}me", "cafe\u{301} cre\u{300}me"),
            ("a b", "a\u{a0}b"),
            ("a b", "a\u{3000}b"),
            ("\u{212b}ngstrom", "A\u{30a}ngstrom"),
            ("\u{1100}\u{1161}", "\u{ac00}"),
        ] {
            assert!(matches(other, &hash(one)), "{one:?} {other:?}");
            assert!(matches(one, &hash(other)), "{one:?} {other:?}");
        }
        // OpaqueString folds neither case, nor width, nor compatibility characters.
        for (one, other) in [("Abc", "abc"), ("ａ", "a"), ("ﬁ", "fi"), ("a  b", "a b")] {
            assert!(!matches(other, &hash(one)), "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_hash_of_another_program_that_did_not_normalize_still_matches_what_is_typed() {
        let typed = "cafe\u{301}";
        let parts = bcrypt::non_truncating_hash_with_salt(typed, Cost::LOWEST.0, [7; 16]).unwrap();
        let hash = SecretText::new(parts.to_string());
        assert!(entered(typed).unwrap().matches(&hash).unwrap());
        assert!(!entered("cafe").unwrap().matches(&hash).unwrap());
    }

    #[test]
    fn the_limits_count_what_is_hashed() {
        // 35 letters of three bytes each as typed, and of two bytes each in the normal form.
        assert!(entered(&"e\u{301}".repeat(35)).is_ok());
        assert_eq!(
            entered(&"e\u{301}".repeat(36)).unwrap_err(),
            PasswordError::TooLong { bytes: 72 }
        );
        assert_eq!(
            chosen(&"e\u{301}".repeat(11)).unwrap_err(),
            PasswordError::TooShort { chars: 11 }
        );
        assert!(entered(&"x".repeat(100_000)).is_err());
    }

    #[test]
    fn a_nul_is_refused_wherever_it_is() {
        for text in [
            "\0",
            "\0long enough for it",
            "long enough\0 for it",
            "long enough for it\0",
        ] {
            assert_eq!(entered(text).unwrap_err(), PasswordError::Nul);
            assert_eq!(chosen(text).unwrap_err(), PasswordError::Nul);
        }
    }

    #[test]
    fn a_chosen_password_has_at_least_12_characters_of_any_kind() {
        assert!(chosen("aaaaaaaaaaaa").is_ok());
        assert!(chosen("ééééééééüüüü").is_ok());
        assert_eq!(
            chosen("ééééééééüüü").unwrap_err(),
            PasswordError::TooShort { chars: 11 }
        );
        assert_eq!(chosen("").unwrap_err(), PasswordError::Empty);
    }

    #[test]
    fn a_short_password_can_still_be_entered() {
        assert!(entered("short").is_ok());
        assert_eq!(entered("").unwrap_err(), PasswordError::Empty);
    }

    #[test]
    fn neither_debug_nor_errors_show_the_password() {
        let text = format!("hunter2{}", "x".repeat(80));
        let error = entered(&text).unwrap_err();
        let shown = format!("{:?} {error:?} {error}", entered("hunter2").unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn hashes_of_the_three_prefixes_at_cost_12_pass() {
        for prefix in ["$2a$", "$2b$", "$2y$"] {
            assert_eq!(check(&REAL.replace("$2y$", prefix)), Ok(()));
        }
        assert_eq!(check(Cost::STANDARD.dummy().expose()), Ok(()));
        let lowest = Cost::LOWEST;
        assert_eq!(check_hash(lowest.dummy().expose(), lowest.number()), Ok(()));
    }

    #[test]
    fn a_hash_of_another_cost_is_refused() {
        for cost in ["04", "10", "11", "13", "31"] {
            let error = check(&REAL.replace("$12$", &format!("${cost}$"))).unwrap_err();
            assert!(matches!(error, HashError::Cost { cost: 12, .. }), "{error}");
        }
    }

    #[test]
    fn what_is_not_a_whole_bcrypt_hash_is_refused_without_being_shown() {
        let cases = [
            String::new(),
            "hunter2".to_owned(),
            REAL[..59].to_owned(),
            format!("{REAL}x"),
            format!(" {REAL}"),
            format!("{REAL}\n"),
            REAL.replace("$2y$", "$2x$"),
            REAL.replace("$2y$", "$2$0"),
            REAL.replace("$12$", "$+9$"),
            REAL.replace("$12$", "$1$2"),
            REAL.replace("Bc/", "Bc!"),
            REAL.replace("Bc/", "Bcé").chars().take(60).collect(),
            // Bits that no encoder sets, at the end of the salt and of the digest.
            REAL.replace("ZyO", "ZyP"),
            REAL.replace("VU3u", "VU3v"),
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        ];
        for text in cases {
            let error = check(&text).unwrap_err();
            assert_eq!(error, HashError::Malformed, "{text}");
            let said = error.to_string();
            assert!(text.is_empty() || !said.contains(&text), "{said}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_checks_panic(text in any::<String>(), tail in "[./A-Za-z0-9$é]{50,56}") {
            let _ = entered(&text);
            let _ = chosen(&text);
            let _ = check(&text);
            let _ = check(&format!("$2b$12${tail}"));
        }

        /// A commit may declare exactly the hashes that a login can use.
        #[test]
        fn the_check_takes_what_bcrypt_understands(
            version in "(2a|2b|2y|2x|2)", cost in "(04|12|9|31)", salt in "[./A-Za-z0-9]{21}[.Oeu/A]", digest in "[./A-Za-z0-9]{29,31}[.CGKu/B]",
        ) {
            let text = format!("${version}${cost}${salt}{digest}");
            let understood = text.parse::<bcrypt::HashParts>().is_ok_and(|parts| parts.get_cost() == 12);
            prop_assert_eq!(check(&text).is_ok(), understood && version != "2x" && cost == "12", "{}", text);
        }

        #[test]
        fn a_password_matches_its_own_hash_and_no_other(text in "[a-zé]{1,20}", salt in any::<[u8; 16]>()) {
            let hash = entered(&text).unwrap().hash(Cost::LOWEST, salt).unwrap();
            prop_assert_eq!(check_hash(hash.expose(), Cost::LOWEST.number()), Ok(()));
            prop_assert!(entered(&text).unwrap().matches(&hash).unwrap());
            let other = format!("{text}x");
            prop_assert!(!entered(&other).unwrap().matches(&hash).unwrap());
        }
    }
}
