//! Runs the `git` program for the trial, isolated from the user's configuration.

use std::path::Path;

use tokio::process::Command;

use crate::Failure;

/// A command that ignores the user's git configuration and variables.
pub(super) fn command(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(dir).stdin(std::process::Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GIT_") {
            command.env_remove(name);
        }
    }
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_AUTHOR_NAME", "Banyan trial")
        .env("GIT_AUTHOR_EMAIL", "trial@banyan.invalid")
        .env("GIT_COMMITTER_NAME", "Banyan trial")
        .env("GIT_COMMITTER_EMAIL", "trial@banyan.invalid")
        .kill_on_drop(true);
    command
}

/// Runs git and returns its output.
pub(super) async fn run(dir: &Path, arguments: &[&str]) -> Result<String, Failure> {
    let doing = || format!("run git {}", arguments.join(" "));
    let output = command(dir).args(arguments).output().await;
    let output = output.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::setup(
            doing(),
            "git is not installed; install it, for example with `apt-get install git`",
        ),
        _ => Failure::setup(doing(), error),
    })?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Failure::setup(doing(), said))
    }
}

/// Commits everything in a work tree.
pub(super) async fn commit(dir: &Path, message: &str) -> Result<(), Failure> {
    run(dir, &["add", "--all"]).await?;
    run(
        dir,
        &["commit", "--quiet", "--no-gpg-sign", "--message", message],
    )
    .await?;
    Ok(())
}

/// Whether the user's git makes repositories with reftable, which `banyan` cannot read yet. `scratch` is a free name in a
/// private folder.
pub(super) async fn makes_reftables(scratch: &Path) -> bool {
    let made = Command::new("git")
        .args(["init", "--quiet", "--bare"])
        .arg(scratch)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .await;
    let reftable = made.is_ok() && scratch.join("reftable").is_dir();
    // It holds nothing.
    let _ = tokio::fs::remove_dir_all(scratch).await;
    reftable
}
