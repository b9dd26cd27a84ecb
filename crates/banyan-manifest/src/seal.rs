//! Sealing and opening: a payload to an armored age file and back.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{DecryptError, Decryptor, Encryptor};
use banyan_core::{Recipient, recipients_digest};
use zeroize::Zeroizing;

use crate::form::Form;
use crate::identity::Identities;
use crate::limits::{MAX_PAYLOAD_BYTES, MAX_RECIPIENTS, MAX_SEALED_BYTES};
use crate::payload::{Payload, PayloadError};
use crate::recipient::{RecipientError, for_age};

/// Why a value could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// No recipient.
    #[error("no recipients to seal for")]
    NoRecipients,
    /// More than [`MAX_RECIPIENTS`].
    #[error("a value is sealed for at most {MAX_RECIPIENTS} recipients, not for {0}")]
    TooManyRecipients(usize),
    /// A recipient that age cannot seal for.
    #[error("cannot seal for {recipient}")]
    Recipient {
        /// The recipient.
        recipient: Recipient,
        /// What is wrong with it.
        source: RecipientError,
    },
    /// The payload names other recipients than it is sealed for.
    #[error("the payload names other recipients than it is to be sealed for")]
    OtherRecipients,
    /// The payload could not be read back: its value has a line feed, or is too long.
    #[error("the value cannot be sealed")]
    Payload(#[source] PayloadError),
    /// age failed.
    #[error("age could not seal the value")]
    Age(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a sealed value could not be opened. The content is never repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not armored, or longer than [`MAX_SEALED_BYTES`].
    #[error("{0}")]
    Armor(String),
    /// More than [`MAX_RECIPIENTS`].
    #[error("it names more than {MAX_RECIPIENTS} recipients")]
    TooManyRecipients,
    /// None of the identities is among its recipients.
    #[error("it is not sealed for this identity")]
    NotRecipient,
    /// Sealed under a passphrase.
    #[error("it is sealed under a passphrase, not for recipients")]
    Passphrase,
    /// Damaged or truncated.
    #[error("it is damaged or truncated")]
    Corrupt,
    /// The plaintext is not a payload.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

/// Seals a payload for recipients, as an armored age file.
///
/// # Errors
/// If there is no recipient or age rejects one, or the payload names other recipients or could not be read back.
pub fn seal(payload: &Payload, recipients: &BTreeSet<Recipient>) -> Result<String, SealError> {
    if recipients.is_empty() {
        return Err(SealError::NoRecipients);
    }
    if recipients.len() > MAX_RECIPIENTS {
        return Err(SealError::TooManyRecipients(recipients.len()));
    }
    if payload.recipients != recipients_digest(recipients) {
        return Err(SealError::OtherRecipients);
    }
    let text = payload.to_text();
    Payload::parse(text.expose().as_bytes()).map_err(SealError::Payload)?;
    let keys = recipients
        .iter()
        .map(|recipient| {
            for_age(recipient).map_err(|source| SealError::Recipient {
                recipient: recipient.clone(),
                source,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    encrypt(text.expose(), &keys).map_err(SealError::Age)
}

fn encrypt(
    text: &str,
    keys: &[Box<dyn age::Recipient>],
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let encryptor = Encryptor::with_recipients(keys.iter().map(AsRef::as_ref))?;
    let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
    let mut writer = encryptor.wrap_output(armor)?;
    writer.write_all(text.as_bytes())?;
    Ok(String::from_utf8(writer.finish()?.finish()?)?)
}

/// Opens an armored age file with any of the identities.
///
/// # Errors
/// If the text is not an armored age file, is for none of the identities, is damaged, exceeds a limit, or holds no payload.
pub fn open(armored: &str, identities: &Identities) -> Result<Payload, OpenError> {
    Form::Armor.check(armored).map_err(OpenError::Armor)?;
    let sealed = dearmor(armored.trim())?;
    if stanzas(&sealed) > MAX_RECIPIENTS {
        return Err(OpenError::TooManyRecipients);
    }
    let decryptor = Decryptor::new_buffered(&*sealed).map_err(|_| OpenError::Corrupt)?;
    if decryptor.is_scrypt() {
        return Err(OpenError::Passphrase);
    }
    let reader = decryptor
        .decrypt(identities.as_age())
        .map_err(|error| match error {
            DecryptError::NoMatchingKeys => OpenError::NotRecipient,
            _ => OpenError::Corrupt,
        })?;
    // Allocate once: growing would leave copies of the plaintext behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(MAX_PAYLOAD_BYTES + 1));
    reader
        .take(MAX_PAYLOAD_BYTES as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(|_| OpenError::Corrupt)?;
    Ok(Payload::parse(&plain)?)
}

fn dearmor(armored: &str) -> Result<Vec<u8>, OpenError> {
    let mut sealed = Vec::with_capacity(armored.len());
    ArmoredReader::new(armored.as_bytes())
        .take(MAX_SEALED_BYTES as u64)
        .read_to_end(&mut sealed)
        .map_err(|_| OpenError::Corrupt)?;
    Ok(sealed)
}

/// The number of recipients in the header, counted before any key is tried.
fn stanzas(sealed: &[u8]) -> usize {
    sealed
        .split(|byte| *byte == b'\n')
        .take_while(|line| !line.starts_with(b"---"))
        .filter(|line| line.starts_with(b"-> "))
        .count()
}
