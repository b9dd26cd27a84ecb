//! `banyan engine …`: the engines of a cluster.

mod list;
mod remove;

use clap::Subcommand;

use crate::context::Context;
use crate::error::{Exit, Failure};

#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  banyan engine list")]
pub(crate) enum Command {
    /// List the engines, whether they run or not
    List(list::Args),
    /// Remove an engine that is gone for good
    Remove(remove::Args),
}

pub(crate) fn run(command: &Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::List(args) => list::run(args, context),
        Command::Remove(args) => remove::run(args, context),
    }
}
