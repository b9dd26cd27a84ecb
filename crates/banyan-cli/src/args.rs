//! What the program takes on its command line, the options of single commands apart.

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};
use serde::Serialize;

use crate::commands::Command;

/// Who may do what, and which machines are on the private network: from a git repository.
#[derive(Debug, Parser)]
#[command(
    name = "banyan",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 bad configuration, \
                  4 not authenticated, 5 not permitted, 6 engine out of reach."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Globals {
    /// The engine's local socket [default: `cli.socket` of the configuration, or /run/banyan/engine.sock]
    #[arg(long, global = true, value_name = "PATH", env = "BANYAN_SOCKET")]
    pub(crate) socket: Option<PathBuf>,
    /// When to colour; by itself on a terminal, unless NO_COLOR is set or TERM is dumb
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: ColorWhen,
}

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    #[default]
    Auto,
    Always,
    Never,
}

/// The option of every command that lists or shows something.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Shape of the output; json and yaml are stable
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Output,
}

/// Shape of the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize)]
pub(crate) enum Output {
    #[default]
    Table,
    Json,
    Yaml,
}
