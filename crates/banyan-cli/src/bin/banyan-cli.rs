//! `banyan` under the name of its package.

use std::process::ExitCode;

fn main() -> ExitCode {
    banyan_cli::run()
}
