//! The trial: the commands it prints work, and edits take effect.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use anyhow::{Context as _, ensure};
use banyan_testkit::netns::{Host, until};
use tempfile::TempDir;

use crate::harness::{PATIENCE, program, text};

/// A private host with a directory, and the trial in it.
struct Trial {
    host: Host,
    dir: TempDir,
    /// What the user has in the environment besides.
    env: &'static [(&'static str, &'static str)],
    process: Option<Child>,
}

impl Trial {
    #[track_caller]
    fn new() -> Self {
        Self {
            host: Host::new().unwrap(),
            dir: TempDir::new().unwrap(),
            env: &[],
            process: None,
        }
    }

    /// Starts or restarts it, and waits until it has printed its instructions.
    #[track_caller]
    fn start(&mut self) -> String {
        let terminal = File::create(self.terminal()).unwrap();
        let mut command = self.command(&["dev", "--no-packets", "--dir"]);
        command.arg(self.dir.path().join("trial"));
        command
            .stdout(terminal.try_clone().unwrap())
            .stderr(terminal);
        self.process = Some(command.spawn().unwrap());
        self.shows("Each push shows below.")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.host.command(program("banyan-engine"));
        command
            .args(args)
            .stdin(Stdio::null())
            .env_remove("RUST_LOG");
        command
            .env("HOME", self.dir.path())
            .env("TMPDIR", self.scratch())
            .envs(self.env.iter().copied());
        command
    }

    /// The directory for temporary files.
    fn scratch(&self) -> PathBuf {
        let scratch = self.dir.path().join("tmp");
        fs::create_dir_all(&scratch).unwrap();
        scratch
    }

    fn terminal(&self) -> PathBuf {
        self.dir.path().join("terminal")
    }

    fn shown(&self) -> String {
        fs::read_to_string(self.terminal()).unwrap()
    }

    /// Waits until the terminal shows a text; returns everything it shows.
    #[track_caller]
    fn shows(&self, words: &str) -> String {
        let shown = until(PATIENCE, || {
            let shown = self.shown();
            ensure!(shown.contains(words), "no {words:?} in\n{shown}");
            Ok(shown)
        });
        shown.unwrap()
    }

    /// Runs lines in a shell, in the directory, until one fails.
    fn types(&self, lines: &str) -> Output {
        let script = format!(
            "cd {} || exit\nset -e\n{lines}\n",
            self.dir.path().display()
        );
        let mut shell = self.host.bounded("sh", PATIENCE);
        shell.args(["-c", &script]).env("HOME", self.dir.path());
        shell
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env_remove("XDG_CONFIG_HOME")
            .envs(self.env.iter().copied());
        shell.stdin(Stdio::null()).output().unwrap()
    }

    #[track_caller]
    fn types_ok(&self, lines: &str) -> String {
        let output = self.types(lines);
        let said = text(&[output.stdout, output.stderr].concat());
        assert!(output.status.success(), "{lines}\n{said}\n{}", self.shown());
        said
    }

    /// Sends what Ctrl-C sends.
    #[track_caller]
    fn stop(&mut self) -> ExitStatus {
        let mut process = self.process.take().unwrap();
        let children = format!("/proc/{0}/task/{0}/children", process.id());
        let engine = fs::read_to_string(children).unwrap();
        let killed = Command::new("kill")
            .args(["-s", "INT", engine.trim()])
            .status();
        assert!(killed.unwrap().success());
        until(PATIENCE, || process.try_wait()?.context("it still runs")).unwrap()
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // The host ends the engine with it; the process started here is `nsenter`, which then exits too.
        if let Some(mut process) = self.process.take() {
            let _gone = process.kill();
            let _status = process.wait();
        }
    }
}

/// The indented lines under a heading.
fn under(shown: &str, heading: &str) -> String {
    let lines = shown
        .lines()
        .skip_while(|line| !line.starts_with(heading))
        .skip(1);
    lines
        .take_while(|line| line.starts_with("  "))
        .map(|line| format!("{}\n", line.trim()))
        .collect()
}

#[test]
fn what_the_trial_prints_can_be_typed_whatever_the_users_git_defaults_are() {
    let mut trial = Trial::new();
    trial.env = &[
        ("GIT_DEFAULT_HASH", "sha256"),
        ("GIT_DEFAULT_REF_FORMAT", "reftable"),
    ];
    let config = "[init]\n\tdefaultBranch = trunk\n\tdefaultObjectFormat = sha256\n\tdefaultRefFormat = reftable\n\
        [core]\n\tautocrlf = true\n\thooksPath = /nowhere/hooks\n\
        [push]\n\tdefault = nothing\n[pull]\n\trebase = true\n[advice]\n\tdetachedHead = false\n\
        [clone]\n\tdefaultRemoteName = upstream\n";
    // A user who pushes nothing by default names what to push: that is theirs to know.
    let config = config.replace("default = nothing", "default = simple");
    fs::write(trial.dir.path().join(".gitconfig"), config).unwrap();
    let welcome = trial.start();
    let typed = under(&welcome, "Change something");
    let said = trial.types_ok(&typed);
    assert!(said.contains("+ user nina: deployer"), "{said}");
    trial.shows("is in force (generation 2");

    // The same for a repo that is begun from nothing.
    let begun = "export PATH=$BANYAN:$PATH\nbanyan repo init fresh --name acorn --recipient \
        age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\n\
        banyan validate fresh\ncd fresh\ngit config user.name x && git config user.email x@example.org\n\
        git add --all\ngit commit -qm 'cluster: start'\nbanyan plan --help >/dev/null\n\
        banyan repo add-user nina --role viewer\nbanyan validate\n";
    let folder = program("banyan").parent().unwrap().display().to_string();
    trial.types_ok(&begun.replace("$BANYAN", &folder));
    assert_eq!(trial.stop().code(), Some(0));
}

#[test]
fn what_the_trial_prints_can_be_typed_and_each_push_shows() {
    let mut trial = Trial::new();
    let welcome = trial.start();
    assert!(welcome.contains("WireGuard: no packets"), "{welcome}");
    let typed = under(&welcome, "Change something");
    assert!(
        typed.contains("git clone") && typed.contains("git push"),
        "{welcome}"
    );
    let said = trial.types_ok(&typed);
    assert!(said.contains("+ user nina: deployer"), "{said}");
    let shown = trial.shows("is in force (generation 2");
    for words in [
        "✓",
        "\"Add nina\"",
        "you@example.org",
        "+ user nina: deployer",
        "Plan: 1 to add",
    ] {
        assert!(shown.contains(words), "no {words:?} in\n{shown}");
    }
    let look = under(&welcome, "Look around");
    let commands: String = look
        .lines()
        .filter_map(|l| Some(format!("{}\n", l.split_once("  ")?.0)))
        .collect();
    assert_eq!(commands.lines().count(), 5, "{look}");
    let exports: String = typed
        .lines()
        .filter(|l| l.starts_with("export"))
        .map(|l| format!("{l}\n"))
        .collect();
    let said = trial.types_ok(&format!("{exports}{commands}"));
    for words in ["nina", "alice-laptop", "users/nina.yaml:1"] {
        assert!(said.contains(words), "no {words:?} in\n{said}");
    }

    // A mistake is reported with its location, and nothing else changes.
    trial.types_ok("cd cluster\nsed -i s/deployer/deploier/ users/nina.yaml\ngit commit -qam Slip\ngit push -q");
    let shown = trial.shows("\"Slip\"");
    assert!(
        shown.contains("is refused; what was in force stays in force"),
        "{shown}"
    );
    assert!(
        shown.contains("users/nina.yaml:6:") && shown.contains("deploier"),
        "{shown}"
    );

    // It continues with the same repo, and prints the same.
    let address = under(&welcome, "The same over HTTP");
    assert_eq!(trial.stop().code(), Some(0));
    let again = trial.start();
    assert_eq!(under(&again, "The same over HTTP"), address);
    trial.types_ok(
        "cd cluster\nsed -i s/deploier/viewer/ users/nina.yaml\ngit commit -qam Mend\ngit push -q",
    );
    trial.shows("is in force (generation 3");
    assert_eq!(trial.stop().code(), Some(0));
}

#[test]
fn over_http_anyone_can_clone_and_only_the_password_holder_can_push() {
    let mut trial = Trial::new();
    let welcome = trial.start();
    let typed = under(&welcome, "The same over HTTP");
    let address = typed.trim().strip_prefix("git clone ").unwrap().to_owned();
    let (secret, place) = address
        .strip_prefix("http://")
        .unwrap()
        .split_once('@')
        .unwrap();
    let password = secret.strip_prefix("trial:").unwrap();
    assert!(password.len() >= 16, "{password}");
    let mode = |path: &str| {
        let file = fs::metadata(trial.dir.path().join("trial").join(path)).unwrap();
        file.permissions().mode() & 0o777
    };
    let modes = ["", "keys", "password", "keys/engine-identity.txt"].map(mode);
    assert_eq!(modes, [0o700, 0o700, 0o600, 0o600]);

    let open = format!("http://{place}");
    let ready = "git config user.name Ann; git config user.email ann@example.org\n\
        sed -e 's/name: victor/name: vera/' users/victor.yaml > users/vera.yaml\n\
        git add users/vera.yaml; git commit -qm 'Add vera'";
    trial.types_ok(&format!("git clone -q {open} open\ncd open\n{ready}"));
    let generation = || trial.shown().matches("is in force").count();
    for wrong in [
        open,
        format!("http://trial:{password}x@{place}"),
        format!("http://admin:{password}@{place}"),
        format!("http://trial:@{place}"),
    ] {
        let refused = trial.types(&format!("cd open\ngit push -q {wrong} HEAD:main"));
        assert!(!refused.status.success(), "a push to {wrong} went through");
        for request in ["info/refs?service=git-receive-pack", "git-receive-pack"] {
            let url = wrong.trim_end_matches('/');
            let post = if request == "git-receive-pack" {
                "-X POST -d x"
            } else {
                ""
            };
            let asked = trial.types_ok(&format!(
                "curl -s -o /dev/null -w '%{{http_code}}' {post} '{url}/{request}'"
            ));
            assert_eq!(asked, "401", "{request}");
        }
    }
    let count = generation();
    trial.types_ok(&format!(
        "git clone -q {address} own\ncd own\n{ready}\ngit push -q"
    ));
    let shown = trial.shows("\"Add vera\"");
    assert!(shown.contains("+ user vera"), "{shown}");
    assert_eq!(generation(), count + 1);
}

#[test]
fn the_tour_plays_to_its_end_with_and_without_packets_and_leaves_nothing() {
    for arguments in [&["dev", "--tour"][..], &["dev", "--tour", "--no-packets"]] {
        let trial = Trial::new();
        let output = trial.command(arguments).output().unwrap();
        let said = text(&[output.stdout, output.stderr].concat());
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert_eq!(said.matches("is in force (generation").count(), 2, "{said}");
        assert_eq!(said.matches("is refused").count(), 2, "{said}");
        let packets = arguments.len() == 2;
        assert_eq!(said.contains("The peer of web-2"), packets, "{said}");
        let left: Vec<_> = fs::read_dir(trial.scratch()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        let home: Vec<_> = fs::read_dir(trial.dir.path())
            .unwrap()
            .flatten()
            .map(|e| e.file_name())
            .collect();
        assert_eq!(home, ["tmp"], "something was left in the home folder");
    }
}
