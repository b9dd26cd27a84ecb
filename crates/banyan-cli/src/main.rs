//! The program `banyan`; everything is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    banyan_cli::run()
}
