//! The built `xtask` on simulated machines: directories of small scripts that replace cargo, apt-get and the rest.
#![cfg(unix)]

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};

const TRIAL_TOOLS: [&str; 3] = ["cc", "protoc", "wg"];

/// A machine on which only the programs in one folder exist.
struct Machine {
    programs: PathBuf,
}

impl Machine {
    fn new(name: &str) -> Result<Self> {
        let programs = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        if programs.exists() {
            fs::remove_dir_all(&programs)?;
        }
        fs::create_dir_all(&programs)?;
        let machine = Self { programs };
        // Logs its arguments; each test decides what else it does.
        machine.add("cargo", "true")?;
        Ok(machine)
    }

    /// A machine with all prerequisites of `demo` and `check`.
    fn complete(name: &str) -> Result<Self> {
        let machine = Self::new(name)?;
        for tool in TRIAL_TOOLS {
            machine.add(tool, "true")?;
        }
        machine.add("git", r#"echo "$HERE""#)?;
        machine.add("git-http-backend", "true")?;
        Ok(machine)
    }

    /// Adds a program that logs its call and then runs the script; `$HERE` is the directory of programs.
    fn add(&self, name: &str, script: &str) -> Result<()> {
        let here = self.programs.display();
        let text = format!(
            "#!/bin/sh\nHERE='{here}'\necho \"{name} $*\" >> '{here}/calls.log'\n{script}\n"
        );
        // Another process writes the file: Linux refuses to execute a file that any process still has open for writing.
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", r#"cat > "$0" && chmod +x "$0""#])
            .arg(self.programs.join(name))
            .stdin(Stdio::piped());
        let mut child = shell.spawn()?;
        child
            .stdin
            .take()
            .context("no stdin")?
            .write_all(text.as_bytes())?;
        ensure!(child.wait()?.success(), "cannot write {name}");
        Ok(())
    }

    fn run(&self, args: &[&str]) -> Result<Output> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(args)
            .env_clear()
            .env("PATH", &self.programs)
            .env("CARGO", self.programs.join("cargo"));
        command
            .env("CARGO_TARGET_DIR", &self.programs)
            .stdin(Stdio::null());
        Ok(command.output()?)
    }

    /// The calls so far, without the probes (`id -u`, `git --exec-path`, …).
    fn calls(&self) -> Result<Vec<String>> {
        let text = fs::read_to_string(self.programs.join("calls.log")).unwrap_or_default();
        let works = |line: &&str| {
            !["id ", "cc ", "protoc "]
                .iter()
                .any(|looks| line.starts_with(looks))
                && !line.contains(" --version")
        };
        Ok(text
            .lines()
            .filter(works)
            .filter(|line| *line != "git --exec-path")
            .map(str::to_owned)
            .collect())
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn help_goes_to_stdout_and_misuse_ends_with_2() -> Result<()> {
    let machine = Machine::new("help")?;
    for args in [&[][..], &["--help"]] {
        let output = machine.run(args)?;
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&output.stdout).contains("Usage: cargo xtask <command>"));
    }
    let output = machine.run(&["dmeo"])?;
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("did you mean `cargo xtask demo`"),
        "{}",
        stderr(&output)
    );
    Ok(())
}

#[test]
fn without_apt_get_a_missing_program_stops_the_command_and_is_explained() -> Result<()> {
    let machine = Machine::complete("elsewhere")?;
    fs::remove_file(machine.programs.join("wg"))?;
    fs::remove_file(machine.programs.join("git-http-backend"))?;
    let output = machine.run(&["demo"])?;
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    for part in [
        "wg  ",
        "git http-backend  ",
        "apk add git-daemon wireguard-tools",
        "nix-shell -p git wireguard-tools",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert_eq!(machine.calls()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn root_on_debian_gets_what_is_missing_after_one_update() -> Result<()> {
    let machine = Machine::complete("debian")?;
    fs::remove_file(machine.programs.join("wg"))?;
    machine.add("id", "echo 0")?;
    machine.add("env", r#"shift; exec "$@""#)?;
    machine.add(
        "apt-get",
        r#"case "$*" in
            *update) : > "$HERE/updated" ;;
            *) [ -e "$HERE/updated" ] || exit 100; /bin/cp "$HERE/cc" "$HERE/wg" ;;
        esac"#,
    )?;
    machine.add("cargo", "exit 7")?;
    let output = machine.run(&["demo"])?;
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("installing wireguard-tools for wg: "),
        "{}",
        stderr(&output)
    );
    let calls: Vec<String> = machine
        .calls()?
        .into_iter()
        .filter(|call| !call.starts_with("env "))
        .collect();
    let install =
        "apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends wireguard-tools";
    let update = "apt-get -o DPkg::Lock::Timeout=300 update";
    assert_eq!(
        calls,
        [
            install,
            update,
            install,
            "cargo build -p banyan-engine -p banyan-cli"
        ]
    );
    Ok(())
}

#[test]
fn when_apt_get_fails_its_output_is_shown() -> Result<()> {
    let machine = Machine::complete("offline")?;
    fs::remove_file(machine.programs.join("wg"))?;
    machine.add("id", "echo 0")?;
    machine.add("env", r#"shift; exec "$@""#)?;
    machine.add("apt-get", "echo 'E: no network today' >&2; exit 100")?;
    let output = machine.run(&["demo"])?;
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("could not install wireguard-tools") && text.contains("E: no network today"),
        "{text}"
    );
    Ok(())
}

#[test]
fn demo_builds_and_becomes_the_engine() -> Result<()> {
    let machine = Machine::complete("demo")?;
    machine.add(
        "cargo",
        r#"[ "$1" != metadata ] || echo "{\"target_directory\":\"$HERE/out\"}""#,
    )?;
    fs::create_dir_all(machine.programs.join("out/debug"))?;
    machine.add("out/debug/banyan-engine", "exit 42")?;
    let output = machine.run(&["demo", "--data", "a b"])?;
    assert_eq!(output.status.code(), Some(42), "{}", stderr(&output));
    let expected = [
        "cargo build -p banyan-engine -p banyan-cli",
        "cargo metadata --no-deps --format-version 1",
        "out/debug/banyan-engine dev --data a b",
    ];
    assert_eq!(machine.calls()?, expected);
    let link = fs::read_link(machine.programs.join("out/debug/banyan-cli"))?;
    assert_eq!(link, std::path::Path::new("banyan"));
    // The second time the link is there.
    assert_eq!(machine.run(&["demo"])?.status.code(), Some(42));
    Ok(())
}

#[test]
fn check_stops_at_the_first_failure_and_passes_its_code_on() -> Result<()> {
    let machine = Machine::complete("check")?;
    machine.add(
        "cargo",
        r#"case "$1" in clippy) [ "$2" = --version ] || exit 101 ;; esac"#,
    )?;
    let output = machine.run(&["check"])?;
    assert_eq!(output.status.code(), Some(101), "{}", stderr(&output));
    let expected = [
        "cargo fmt --all --check",
        "cargo test --quiet -p xtask",
        "cargo clippy --workspace --all-targets -- -D warnings",
    ];
    assert_eq!(machine.calls()?, expected);
    assert!(
        stderr(&output).contains("`cargo clippy --workspace"),
        "{}",
        stderr(&output)
    );
    Ok(())
}

#[test]
fn check_documents_with_warnings_as_errors() -> Result<()> {
    let machine = Machine::complete("doc")?;
    machine.add(
        "cargo",
        r#"[ "$1" != doc ] || [ "$RUSTDOCFLAGS" = "-D warnings" ]"#,
    )?;
    let output = machine.run(&["check"])?;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(
        machine.calls()?.last().map(String::as_str),
        Some("cargo doc --no-deps --workspace")
    );
    Ok(())
}

#[test]
fn a_program_that_a_signal_ended_gives_128_and_the_signal() -> Result<()> {
    let machine = Machine::complete("signal")?;
    machine.add("cargo", "kill -9 $$")?;
    assert_eq!(machine.run(&["demo"])?.status.code(), Some(137));
    Ok(())
}
