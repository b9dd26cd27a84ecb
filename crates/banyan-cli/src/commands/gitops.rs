//! `banyan gitops …`: the reconciler.

mod accept;
mod history;
pub(crate) mod status;
mod sync;

use clap::Subcommand;

use crate::context::Context;
use crate::error::{Exit, Failure};

#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  banyan gitops status")]
pub(crate) enum Command {
    /// Show the newest commit, the commit in force, and why they differ
    Status(status::Args),
    /// Show the outcome of each commit, newest first
    History(history::Args),
    /// Ask the engine to check the repo now
    Sync(sync::Args),
    Accept(accept::Args),
}

pub(crate) fn run(command: &Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Status(args) => status::run(args, context),
        Command::History(args) => history::run(args, context),
        Command::Sync(args) => sync::run(args, context),
        Command::Accept(args) => accept::run(args, context),
    }
}
