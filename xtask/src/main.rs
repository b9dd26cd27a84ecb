//! The project's one entry: `cargo xtask demo|test|check|bench`.
//!
//! It checks for a command's prerequisites, installs them or says how, builds, and hands over to the program that does
//! the work. It knows nothing about that program, and depends on nothing that needs a C compiler.

mod commands;
mod install;
mod need;
mod process;
mod tun;
mod usage;

use std::env;
use std::process::ExitCode;

use process::{Ended, say};
use usage::Command;

fn main() -> ExitCode {
    let command = match usage::parse(env::args_os().skip(1)) {
        Ok(command) => command,
        Err(misuse) => {
            say(&format!("error: {misuse}"));
            return ExitCode::from(2);
        }
    };
    let done = match command {
        Command::Help => usage::print_help(),
        Command::Demo(args) => commands::demo(&args),
        Command::Test { filters, runner } => commands::test(&filters, &runner),
        Command::Check => commands::check(),
        Command::Bench(args) => commands::bench(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::from(error.downcast_ref().map_or(1, |ended: &Ended| ended.code))
        }
    }
}
