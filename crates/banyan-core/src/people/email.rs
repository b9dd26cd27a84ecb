//! Validation of email addresses.

/// The longest email address (RFC 5321 §4.5.3.1.3, less the angle brackets).
pub const MAX_EMAIL: usize = 254;

/// A text is not an email address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an email address has the form `user@host`, without spaces, at most {MAX_EMAIL} bytes")]
pub struct EmailError;

/// Checks the form of an email address. It is only displayed; no mail is sent to it.
///
/// # Errors
/// If it is not an email address.
pub fn check_email(text: &str) -> Result<(), EmailError> {
    let strange = |c: char| c.is_whitespace() || c.is_control();
    let (user, host) = text.split_once('@').ok_or(EmailError)?;
    let parts = !user.is_empty() && !host.is_empty() && !host.contains('@');
    if parts && !text.contains(strange) && text.len() <= MAX_EMAIL {
        Ok(())
    } else {
        Err(EmailError)
    }
}
