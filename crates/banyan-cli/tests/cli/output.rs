//! Colour, streams and readers that go away.

use std::process::Stdio;

use crate::fake::{Engine, healthy, refused};
use crate::setup::{Setup, run};

const ESCAPE: char = '\u{1b}';

#[test]
fn colour_is_for_terminals_unless_it_is_asked_for() {
    let setup = Setup::new();
    let engine = Engine::start(&setup, refused());
    let status = |more: &[&str]| {
        engine
            .run(&setup, &[&["gitops", "status"], more].concat())
            .done()
    };
    assert!(!status(&[]).contains(ESCAPE));
    assert!(!status(&["--color", "never"]).contains(ESCAPE));
    let coloured = status(&["--color", "always"]);
    assert!(coloured.contains(ESCAPE));
    assert!(!status(&["--color", "always", "-o", "json"]).contains(ESCAPE));
}

/// Runs the program with a terminal for its output, which `script` provides.
fn on_a_terminal(setup: &Setup, environment: &[(&str, &str)]) -> String {
    let socket = setup.path("engine.sock");
    let line = format!(
        "{} gitops status --socket {}",
        env!("CARGO_BIN_EXE_banyan"),
        socket.display()
    );
    let mut command = std::process::Command::new("script");
    command
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm")
        .envs(environment.iter().copied());
    run(&mut command, "").done()
}

#[test]
fn on_a_terminal_no_color_and_dumb_terminals_are_respected() {
    let setup = Setup::new();
    let _engine = Engine::start(&setup, healthy());
    assert!(on_a_terminal(&setup, &[]).contains(ESCAPE));
    assert!(on_a_terminal(&setup, &[("NO_COLOR", "")]).contains(ESCAPE));
    assert!(!on_a_terminal(&setup, &[("NO_COLOR", "1")]).contains(ESCAPE));
    assert!(!on_a_terminal(&setup, &[("TERM", "dumb")]).contains(ESCAPE));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let setup = Setup::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = setup.command();
    command.args(["completions", "zsh"]).stdout(writer);
    let output = command.stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn a_full_disk_is_a_failure() {
    let setup = Setup::new();
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = setup.command();
    let output = command
        .arg("schema")
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        err.starts_with("error: cannot write to standard output\n"),
        "{err}"
    );
}

#[test]
fn text_from_the_engine_cannot_move_the_cursor() {
    let setup = Setup::new();
    let mut script = healthy();
    script.gitops.url = "evil\u{1b}[2J\u{202e}".to_owned();
    let engine = Engine::start(&setup, script);
    let text = engine.run(&setup, &["gitops", "status"]).done();
    assert!(text.contains("evil\u{fffd}[2J\u{fffd}"), "{text:?}");
}
