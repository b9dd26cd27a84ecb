//! `--watch`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::fake::{Engine, healthy, in_seconds};
use crate::setup::Setup;
use crate::terminal::Terminal;

/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that watches, without a terminal.
struct Watching {
    child: Child,
    lines: BufReader<ChildStdout>,
    notes: Receiver<String>,
}

impl Watching {
    fn start(setup: &Setup, socket: &Path, args: &[&str]) -> Self {
        let mut command = setup.command();
        command.args(args).arg("--watch=0.1");
        command.arg("--socket").arg(socket);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, notes) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines() {
                // The test may have ended.
                let _ = sender.send(line.unwrap());
            }
        });
        Self {
            child,
            lines,
            notes,
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    fn json(&mut self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn note(&self) -> String {
        self.notes.recv_timeout(PATIENCE).unwrap()
    }

    /// Ctrl-C; what else was printed, and the exit code.
    fn interrupt(mut self) -> (String, i32) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap().code().unwrap())
    }
}

impl Drop for Watching {
    /// A test that fails leaves no program behind.
    fn drop(&mut self) {
        // It has ended already after an interrupt.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_change_is_a_line_of_json_and_ctrl_c_ends_it_quietly() {
    let setup = Setup::new();
    let engine = Engine::start(&setup, healthy());
    let args = ["gitops", "status", "--output", "json"];
    let mut watching = Watching::start(&setup, &engine.socket, &args);
    assert_eq!(watching.json()["generation"], 7);
    // What changes all the time is no change, so the next line is about the generation.
    engine.change(|script| script.gitops.checked_at = in_seconds(5));
    engine.change(|script| script.gitops.generation = 8);
    assert_eq!(watching.json()["generation"], 8);
    assert_eq!(watching.interrupt(), (String::new(), 0));
}

#[test]
fn without_a_terminal_each_change_is_a_block_of_text() {
    let setup = Setup::new();
    let engine = Engine::start(&setup, healthy());
    let mut watching = Watching::start(&setup, &engine.socket, &["status"]);
    let mut block = || {
        let mut block = Vec::new();
        loop {
            match watching.line().trim_end() {
                "" => return block,
                line => block.push(line.to_owned()),
            }
        }
    };
    let first = block();
    assert!(
        first[0].starts_with("20") && first[0].ends_with('Z'),
        "{first:?}"
    );
    assert!(first[1].starts_with("engine    0.1.0, "), "{first:?}");
    engine.change(|script| script.engine.warnings = vec!["no packets move".to_owned()]);
    let second = block();
    assert_eq!(second.last().unwrap(), "warning   no packets move");
    assert_eq!(watching.interrupt().1, 0);
}

#[test]
fn an_engine_that_goes_away_and_returns_is_told_and_watched_on() {
    let setup = Setup::new();
    let mut engine = Engine::start(&setup, healthy());
    let args = ["machine", "list", "--output", "json"];
    let mut watching = Watching::start(&setup, &engine.socket, &args);
    assert_eq!(watching.json()["generation"], 7);
    engine.stop();
    let note = watching.note();
    assert!(note.starts_with("note: cannot "), "{note}");
    assert!(note.ends_with("; trying again until it answers"), "{note}");
    engine.change(|script| script.machines = vec![Default::default()]);
    engine.start_again();
    assert_eq!(watching.note(), "note: the engine answers again");
    assert_eq!(watching.json()["machines"].as_array().unwrap().len(), 1);
    assert_eq!(watching.interrupt(), (String::new(), 0));
}

#[test]
fn an_engine_that_never_answered_and_a_call_that_is_not_permitted_end_it() {
    let setup = Setup::new();
    setup.run(&["status", "--watch"]).ended(6);
    let mut script = healthy();
    script.refuse = Some((tonic::Code::PermissionDenied, "no".to_owned()));
    let engine = Engine::start(&setup, script);
    engine.run(&setup, &["status", "--watch"]).ended(5);
    for bad in ["--watch=0", "--watch=x", "--watch=1e9", "--watch=nan"] {
        setup.run(&["status", bad]).ended(2);
    }
}

#[test]
fn ctrl_c_ends_it_at_once_also_while_the_engine_does_not_answer() {
    let setup = Setup::new();
    let socket = setup.path("silent.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let watching = Watching::start(&setup, &socket, &["status"]);
    let _connection = listener.accept().unwrap();
    assert_eq!(watching.interrupt(), (String::new(), 0));
}

#[test]
fn on_a_terminal_it_is_redrawn_and_ctrl_c_ends_it_with_zero() {
    let setup = Setup::new();
    let mut engine = Engine::start(&setup, healthy());
    let line = "$banyan gitops status --watch=0.1 --socket engine.sock; echo ended $?";
    // `trap :` keeps the shell itself alive.
    let line = format!("trap : INT; {line}");
    let mut terminal = Terminal::run_as("xterm", &setup, &line);
    terminal.until("\u{1b}[2J\u{1b}[H");
    terminal.until("in force as generation 7");
    engine.change(|script| {
        script.gitops.generation = 8;
    });
    terminal.until("\u{1b}[H");
    terminal.until("in force as generation 8");
    engine.stop();
    terminal.until("in force as generation 8");
    terminal.until("no answer, noticed ");
    terminal.until("next attempt in ");
    engine.change(|script| script.gitops.generation = 9);
    engine.start_again();
    terminal.until("in force as generation 9");
    terminal.at("\u{1b}[J", "\x03");
    let (shown, _) = terminal.end();
    assert!(shown.contains("ended 0"), "{shown}");
}
