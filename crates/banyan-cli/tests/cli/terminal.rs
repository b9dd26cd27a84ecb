//! Questions on a terminal, which `script` provides.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::fake::{Engine, Remote, healthy};
use crate::setup::Setup;

/// The program on a terminal, and a person who types.
pub(crate) struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: ChildStdout,
    shown: String,
}

impl Terminal {
    /// Runs a line of the shell, in which `$banyan` is the program.
    fn run(setup: &Setup, line: &str) -> Self {
        Self::run_as("dumb", setup, line)
    }

    /// As [`Terminal::run`], on a terminal of this kind.
    pub(crate) fn run_as(kind: &str, setup: &Setup, line: &str) -> Self {
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command", line, "/dev/null"])
            .current_dir(setup.path(""))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", setup.path("home"))
            .env("SHELL", "/bin/sh")
            .env("TERM", kind)
            .env("banyan", env!("CARGO_BIN_EXE_banyan"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("install script: apt-get install bsdutils");
        Self {
            keys: child.stdin.take().unwrap(),
            screen: child.stdout.take().unwrap(),
            child,
            shown: String::new(),
        }
    }

    /// Waits for a question, and types.
    pub(crate) fn at(&mut self, question: &str, keys: &str) {
        self.until(question);
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until something new is shown.
    pub(crate) fn until(&mut self, text: &str) {
        let mut byte = [0];
        let from = self.shown.len();
        while !self.shown[from..].contains(text) {
            let read = self.screen.read(&mut byte).unwrap();
            assert_eq!(read, 1, "no {text:?} in {}", self.shown);
            self.shown.push(byte[0].into());
        }
    }

    /// What the screen showed, and how the line ended.
    pub(crate) fn end(mut self) -> (String, i32) {
        let mut rest = Vec::new();
        self.screen.read_to_end(&mut rest).unwrap();
        self.shown.push_str(&String::from_utf8_lossy(&rest));
        let code = self.child.wait().unwrap().code().unwrap();
        (self.shown, code)
    }
}

fn line(remote: &Remote, command: &str) -> String {
    format!("$banyan {command} {}", remote.named().join(" "))
}

#[test]
fn name_and_password_are_asked_for_and_the_password_is_not_shown() {
    let setup = Setup::new();
    let remote = Remote::start(&setup, healthy());
    let mut terminal = Terminal::run(&setup, &line(&remote, "login"));
    terminal.at("Username: ", "alice\n");
    terminal.at("Password: ", "correct horsex\x7f battery\r");
    let (shown, code) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("correct"), "{shown}");
    let asked = &remote.asked.lock().unwrap().people;
    assert_eq!(asked[0], "login alice correct horse battery");
}

#[test]
fn a_first_password_is_set_with_a_code_and_asked_for_twice() {
    let setup = Setup::new();
    let remote = Remote::start(&setup, healthy());
    let enroll = line(&remote, "login --enroll --username alice");
    let type_all = |again: &str| {
        let mut terminal = Terminal::run(&setup, &enroll);
        terminal.at("One-time code: ", "abcd-efgh\r");
        terminal.at("New password: ", "correct horse battery\r");
        terminal.at("New password again: ", again);
        terminal.end()
    };
    let (shown, code) = type_all("something else\r");
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("the two are not the same"), "{shown}");
    assert!(remote.asked.lock().unwrap().people.is_empty());
    let (shown, code) = type_all("correct horse battery\r");
    assert_eq!(code, 0, "{shown}");
    assert!(
        !shown.contains("correct") && !shown.contains("abcd"),
        "{shown}"
    );
    let asked = &remote.asked.lock().unwrap().people;
    assert_eq!(asked[0], "enroll alice abcd-efgh correct horse battery");
}

#[test]
fn the_password_of_a_new_user_is_asked_for_twice() {
    let setup = Setup::new();
    let engine = Engine::start(&setup, healthy());
    let mut terminal = Terminal::run(&setup, "$banyan user add bob --socket engine.sock");
    terminal.at("Password for bob: ", "correct horse battery\r");
    terminal.at("Password for bob again: ", "correct horse battery\r");
    let (shown, code) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("`--enroll`"), "{shown}");
    let asked = engine.asked.lock().unwrap();
    assert!(asked.people[0].ends_with("\"correct horse battery\""));
}

#[test]
fn ctrl_c_ends_the_program_and_leaves_a_terminal_that_shows_what_is_typed() {
    let setup = Setup::new();
    let remote = Remote::start(&setup, healthy());
    let login = line(&remote, "login --username alice");
    // `trap :` keeps the shell itself alive.
    let mut terminal = Terminal::run(
        &setup,
        &format!("trap : INT; {login}; echo ended $?; stty -a"),
    );
    terminal.at("Password: ", "corr\x03");
    let (shown, _) = terminal.end();
    assert!(shown.contains("ended 130"), "{shown}");
    assert!(shown.contains(" echo "), "{shown}");
    assert!(
        shown.contains(" icanon") && shown.contains("isig"),
        "{shown}"
    );
    assert!(
        !shown.contains("-icanon") && !shown.contains("-isig"),
        "{shown}"
    );
    assert!(remote.asked.lock().unwrap().people.is_empty());
}

#[test]
fn nothing_is_removed_without_a_yes() {
    let setup = Setup::new();
    let engine = Engine::start(&setup, healthy());
    let answer = |keys: &str| {
        let mut terminal = Terminal::run(&setup, "$banyan user remove bob --socket engine.sock");
        terminal.at("Remove user bob? [y/N]: ", keys);
        terminal.end().1
    };
    for no in ["n\n", "\n", "yesterday\n"] {
        assert_eq!(answer(no), 1, "{no:?}");
    }
    assert!(engine.asked.lock().unwrap().people.is_empty());
    assert_eq!(answer("y\n"), 0);
    assert_eq!(engine.asked.lock().unwrap().people, ["remove bob"]);
}
