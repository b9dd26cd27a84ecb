//! Identity files: reads given ones, and writes new ones that only their owner can read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use banyan_core::{Recipient, SecretText};
use banyan_manifest::Identities;
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::error::Failure;

/// The longest identity file, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// The identities of all files together; `None` without a file.
pub(crate) fn read(files: &[PathBuf]) -> Result<Option<Identities>, Failure> {
    let mut all = Zeroizing::new(String::new());
    for file in files {
        let text = read_text(file)?;
        // Each by itself first, so that line numbers are those of its file.
        Identities::from_text(&text).map_err(|error| {
            Failure::refused(format!("cannot use the identity file {}", file.display()))
                .because(&error)
        })?;
        let mut longer = Zeroizing::new(String::with_capacity(all.len() + text.len() + 1));
        longer.push_str(&all);
        longer.push_str(&text);
        longer.push('\n');
        all = longer;
    }
    // Files that parse one by one parse together.
    Ok(Identities::from_text(&all).ok())
}

fn read_text(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let cannot = |error: &io::Error| {
        Failure::refused(format!("cannot read the identity file {}", path.display()))
            .because(error)
            .hint("`age-keygen` and `banyan repo init` create identities")
    };
    let file = File::open(path).map_err(|e| cannot(&e))?;
    let length = file.metadata().map_err(|e| cannot(&e))?.len();
    // Reserved at once: growing would leave copies behind.
    let room = usize::try_from(length.min(MAX_BYTES)).unwrap_or(0) + 1;
    let mut text = Zeroizing::new(String::with_capacity(room));
    file.take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(|e| cannot(&e))?;
    Ok(text)
}

/// Creates an identity in a new file that only its owner can read, and returns its recipient.
pub(crate) fn create(path: &Path, now: Timestamp) -> Result<Recipient, Failure> {
    let (_, secret, recipient) = Identities::generate();
    let text = file_text(&secret, &recipient, now);
    write_new(path, &text).map_err(|error| {
        let failure = Failure::refused(format!("cannot write an identity to {}", path.display()))
            .because(&error);
        match error.kind() {
            io::ErrorKind::AlreadyExists => failure
                .hint("to use it, pass its public half (`age-keygen -y FILE`) as `--recipient`"),
            _ => failure.hint("choose another path with `--identity-file`"),
        }
    })?;
    Ok(recipient)
}

fn file_text(secret: &SecretText, recipient: &Recipient, now: Timestamp) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(512));
    text.push_str("# created: ");
    text.push_str(&now.to_string());
    text.push_str("\n# public key: ");
    text.push_str(&recipient.0);
    text.push('\n');
    text.push_str(secret.expose());
    text.push('\n');
    text
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
