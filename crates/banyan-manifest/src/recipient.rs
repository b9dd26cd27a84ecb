//! age recipients: the public keys that values are sealed for.

use std::str::FromStr;

use banyan_core::Recipient;

use crate::find::shown;

/// Why a text is not a recipient.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// A secret key instead of a public one. The message does not repeat it.
    #[error("this is a SECRET key; replace it everywhere, and use its public key (age1…) here")]
    Secret,
    /// `age1…` that does not decode.
    #[error("not a valid age1… recipient (wrong checksum)")]
    Age,
    /// A recipient of an age plugin or of another native type.
    #[error(
        "recipients of age plugins and post-quantum ones are not supported, only age1… (X25519)"
    )]
    Plugin,
    /// `ssh-ed25519` that does not decode.
    #[error("not a valid ssh-ed25519 public key")]
    Ssh,
    /// An SSH key of another type.
    #[error("SSH keys of type {0} are not supported; only ssh-ed25519 is")]
    SshType(String),
    /// Not a recipient format of age.
    #[error("a recipient must be `age1…` or `ssh-ed25519 AAAA…`")]
    Unknown,
}

/// Reads `age1…` (X25519) or `ssh-ed25519 AAAA… [comment]`; the comment is dropped.
///
/// # Errors
/// If the text is anything else, with the reason.
pub fn parse_recipient(text: &str) -> Result<Recipient, RecipientError> {
    let text = text.trim();
    let mut words = text.split_ascii_whitespace();
    let first = words.next().unwrap_or_default();
    if first.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") || text.starts_with("-----BEGIN") {
        return Err(RecipientError::Secret);
    }
    if first.starts_with("age1") {
        return native(text);
    }
    if first == "ssh-ed25519" {
        return ssh(words.next().unwrap_or_default());
    }
    if first.starts_with("ssh-") || first.starts_with("ecdsa-") || first.starts_with("sk-") {
        return Err(RecipientError::SshType(shown(first)));
    }
    Err(RecipientError::Unknown)
}

fn native(text: &str) -> Result<Recipient, RecipientError> {
    if let Ok(recipient) = age::x25519::Recipient::from_str(text) {
        return Ok(Recipient(recipient.to_string()));
    }
    // Bech32 splits at the last '1': a longer human-readable part names a plugin or another type.
    let plugin = text.rfind('1').is_some_and(|at| at > "age".len());
    Err(if plugin && text.len() > "age1".len() {
        RecipientError::Plugin
    } else {
        RecipientError::Age
    })
}

fn ssh(key: &str) -> Result<Recipient, RecipientError> {
    match age::ssh::Recipient::from_str(&format!("ssh-ed25519 {key}")) {
        Ok(recipient @ age::ssh::Recipient::SshEd25519(..)) => Ok(Recipient(recipient.to_string())),
        _ => Err(RecipientError::Ssh),
    }
}

/// The recipient as age uses it.
pub(crate) fn for_age(recipient: &Recipient) -> Result<Box<dyn age::Recipient>, RecipientError> {
    let known = parse_recipient(&recipient.0)?;
    if let Ok(native) = age::x25519::Recipient::from_str(&known.0) {
        return Ok(Box::new(native));
    }
    match age::ssh::Recipient::from_str(&known.0) {
        Ok(ssh) => Ok(Box::new(ssh)),
        Err(_) => Err(RecipientError::Ssh),
    }
}
