//! Secrets from pipes and files. All buffers are wiped, and none grows: that would leave copies behind.

use std::io::{self, Read};

use banyan_core::SecretText;
use zeroize::Zeroizing;

/// The longest line with a password, in bytes: more than any engine accepts.
pub const MAX_LINE: usize = 4096;

/// Why a secret is not accepted. Its text is never quoted.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// More than the given number of bytes.
    #[error("it has more than {0} bytes")]
    TooLong(usize),
    /// A line has more than [`MAX_LINE`] bytes.
    #[error("a line has more than {} bytes", MAX_LINE)]
    LineTooLong,
    /// The bytes are not UTF-8.
    #[error("it is not UTF-8")]
    NotText,
    /// There is no input.
    #[error("it is empty")]
    Empty,
    /// One of several lines is empty or missing.
    #[error("line {number} of {of} is empty or missing")]
    NoLine {
        /// Which, from 1.
        number: usize,
        /// Of how many.
        of: usize,
    },
}

/// One value of at most `max` bytes, without surrounding white space; reads to the end.
///
/// # Errors
/// It cannot be read, or is empty, too long or not UTF-8.
pub fn secret_value(from: impl Read, max: usize) -> Result<SecretText, InputError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(max + 1));
    from.take(max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > max {
        return Err(InputError::TooLong(max));
    }
    match text(&bytes)?.trim() {
        "" => Err(InputError::Empty),
        value => Ok(SecretText::new(value.to_owned())),
    }
}

/// The first lines, each a password, unchanged: white space may be part of one. What follows stays unread.
///
/// # Errors
/// One of them cannot be read, or is empty, missing, too long or not UTF-8.
pub fn secret_lines<const N: usize>(from: &mut impl Read) -> Result<[SecretText; N], InputError> {
    let mut found = Vec::with_capacity(N);
    for number in 1..=N {
        let line = line(from)?;
        if line.is_empty() {
            return Err(match N {
                1 => InputError::Empty,
                of => InputError::NoLine { number, of },
            });
        }
        found.push(SecretText::new(text(&line)?.to_owned()));
    }
    found.try_into().map_err(|_| InputError::Empty)
}

/// A line without its line ending.
fn line(from: &mut impl Read) -> Result<Zeroizing<Vec<u8>>, InputError> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE));
    let mut byte = Zeroizing::new([0]);
    while from.read(&mut *byte)? == 1 && *byte != *b"\n" {
        if line.len() == MAX_LINE {
            return Err(InputError::LineTooLong);
        }
        line.extend_from_slice(&*byte);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}

fn text(bytes: &[u8]) -> Result<&str, InputError> {
    std::str::from_utf8(bytes).map_err(|_| InputError::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two(text: &[u8]) -> Option<[String; 2]> {
        let read = secret_lines::<2>(&mut io::Cursor::new(text));
        read.map(|lines| lines.map(|line| line.expose().to_owned()))
            .ok()
    }

    #[test]
    fn passwords_are_lines_with_their_white_space() {
        for text in [" a b \nc", " a b \nc\n", " a b \r\nc\r\nmore\n"] {
            assert_eq!(
                two(text.as_bytes()),
                Some([" a b ".to_owned(), "c".to_owned()])
            );
        }
    }

    #[test]
    fn a_missing_or_overlong_line_is_refused() {
        let long = [b'x'; MAX_LINE + 1];
        for text in [&b""[..], b"a", b"a\n", b"\nb\n", b"a\n\xff\n", &long] {
            assert_eq!(two(text), None);
        }
    }

    #[test]
    fn a_value_is_trimmed_and_bounded() {
        let read = |text: &[u8]| secret_value(text, 8).map(|value| value.expose().to_owned());
        assert_eq!(read(b" key \n").unwrap(), "key");
        assert!(matches!(read(b"123456789"), Err(InputError::TooLong(8))));
        assert!(matches!(read(b" \n"), Err(InputError::Empty)));
        assert!(matches!(read(b"\xff"), Err(InputError::NotText)));
    }
}
