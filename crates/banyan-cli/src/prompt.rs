//! Questions to the user at the terminal, and the errors if there is no answer.

use banyan_core::SecretText;
use banyan_terminal::PromptError;

use crate::error::Failure;

/// The terminal that this program was started on.
pub(crate) struct Prompt(banyan_terminal::Prompt);

impl Prompt {
    /// Opens the terminal. `what` is what would be asked for, `flag` the option that answers it without a terminal.
    pub(crate) fn open(what: &str, flag: &str) -> Result<Self, Failure> {
        banyan_terminal::Prompt::open().map(Self).map_err(|error| {
            Failure::usage(format!("cannot ask for {what}: {error}"))
                .hint(format!("pass it with {flag}"))
        })
    }

    /// Asks for a text, with echo.
    pub(crate) fn text(&self, question: &str) -> Result<String, Failure> {
        (self.0.text(question)).map_err(|error| unanswered(question, &error))
    }

    /// Asks for a text without echo.
    pub(crate) fn secret(&self, question: &str) -> Result<SecretText, Failure> {
        (self.0.secret(question)).map_err(|error| unanswered(question, &error))
    }

    /// Asks for a text without echo, twice.
    pub(crate) fn new_secret(&self, question: &str) -> Result<SecretText, Failure> {
        let first = self.secret(question)?;
        (self.0.repeat(question, &first)).map_err(|error| unanswered(question, &error))?;
        Ok(first)
    }

    /// Asks for a yes; anything else is a no.
    pub(crate) fn yes(&self, question: &str) -> bool {
        self.0.yes(question)
    }
}

fn unanswered(question: &str, error: &PromptError) -> Failure {
    let none = Failure::refused(format!("there is no answer to {question:?}"));
    match error {
        PromptError::Mismatch => Failure::refused(error.to_string()).hint("try again"),
        PromptError::NoAnswer => none,
        other => none.because(other),
    }
}
