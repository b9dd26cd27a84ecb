//! `banyan repo …`: creates and extends a cluster repo.

mod add_machine;
mod add_user;
mod init;

use std::path::Path;

use clap::Subcommand;

use crate::context::Context;
use crate::error::{Exit, Failure};

#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  banyan repo init acorn --name acorn")]
pub(crate) enum Command {
    /// Create a cluster repo
    Init(init::Args),
    /// Add a user
    AddUser(add_user::Args),
    /// Add a machine, with its key sealed
    AddMachine(add_machine::Args),
}

pub(crate) fn run(command: &Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Init(args) => init::run(args, context),
        Command::AddUser(args) => add_user::run(args, context),
        Command::AddMachine(args) => add_machine::run(args, context),
    }
}

/// Prints what was written, and what to type to bring it into force.
fn written(context: &Context, repo: &Path, path: &str, message: &str) -> Result<Exit, Failure> {
    context
        .ui
        .data(&format!("{}\n", repo.join(path).display()))?;
    let git = match repo == Path::new(".") {
        true => "git".to_owned(),
        false => format!("git -C {}", word(repo)),
    };
    context.ui.say(&format!(
        "Next:\n  {git} add {path}\n  {git} commit -m '{message}'\n  {git} push"
    ));
    Ok(Exit::Done)
}

/// A path, quoted as one word for a shell.
fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+@:,".contains(c);
    if text.chars().all(plain) && !text.is_empty() {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word() {
        for (path, expect) in [
            ("a/b-1.yaml", "a/b-1.yaml"),
            ("my repo", "'my repo'"),
            ("a'b;c", "'a'\\''b;c'"),
        ] {
            assert_eq!(word(Path::new(path)), expect);
        }
    }
}
