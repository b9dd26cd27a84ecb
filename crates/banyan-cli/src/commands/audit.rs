//! `banyan audit`: the audit log.

mod list;
mod verify;

use clap::Subcommand;

use crate::context::Context;
use crate::error::{Exit, Failure};

/// Show what was done, by whom, and what was refused
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "Examples:\n  banyan audit\n  banyan audit --user alice --limit 10")]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: list::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Verify(verify::Args),
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match &args.command {
        None => list::run(&args.list, context),
        Some(Command::List(args)) => list::run(args, context),
        Some(Command::Verify(args)) => verify::run(args, context),
    }
}
