//! The plaintext of a sealed value: six lines that state the value and where it belongs.

use std::fmt::Write as _;

use banyan_core::{Digest, Kind, Name, Recipient, SecretText, recipients_digest};

use crate::limits::MAX_PAYLOAD_BYTES;

/// The field of a machine that can be sealed.
pub const PUBLIC_KEY: &str = "publicKey";
/// The field of a user that is sealed.
pub const PASSWORD_HASH: &str = "passwordHash";

const VERSION: &str = "banyan-sealed/v1";

/// A value and the field it belongs to, so that a ciphertext copied elsewhere is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The kind of the document.
    pub kind: Kind,
    /// The name of the document.
    pub name: Name,
    /// The field of `spec`, for example `publicKey`.
    pub field: String,
    /// Digest of the recipients it is sealed for.
    pub recipients: Digest,
    /// The value, one line.
    pub value: SecretText,
}

/// Why a plaintext is not a [`Payload`]. The plaintext is never repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Longer than [`MAX_PAYLOAD_BYTES`].
    #[error("its plaintext is longer than {MAX_PAYLOAD_BYTES} bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("its plaintext is not UTF-8")]
    NotText,
    /// Its first line names an unknown version.
    #[error("its plaintext has an unknown version; this program reads {VERSION}")]
    Version,
    /// Its first line is not that of any version.
    #[error("its plaintext does not start with the line `{VERSION}`: it was not sealed for Banyan")]
    NotBanyan,
    /// A line is missing or malformed.
    #[error("line {line} of its plaintext is not `{expected}: …`")]
    Line {
        /// The line, from 1.
        line: u8,
        /// What it should start with.
        expected: &'static str,
    },
    /// Content after the sixth line.
    #[error("its plaintext continues after line 6")]
    Trailing,
}

impl Payload {
    /// A value of a field of a document, for these recipients.
    #[must_use]
    pub fn new<'a>(
        kind: Kind,
        name: Name,
        field: &str,
        value: SecretText,
        recipients: impl IntoIterator<Item = &'a Recipient>,
    ) -> Self {
        Self {
            kind,
            name,
            field: field.to_owned(),
            recipients: recipients_digest(recipients),
            value,
        }
    }

    /// The six lines, each ending in a line feed.
    #[must_use]
    pub fn to_text(&self) -> SecretText {
        let value = self.value.expose();
        // Allocate once: growing would leave copies of the secret behind.
        let mut text =
            String::with_capacity(256 + self.name.as_str().len() + self.field.len() + value.len());
        let kind = self.kind.in_document();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{VERSION}\nkind: {kind}\nname: {}\nfield: {}\nrecipients: {}\nvalue: {value}\n",
            self.name, self.field, self.recipients
        );
        SecretText::new(text)
    }

    /// Reads the six lines; the line feed after the last may be missing.
    ///
    /// # Errors
    /// If the text is anything else.
    pub fn parse(bytes: &[u8]) -> Result<Self, PayloadError> {
        if bytes.len() > MAX_PAYLOAD_BYTES {
            return Err(PayloadError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| PayloadError::NotText)?;
        let mut lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
        match lines.next() {
            Some(VERSION) => {}
            Some(line) if line.starts_with("banyan-sealed/") => return Err(PayloadError::Version),
            _ => return Err(PayloadError::NotBanyan),
        }
        let mut read = |line: u8, expected: &'static str| {
            let found = lines.next().and_then(|text| text.strip_prefix(expected));
            let value = found.and_then(|text| text.strip_prefix(": "));
            value.ok_or(PayloadError::Line { line, expected })
        };
        let (kind, name) = (read(2, "kind")?, read(3, "name")?);
        let (field, digest, value) = (read(4, "field")?, read(5, "recipients")?, read(6, "value")?);
        if lines.next().is_some() {
            return Err(PayloadError::Trailing);
        }
        let wrong = |line, expected| PayloadError::Line { line, expected };
        let is_field = !field.is_empty() && field.bytes().all(|b| b.is_ascii_alphanumeric());
        Ok(Self {
            kind: kind_of(kind).ok_or(wrong(2, "kind"))?,
            name: name.parse().map_err(|_| wrong(3, "name"))?,
            field: is_field
                .then(|| field.to_owned())
                .ok_or(wrong(4, "field"))?,
            recipients: digest_of(digest).ok_or(wrong(5, "recipients"))?,
            value: SecretText::new(value.to_owned()),
        })
    }
}

/// The kind that a document's `kind:` names.
pub(crate) fn kind_of(text: &str) -> Option<Kind> {
    Kind::ALL
        .into_iter()
        .find(|kind| kind.in_document() == text)
}

fn digest_of(text: &str) -> Option<Digest> {
    let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 64 || !text.bytes().all(is_hex) {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(Digest(digest))
}
