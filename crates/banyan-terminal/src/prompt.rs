//! Prompts on the controlling terminal.
//!
//! Nothing is asked if standard input is not a terminal: then an option has to answer. Hidden answers are read key by key
//! with the terminal's own key handling switched off, so that Ctrl-C arrives here and the terminal is restored before it
//! takes effect.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};

use banyan_core::SecretText;
use rustix::process::Signal;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use crate::text::harmless;

/// The longest answer, in bytes.
const MAX_BYTES: usize = 4096;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// Standard input is not a terminal, or the program has none.
    #[error("there is no terminal")]
    NoTerminal,
    /// The user ended the input, or interrupted it.
    #[error("there is no answer")]
    NoAnswer,
    /// The two answers differ.
    #[error("the two are not the same")]
    Mismatch,
    /// The answer is not UTF-8.
    #[error("it is not UTF-8")]
    NotText,
    /// The terminal failed.
    #[error(transparent)]
    Terminal(io::Error),
}

impl From<io::Error> for PromptError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::Interrupted => Self::NoAnswer,
            _ => Self::Terminal(error),
        }
    }
}

/// The controlling terminal.
pub struct Prompt {
    tty: File,
}

impl Prompt {
    /// Opens the terminal.
    ///
    /// # Errors
    /// [`PromptError::NoTerminal`].
    pub fn open() -> Result<Self, PromptError> {
        if !io::stdin().is_terminal() {
            return Err(PromptError::NoTerminal);
        }
        let tty = OpenOptions::new().read(true).write(true).open("/dev/tty");
        tty.map(|tty| Self { tty })
            .map_err(|_| PromptError::NoTerminal)
    }

    /// Asks for a text, with echo.
    ///
    /// # Errors
    /// There is no answer.
    pub fn text(&self, question: &str) -> Result<String, PromptError> {
        self.show(&format!("{question}: "))?;
        let answer = read_line(&mut &self.tty)?;
        text_of(&answer).map(|text| text.trim().to_owned())
    }

    /// Asks for a text without echo.
    ///
    /// # Errors
    /// There is no answer.
    pub fn secret(&self, question: &str) -> Result<SecretText, PromptError> {
        let answer = self.hidden(&format!("{question}: "))?;
        text_of(&answer).map(|text| SecretText::new(text.to_owned()))
    }

    /// Asks for a yes; anything else is a no.
    #[must_use]
    pub fn yes(&self, question: &str) -> bool {
        let answer = self.text(&format!("{question} [y/N]"));
        answer.is_ok_and(|answer| matches!(answer.to_lowercase().as_str(), "y" | "yes"))
    }

    /// Asks for a text without echo, which must equal an earlier answer.
    ///
    /// # Errors
    /// There is no answer, or it differs.
    pub fn repeat(&self, question: &str, first: &SecretText) -> Result<(), PromptError> {
        let again = self.secret(&format!("{question} again"))?;
        match again == *first {
            true => Ok(()),
            false => Err(PromptError::Mismatch),
        }
    }

    fn show(&self, text: &str) -> io::Result<()> {
        (&self.tty).write_all(harmless(text).as_bytes())
    }

    fn hidden(&self, question: &str) -> io::Result<Zeroizing<Vec<u8>>> {
        // Before the question, so that an early answer is not echoed.
        let hidden = Hidden::new(&self.tty)?;
        let asked = self.show(question);
        let answer = asked.and_then(|()| read_keys(&mut &self.tty));
        drop(hidden);
        self.show("\n")?;
        match answer? {
            Answer::Text(text) => Ok(text),
            Answer::Signal(signal) => {
                // To the whole process group, as the terminal would send it; usually this ends the program.
                rustix::process::kill_current_process_group(signal)?;
                Err(io::ErrorKind::Interrupted.into())
            }
            Answer::End => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// A terminal without echo; dropping it restores the terminal.
struct Hidden<'a> {
    tty: &'a File,
    before: Termios,
}

impl<'a> Hidden<'a> {
    fn new(tty: &'a File) -> io::Result<Self> {
        let before = tcgetattr(tty)?;
        let mut hidden = before.clone();
        let off = LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
        hidden.local_modes.remove(off);
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(tty, OptionalActions::Now, &hidden)?;
        Ok(Self { tty, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = tcsetattr(self.tty, OptionalActions::Now, &self.before);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Text(Zeroizing<Vec<u8>>),
    Signal(Signal),
    End,
}

/// Reads keys up to the end of the line, with the terminal's editing keys.
fn read_keys(from: &mut impl io::Read) -> io::Result<Answer> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
    while let Some(key) = read_byte(from)? {
        match key {
            b'\n' | b'\r' => return Ok(Answer::Text(line)),
            0x03 => return Ok(Answer::Signal(Signal::INT)),
            0x1c => return Ok(Answer::Signal(Signal::QUIT)),
            0x04 if line.is_empty() => return Ok(Answer::End),
            // Backspace deletes the last character, Ctrl-U all.
            0x08 | 0x7f => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            0x15 => line.clear(),
            // Other control keys are ignored.
            key if key.is_ascii_control() && key != b'\t' => {}
            key => push(&mut line, key)?,
        }
    }
    Ok(Answer::End)
}

/// Reads a line that the terminal has edited.
fn read_line(from: &mut impl io::Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
    loop {
        match read_byte(from)? {
            Some(b'\n') => return Ok(line),
            Some(byte) => push(&mut line, byte)?,
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn push(line: &mut Vec<u8>, byte: u8) -> io::Result<()> {
    if line.len() == MAX_BYTES {
        let why = format!("it has more than {MAX_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    line.push(byte);
    Ok(())
}

fn read_byte(from: &mut impl io::Read) -> io::Result<Option<u8>> {
    let mut byte = Zeroizing::new([0]);
    loop {
        match from.read(&mut *byte) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(byte.first().copied()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn text_of(answer: &[u8]) -> Result<&str, PromptError> {
    match std::str::from_utf8(answer) {
        Ok("") => Err(PromptError::NoAnswer),
        Ok(text) => Ok(text),
        Err(_) => Err(PromptError::NotText),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn typed(keys: &[u8]) -> Answer {
        read_keys(&mut io::Cursor::new(keys)).unwrap()
    }

    fn text(text: &str) -> Answer {
        Answer::Text(Zeroizing::new(text.as_bytes().to_vec()))
    }

    #[test]
    fn keys_edit_the_line_as_on_any_terminal() {
        assert_eq!(typed(b"secret\n"), text("secret"));
        assert_eq!(typed("abü\x7fc\r".as_bytes()), text("abc"));
        assert_eq!(typed(b"\x7f\x08x\n"), text("x"));
        assert_eq!(typed(b"wrong\x15right\n"), text("right"));
        assert_eq!(typed(b"a\x1bb\n"), text("ab"));
        assert_eq!(typed(b"a\x04b\n"), text("ab"));
    }

    #[test]
    fn ctrl_c_and_ctrl_d_end_it() {
        assert_eq!(typed(b"sec\x03ret\n"), Answer::Signal(Signal::INT));
        assert_eq!(typed(b"\x1c"), Answer::Signal(Signal::QUIT));
        assert_eq!(typed(b"\x04"), Answer::End);
        assert_eq!(typed(b"half"), Answer::End);
        assert!(read_line(&mut io::Cursor::new(b"half")).is_err());
    }

    #[test]
    fn an_endless_answer_is_refused() {
        let mut endless = io::repeat(b'x');
        assert!(read_keys(&mut endless).is_err());
        assert!(read_line(&mut endless).is_err());
    }

    proptest! {
        #[test]
        fn any_keys_are_taken(keys in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Answer::Text(text)) = read_keys(&mut io::Cursor::new(&keys)) {
                let _ = text_of(&text);
            }
        }
    }
}
