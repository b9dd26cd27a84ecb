//! The commands, each a list of steps.

use std::env;
use std::ffi::OsString;
use std::process::Command;

use anyhow::{Result, bail};

use crate::install::ensure;
use crate::need::{Task, has_cargo_command};
use crate::process::{become_program, cargo, run, say, shown, target_dir};
use crate::tun;

/// Starts the trial, built in the dev profile: the shortest way to a first look.
pub(crate) fn demo(args: &[OsString]) -> Result<()> {
    ensure(Task::Demo)?;
    if let Err(error) = tun::probe() {
        say(&format!(
            "no packets: the trial shows the network but moves no packet, because {}",
            tun::explain(&error)
        ));
    }
    run(cargo(["build", "-p", "banyan-engine", "-p", "banyan-cli"]))?;
    let mut engine = built("debug", "banyan-engine")?;
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
    become_program(test_runner(has_cargo_command("nextest"), filters, runner))
}

/// Everything that can be judged without running the product.
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
    say("formatting, rules, clippy and documentation are in order");
    Ok(())
}

/// Measures, in release mode.
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
    let mut bench = built("release", "banyan-bench")?;
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

fn built(profile: &str, name: &str) -> Result<Command> {
    let file = target_dir()?
        .join(profile)
        .join(name)
        .with_extension(env::consts::EXE_EXTENSION);
    Ok(Command::new(file))
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
