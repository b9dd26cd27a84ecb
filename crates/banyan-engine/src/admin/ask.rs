//! Asking for a password at the terminal that the program was started on.
//!
//! The answer is read key by key with the terminal's own handling of keys switched off, so that Ctrl-C comes here and the
//! terminal is put right before it takes effect.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal as _, Read, Write as _};

use banyan_auth::Password;
use banyan_core::SecretText;
use rustix::process::Signal;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use crate::Failure;

/// The longest answer, in bytes.
const MAX_BYTES: usize = 4096;
const DOING: &str = "ask for the password";

/// Asks for a password that somebody wants, twice. `flags` answer it where there is no terminal.
pub(super) fn new_password(flags: &str) -> Result<SecretText, Failure> {
    let none = || Failure::setup(DOING, format!("there is no terminal; give {flags}"));
    if !io::stdin().is_terminal() {
        return Err(none());
    }
    let tty = OpenOptions::new().read(true).write(true).open("/dev/tty");
    let mut tty = tty.map_err(|_| none())?;
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::Interrupted => {
            Failure::setup(DOING, "there is no answer")
        }
        _ => Failure::setup(DOING, error),
    };
    let first = hidden(&mut tty, "password (at least 12 characters): ").map_err(failed)?;
    // What cannot be a password need not be typed twice.
    let fits = Password::chosen(Zeroizing::new(first.expose().to_owned()));
    fits.map_err(|error| Failure::setup("take the password", error))?;
    let again = hidden(&mut tty, "password again: ").map_err(failed)?;
    if first != again {
        return Err(Failure::setup(
            "take the password",
            "the two are not the same; begin again",
        ));
    }
    Ok(first)
}

fn hidden(tty: &mut File, question: &str) -> io::Result<SecretText> {
    tty.write_all(question.as_bytes())?;
    tty.flush()?;
    let silent = Silent::new(tty)?;
    let answer = read_keys(&mut &*tty);
    drop(silent);
    tty.write_all(b"\n")?;
    match answer? {
        Answer::Text(bytes) => match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(SecretText::new(text.to_owned())),
            Err(_) => Err(io::Error::new(ErrorKind::InvalidData, "it is not UTF-8")),
        },
        Answer::Signal(signal) => {
            // To all that the terminal would have sent it to; usually this ends the program.
            rustix::process::kill_current_process_group(signal)?;
            Err(ErrorKind::Interrupted.into())
        }
        Answer::End => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// A terminal that shows nothing of what is typed; dropping it puts that right.
struct Silent {
    tty: File,
    before: Termios,
}

impl Silent {
    fn new(tty: &File) -> io::Result<Self> {
        let before = tcgetattr(tty)?;
        let mut silent = before.clone();
        let off = LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
        silent.local_modes.remove(off);
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        let tty = tty.try_clone()?;
        tcsetattr(&tty, OptionalActions::Now, &silent)?;
        Ok(Self { tty, before })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(&self.tty, OptionalActions::Now, &self.before);
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Text(Zeroizing<Vec<u8>>),
    Signal(Signal),
    End,
}

/// Reads keys up to the end of the line, as a terminal would.
pub(super) fn read_keys(from: &mut impl Read) -> io::Result<Answer> {
    // Room for all of it at once: growing would leave copies behind.
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
    while let Some(key) = read_byte(from)? {
        match key {
            b'\n' | b'\r' => return Ok(Answer::Text(line)),
            0x03 => return Ok(Answer::Signal(Signal::INT)),
            0x1c => return Ok(Answer::Signal(Signal::QUIT)),
            0x04 if line.is_empty() => return Ok(Answer::End),
            // Backspace takes the last character, Ctrl-U all.
            0x08 | 0x7f => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            0x15 => line.clear(),
            // Other control keys write nothing.
            key if key.is_ascii_control() && key != b'\t' => {}
            _ if line.len() == MAX_BYTES => {
                let why = format!("it has more than {MAX_BYTES} bytes");
                return Err(io::Error::new(ErrorKind::InvalidData, why));
            }
            key => line.push(key),
        }
    }
    Ok(Answer::End)
}

fn read_byte(from: &mut impl Read) -> io::Result<Option<u8>> {
    let mut byte = Zeroizing::new([0]);
    loop {
        match from.read(&mut *byte) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(byte.first().copied()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
