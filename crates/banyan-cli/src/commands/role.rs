//! `banyan role …`.

mod list;
mod permissions;

use clap::Subcommand;

use crate::context::Context;
use crate::error::{Exit, Failure};

#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  banyan role list")]
pub(crate) enum Command {
    /// List the roles, the built-in ones included
    List(list::Args),
    /// List the permissions that the engine itself checks
    Permissions(permissions::Args),
}

pub(crate) fn run(command: &Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::List(args) => list::run(args, context),
        Command::Permissions(args) => permissions::run(args, context),
    }
}
