//! Asking for a password at the terminal that the program was started on.

use banyan_core::SecretText;
use banyan_identity::Password;
use banyan_terminal::{Prompt, PromptError};
use zeroize::Zeroizing;

use crate::Failure;

const DOING: &str = "ask for the password";

/// Asks for a new password, twice. `flags` answer it where there is no terminal.
pub(super) fn new_password(flags: &str) -> Result<SecretText, Failure> {
    let failed = |error| match error {
        PromptError::NoTerminal => Failure::setup(DOING, format!("{error}; give {flags}")),
        PromptError::Mismatch => Failure::setup("take the password", format!("{error}; try again")),
        other => Failure::setup(DOING, other),
    };
    let prompt = Prompt::open().map_err(failed)?;
    let first = (prompt.secret("password (at least 12 characters)")).map_err(failed)?;
    // One that is refused need not be typed twice.
    let fits = Password::chosen(Zeroizing::new(first.expose().to_owned()));
    fits.map_err(|error| Failure::setup("take the password", error))?;
    (prompt.repeat("password", &first)).map_err(failed)?;
    Ok(first)
}
