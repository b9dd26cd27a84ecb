//! The command line: inspect, check, plan and operate.
//!
//! A client: it reads folders and git objects, calls the engine over its local socket or over TLS, and prints. The crates
//! that the engine uses check documents and make plans; this one decides nothing. It knows nothing of stores and devices,
//! and writes only what it is told to write: new documents, new identities, credentials and generated pages.

mod args;
mod clock;
mod cluster_repo;
mod commands;
mod config;
mod context;
mod credentials;
mod engine;
mod error;
mod identity;
mod prompt;
mod report;
mod secret_input;
mod shape;
mod target;
mod ui;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::FromArgMatches as _;

use crate::commands::Cli;
use crate::context::Context;
use crate::error::Exit;

/// Runs the program with the arguments of this process.
#[must_use]
pub fn run() -> ExitCode {
    run_with(std::env::args_os()).into()
}

fn run_with(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let parsed = commands::program().try_get_matches_from(arguments);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return not_run(&error),
    };
    let context = Context::new(cli.globals);
    match commands::run(cli.command, &context) {
        Ok(exit) => exit,
        Err(failure) => {
            context.ui.failure(&failure);
            failure.exit()
        }
    }
}

/// Reports wrong usage, or prints the help or the version.
fn not_run(error: &clap::Error) -> Exit {
    // A closed stream changes nothing.
    let _ = error.print();
    if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Done
    }
}
