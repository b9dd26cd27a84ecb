//! The commands, each a list of steps.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::install::ensure;
use crate::need::{Task, has_cargo_command};
use crate::process::{become_program, cargo, run, say, shown, target_dir};
use crate::tun;

/// Starts the trial from a dev build: the fastest way to a first look.
pub(crate) fn demo(args: &[OsString]) -> Result<()> {
    ensure(Task::Demo)?;
    if let Err(error) = tun::probe() {
        say(&format!(
            "no packets: the trial shows the network but moves no packet, because {}",
            tun::explain(&error)
        ));
    }
    run(cargo(["build", "-p", "banyan-engine", "-p", "banyan-cli"]))?;
    let folder = target_dir()?.join("debug");
    link_cli(&folder)?;
    let mut engine = built(&folder, "banyan-engine");
    engine.arg("dev").args(args);
    become_program(engine)
}

/// Builds the programs, then runs all tests; the test runner's summary comes last.
///
/// The programs are built with the `tests` crate beside them, so that both builds resolve the same features and share every dependency.
pub(crate) fn test(filters: &[OsString], runner: &[OsString]) -> Result<()> {
    ensure(Task::Test)?;
    if let Err(error) = tun::probe() {
        bail!(
            "the tests send packets through tunnels, and {}",
            tun::explain(&error)
        );
    }
    run(cargo(["build", "--workspace", "--bins"]))?;
    link_cli(&target_dir()?.join("debug"))?;
    become_program(test_runner(has_cargo_command("nextest"), filters, runner))
}

/// All checks that do not run the product.
pub(crate) fn check() -> Result<()> {
    ensure(Task::Check)?;
    step(cargo(["fmt", "--all", "--check"]))?;
    step(cargo(["test", "--quiet", "-p", "xtask"]))?;
    step(cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    let mut doc = cargo(["doc", "--no-deps", "--workspace"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    step(doc)?;
    say("formatting, rules, clippy and documentation: no problems");
    Ok(())
}

/// Runs the benchmark, in release mode.
pub(crate) fn bench(args: &[OsString]) -> Result<()> {
    ensure(Task::Bench)?;
    run(cargo([
        "build",
        "--release",
        "-p",
        "banyan-engine",
        "-p",
        "banyan-cli",
        "-p",
        "banyan-tests",
        "--bins",
    ]))?;
    let mut bench = built(&target_dir()?.join("release"), "banyan-bench");
    bench.args(args);
    become_program(bench)
}

fn test_runner(nextest: bool, filters: &[OsString], runner: &[OsString]) -> Command {
    if nextest {
        let mut command = cargo(["nextest", "run", "--workspace", "--no-fail-fast"]);
        command.args(runner).args(filters);
        return command;
    }
    say(
        "cargo-nextest is not installed: using cargo test (for nextest: cargo install --locked cargo-nextest)",
    );
    let mut command = cargo(["test", "--workspace", "--tests", "--no-fail-fast", "--"]);
    command.args(runner).args(filters);
    command
}

fn step(command: Command) -> Result<()> {
    say(&format!("$ {}", shown(&command)));
    run(command)
}

fn built(folder: &Path, name: &str) -> Command {
    Command::new(folder.join(name))
}

/// Makes `banyan-cli` a link to `banyan` in the same directory, as packages do. A program that was built under that
/// name is replaced.
fn link_cli(folder: &Path) -> Result<()> {
    let link = folder.join("banyan-cli");
    let doing = || format!("cannot create the link {}", link.display());
    if fs::read_link(&link).is_ok_and(|target| target == Path::new("banyan")) {
        return Ok(());
    }
    match fs::remove_file(&link) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).with_context(doing),
        _ => {}
    }
    symlink("banyan", &link).with_context(doing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runner(nextest: bool) -> String {
        shown(&test_runner(
            nextest,
            &["pass".into()],
            &["--retries".into(), "2".into()],
        ))
    }

    #[test]
    fn filters_and_arguments_reach_either_runner() {
        assert!(
            runner(true).ends_with("nextest run --workspace --no-fail-fast --retries 2 pass"),
            "{}",
            runner(true)
        );
        assert!(
            runner(false).ends_with("--tests --no-fail-fast -- --retries 2 pass"),
            "{}",
            runner(false)
        );
    }
}
