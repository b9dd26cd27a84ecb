//! Values that must not stand on a command line: from a file or from standard input.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;

use banyan_core::SecretText;
use zeroize::Zeroizing;

use crate::error::Failure;

/// The longest value, in bytes: more can never be sealed.
const MAX_BYTES: usize = banyan_manifest::MAX_PAYLOAD_BYTES;

/// One value, without the white space around it. `path` is a file; `None` or `-` is standard input.
pub(crate) fn read(path: Option<&Path>) -> Result<SecretText, Failure> {
    match path.filter(|path| *path != Path::new("-")) {
        Some(path) => {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|e| cannot(&name).because(&e))?;
            take(file, &name)
        }
        None if io::stdin().is_terminal() => Err(Failure::usage(
            "the value is read from standard input",
        )
        .hint("pipe it in, for example `wg pubkey < private.key | banyan seal …`, or give a file")),
        None => take(io::stdin().lock(), "standard input"),
    }
}

fn take(from: impl Read, name: &str) -> Result<SecretText, Failure> {
    // Room for all of it at once: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
    from.take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| cannot(name).because(&e))?;
    if bytes.len() > MAX_BYTES {
        return Err(cannot(name).reason(format!("it has more than {MAX_BYTES} bytes")));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| cannot(name).reason("it is not UTF-8"))?;
    match text.trim() {
        "" => Err(cannot(name).reason("it is empty")),
        value => Ok(SecretText::new(value.to_owned())),
    }
}

/// The longest line with a password, in bytes: more than any engine takes.
const MAX_LINE: usize = 4096;

/// The first lines of standard input, each a password, as they are: white space may be part of one.
pub(crate) fn passwords<const N: usize>() -> Result<[SecretText; N], Failure> {
    if io::stdin().is_terminal() {
        return Err(
            Failure::usage("`--password-stdin` is for input that is piped in")
                .hint("leave it out to be asked"),
        );
    }
    lines(&mut io::stdin().lock())
}

fn lines<const N: usize>(from: &mut impl Read) -> Result<[SecretText; N], Failure> {
    let name = "standard input";
    let mut found = Vec::with_capacity(N);
    for number in 1..=N {
        let line = line(from).map_err(|e| cannot(name).because(&e))?;
        if line.is_empty() {
            return Err(cannot(name).reason(match N {
                1 => "it is empty".to_owned(),
                _ => format!("line {number} of {N} is empty or missing"),
            }));
        }
        let text =
            std::str::from_utf8(&line).map_err(|_| cannot(name).reason("it is not UTF-8"))?;
        found.push(SecretText::new(text.to_owned()));
    }
    found.try_into().map_err(|_| cannot(name))
}

/// A line without its end; what comes after it stays unread.
fn line(from: &mut impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE));
    let mut byte = Zeroizing::new([0]);
    while from.read(&mut *byte)? == 1 && *byte != *b"\n" {
        if line.len() == MAX_LINE {
            let why = format!("a line has more than {MAX_LINE} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        line.extend_from_slice(&*byte);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}

fn cannot(name: &str) -> Failure {
    Failure::refused(format!("cannot read the value from {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    fn two(text: &[u8]) -> Result<[String; 2], Exit> {
        let read = lines::<2>(&mut io::Cursor::new(text));
        read.map(|lines| lines.map(|line| line.expose().to_owned()))
            .map_err(|failure| failure.exit())
    }

    #[test]
    fn passwords_are_lines_with_their_white_space() {
        for text in [" a b \nc", " a b \nc\n", " a b \r\nc\r\nmore\n"] {
            assert_eq!(
                two(text.as_bytes()),
                Ok([" a b ".to_owned(), "c".to_owned()])
            );
        }
    }

    #[test]
    fn what_lacks_a_line_or_has_too_long_a_one_is_refused() {
        let long = [b'x'; MAX_LINE + 1];
        for text in [&b""[..], b"a", b"a\n", b"\nb\n", b"a\n\xff\n", &long] {
            assert_eq!(two(text), Err(Exit::Refused));
        }
    }
}
