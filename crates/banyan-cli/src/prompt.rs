//! Asking the person at the terminal.
//!
//! Nothing is asked where standard input is no terminal: then a flag has to answer. Hidden answers are read key by key with
//! the terminal's own handling of keys switched off, so that Ctrl-C comes here and the terminal is put right before it
//! takes effect.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};

use banyan_core::SecretText;
use rustix::process::Signal;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use crate::error::Failure;

/// The longest answer, in bytes.
const MAX_BYTES: usize = 4096;

/// The terminal that this program was started on.
pub(crate) struct Prompt {
    tty: File,
}

impl Prompt {
    /// The terminal. `what` is what would be asked for, `flag` what answers it without one.
    pub(crate) fn open(what: &str, flag: &str) -> Result<Self, Failure> {
        let none = || {
            Failure::usage(format!("cannot ask for {what}: there is no terminal"))
                .hint(format!("give it with {flag}"))
        };
        if !io::stdin().is_terminal() {
            return Err(none());
        }
        let tty = OpenOptions::new().read(true).write(true).open("/dev/tty");
        tty.map(|tty| Self { tty }).map_err(|_| none())
    }

    /// Asks for a text that may be seen.
    pub(crate) fn text(&self, question: &str) -> Result<String, Failure> {
        let asked = self.show(&format!("{question}: "));
        let answer = asked.and_then(|()| read_line(&mut &self.tty));
        let answer = answer.map_err(|error| unanswered(question, &error))?;
        text_of(&answer, question).map(|text| text.trim().to_owned())
    }

    /// Asks for a text that nobody may see.
    pub(crate) fn secret(&self, question: &str) -> Result<SecretText, Failure> {
        let answer = self.hidden(&format!("{question}: "));
        let answer = answer.map_err(|error| unanswered(question, &error))?;
        text_of(&answer, question).map(|text| SecretText::new(text.to_owned()))
    }

    /// Asks for a text that nobody may see, twice.
    pub(crate) fn new_secret(&self, question: &str) -> Result<SecretText, Failure> {
        let first = self.secret(question)?;
        let again = self.secret(&format!("{question} again"))?;
        if first != again {
            return Err(Failure::refused("the two are not the same").hint("begin again"));
        }
        Ok(first)
    }

    /// Asks for a yes; anything else is a no.
    pub(crate) fn yes(&self, question: &str) -> bool {
        let answer = self.text(&format!("{question} [y/N]"));
        answer.is_ok_and(|answer| matches!(answer.to_lowercase().as_str(), "y" | "yes"))
    }

    fn show(&self, text: &str) -> io::Result<()> {
        (&self.tty).write_all(crate::ui::harmless(text).as_bytes())
    }

    fn hidden(&self, question: &str) -> io::Result<Zeroizing<Vec<u8>>> {
        // Before the question, so that nobody who answers at once is shown.
        let hidden = Hidden::new(&self.tty)?;
        let asked = self.show(question);
        let answer = asked.and_then(|()| read_keys(&mut &self.tty));
        drop(hidden);
        self.show("\n")?;
        match answer? {
            Answer::Text(text) => Ok(text),
            Answer::Signal(signal) => {
                // To all that the terminal would have sent it to; usually this ends the program.
                rustix::process::kill_current_process_group(signal)?;
                Err(io::ErrorKind::Interrupted.into())
            }
            Answer::End => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// A terminal that shows nothing of what is typed; dropping it puts that right.
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
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(self.tty, OptionalActions::Now, &self.before);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Text(Zeroizing<Vec<u8>>),
    Signal(Signal),
    End,
}

/// Reads keys up to the end of the line, as a terminal would.
fn read_keys(from: &mut impl io::Read) -> io::Result<Answer> {
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
            key => push(&mut line, key)?,
        }
    }
    Ok(Answer::End)
}

/// Reads a line that the terminal itself has edited.
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

fn text_of<'a>(answer: &'a [u8], question: &str) -> Result<&'a str, Failure> {
    match std::str::from_utf8(answer) {
        Ok("") => Err(no_answer(question)),
        Ok(text) => Ok(text),
        Err(_) => Err(no_answer(question).reason("it is not UTF-8")),
    }
}

fn unanswered(question: &str, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::Interrupted => no_answer(question),
        _ => no_answer(question).because(error),
    }
}

fn no_answer(question: &str) -> Failure {
    Failure::refused(format!("there is no answer to {question:?}"))
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
                let _ = text_of(&text, "x");
            }
        }
    }
}
