//! A private home folder, and the program run in it with nothing else in its environment.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The public half of a key that nobody keeps.
pub(crate) const KEY: &str = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";
pub(crate) const OTHER_KEY: &str = "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=";

/// A temporary folder with a home in it.
pub(crate) struct Setup {
    dir: TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    fn new(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            err: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    /// What was printed, of a run that must have done its work.
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// What was said, of a run that must have ended with this code.
    pub(crate) fn ended(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self.err
    }

    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.done()).unwrap()
    }
}

impl Setup {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("home")).unwrap();
        Self { dir }
    }

    /// With a cluster repo in `acorn`, whose identity is in [`Setup::identity`].
    pub(crate) fn with_repo() -> Self {
        let setup = Self::new();
        setup
            .run(&["repo", "init", "acorn", "--name", "acorn"])
            .done();
        setup
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub(crate) fn identity(&self) -> PathBuf {
        self.path("home/.config/banyan/identities/acorn.txt")
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The program, in this folder and with nothing in its environment but a home and where programs are.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_banyan"));
        command
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("BANYAN_SOCKET", self.path("none.sock"))
            .env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.run_with(args, "")
    }

    /// Runs with something on standard input.
    pub(crate) fn run_with(&self, args: &[&str], input: &str) -> Run {
        run(self.command().args(args), input)
    }

    /// Runs git in a folder.
    pub(crate) fn git(&self, dir: &str, args: &[&str]) -> String {
        let output = tool("git")
            .current_dir(self.path(dir))
            .args(["-c", "user.name=Test", "-c", "user.email=test@example.org"])
            .args(args)
            .env("HOME", self.path("home"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .expect("install git: apt-get install git");
        let run = Run::new(&output);
        run.done().trim().to_owned()
    }

    /// Commits all of a folder.
    pub(crate) fn commit(&self, dir: &str, message: &str) -> String {
        self.git(dir, &["add", "--all"]);
        self.git(dir, &["commit", "--quiet", "--allow-empty", "-m", message]);
        self.git(dir, &["rev-parse", "HEAD"])
    }
}

fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    command
}

pub(crate) fn run(command: &mut Command, input: &str) -> Run {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read is none of our business.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Run::new(&child.wait_with_output().unwrap())
}

/// Opens an armored text with the real age.
pub(crate) fn age_decrypt(identity: &Path, armored: &str) -> String {
    let mut command = tool("age");
    command.arg("--decrypt").arg("--identity").arg(identity);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("install age: apt-get install age");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(armored.as_bytes()).unwrap();
    drop(stdin);
    Run::new(&child.wait_with_output().unwrap()).done()
}
