//! Values that must not stand on a command line: from a file or from standard input.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;

use banyan_core::SecretText;
use zeroize::Zeroizing;

use crate::error::Failure;

/// The longest value, in bytes: more can never be sealed.
const MAX_BYTES: usize = banyan_manifest::MAX_PAYLOAD_BYTES;

/// One value, without the white space around it. `path` is a file; `None` or `-` is standard input.
pub(crate) fn read(path: Option<&Path>) -> Result<SecretText, Failure> {
    match path.filter(|path| *path != Path::new("-")) {
        Some(path) => {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|e| cannot(&name).because(&e))?;
            take(file, &name)
        }
        None if io::stdin().is_terminal() => Err(Failure::usage(
            "the value is read from standard input",
        )
        .hint("pipe it in, for example `wg pubkey < private.key | banyan seal …`, or give a file")),
        None => take(io::stdin().lock(), "standard input"),
    }
}

fn take(from: impl Read, name: &str) -> Result<SecretText, Failure> {
    // Room for all of it at once: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
    from.take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| cannot(name).because(&e))?;
    if bytes.len() > MAX_BYTES {
        return Err(cannot(name).reason(format!("it has more than {MAX_BYTES} bytes")));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| cannot(name).reason("it is not UTF-8"))?;
    match text.trim() {
        "" => Err(cannot(name).reason("it is empty")),
        value => Ok(SecretText::new(value.to_owned())),
    }
}

fn cannot(name: &str) -> Failure {
    Failure::refused(format!("cannot read the value from {name}"))
}
