//! Secrets from a file or from standard input, so that they need not be on the command line.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;

use banyan_core::SecretText;
use banyan_terminal::{secret_lines, secret_value};

use crate::error::Failure;

const STDIN: &str = "standard input";

/// One value, without the white space around it. `path` is a file; `None` or `-` is standard input.
pub(crate) fn read(path: Option<&Path>) -> Result<SecretText, Failure> {
    match path.filter(|path| *path != Path::new("-")) {
        Some(path) => {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|e| cannot(&name).because(&e))?;
            value(file, &name)
        }
        None if io::stdin().is_terminal() => Err(Failure::usage(
            "the value is read from standard input",
        )
        .hint("pipe it in, for example `wg pubkey < private.key | banyan seal …`, or name a file")),
        None => value(io::stdin().lock(), STDIN),
    }
}

/// Limited to what can be sealed.
fn value(from: impl Read, name: &str) -> Result<SecretText, Failure> {
    secret_value(from, banyan_manifest::MAX_PAYLOAD_BYTES).map_err(|e| cannot(name).because(&e))
}

/// The first lines of standard input, each a password, unchanged: white space may be part of one.
pub(crate) fn passwords<const N: usize>() -> Result<[SecretText; N], Failure> {
    if io::stdin().is_terminal() {
        return Err(Failure::usage("`--password-stdin` needs piped input")
            .hint("leave it out to be prompted"));
    }
    secret_lines(&mut io::stdin().lock()).map_err(|e| cannot(STDIN).because(&e))
}

fn cannot(name: &str) -> Failure {
    Failure::refused(format!("cannot read the value from {name}"))
}
