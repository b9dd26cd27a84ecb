//! What an address for mail may be.

/// The longest address that mail can carry (RFC 5321 §4.5.3.1.3, less the angle brackets).
pub const MAX_EMAIL: usize = 254;

/// A text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an address is `user@host`, without spaces, at most {MAX_EMAIL} bytes")]
pub struct EmailError;

/// Whether a text can be an address for mail. It is for people to read, and is never mailed to.
///
/// # Errors
/// It cannot.
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
