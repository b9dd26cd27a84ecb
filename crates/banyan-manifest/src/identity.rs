//! age identities: the private keys that decrypt sealed values.

use std::collections::BTreeSet;
use std::fmt;

use age::secrecy::ExposeSecret as _;
use age::ssh::{Identity as SshIdentity, Recipient as SshRecipient};
use banyan_core::{Recipient, SecretText};

/// One or more identities. They are never printed.
pub struct Identities {
    keys: Vec<Box<dyn age::Identity + Send + Sync>>,
    recipients: BTreeSet<Recipient>,
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({} of them)", self.keys.len())
    }
}

/// Why a text is not a usable identity file. The text itself is never repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Nothing but comments.
    #[error("it contains no identity; `age-keygen` generates one")]
    Empty,
    /// A line that is not an identity.
    #[error("line {line} is not an identity: expected AGE-SECRET-KEY-1… or an OpenSSH private key")]
    Unknown {
        /// The line, from 1.
        line: usize,
    },
    /// An identity of an age plugin or of another native type.
    #[error(
        "the identity in line {line} needs an age plugin or is post-quantum: only X25519 and ssh-ed25519 are supported"
    )]
    Plugin {
        /// The line, from 1.
        line: usize,
    },
    /// An identity protected by a passphrase.
    #[error(
        "the identity in line {line} is protected by a passphrase; use one without (`ssh-keygen -p` removes it from a copy of the key, `age -d` decrypts an encrypted identity file)"
    )]
    Passphrase {
        /// The line, from 1.
        line: usize,
    },
    /// An SSH key that is not ed25519.
    #[error("the type of the SSH key in line {line} is not supported; only ssh-ed25519 is")]
    SshType {
        /// The line, from 1.
        line: usize,
    },
    /// An SSH key that is truncated or does not decode.
    #[error("the SSH key that starts in line {line} is damaged")]
    Ssh {
        /// The line, from 1.
        line: usize,
    },
}

impl Identities {
    /// Reads the text of an identity file: any number of `AGE-SECRET-KEY-1…` lines and unencrypted OpenSSH ed25519
    /// keys, with comments and empty lines between them.
    ///
    /// # Errors
    /// If the text contains anything else, or no identity.
    pub fn from_text(text: &str) -> Result<Self, IdentityError> {
        let mut found = Self {
            keys: Vec::new(),
            recipients: BTreeSet::new(),
        };
        let mut lines = text.lines().zip(1..);
        while let Some((line, number)) = lines.next() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line == SSH_BEGIN {
                found.add_ssh(ssh_block(&mut lines), number)?;
            } else {
                found.add_native(line, number)?;
            }
        }
        if found.keys.is_empty() {
            return Err(IdentityError::Empty);
        }
        Ok(found)
    }

    /// Generates an X25519 identity: the identity, its text for a file, and its recipient.
    #[must_use]
    pub fn generate() -> (Self, SecretText, Recipient) {
        let key = age::x25519::Identity::generate();
        let text = SecretText::new(key.to_string().expose_secret().to_owned());
        let recipient = Recipient(key.to_public().to_string());
        let identities = Self {
            keys: vec![Box::new(key)],
            recipients: BTreeSet::from([recipient.clone()]),
        };
        (identities, text, recipient)
    }

    /// The recipients whose values these identities decrypt.
    #[must_use]
    pub fn recipients(&self) -> &BTreeSet<Recipient> {
        &self.recipients
    }

    pub(crate) fn as_age(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.keys
            .iter()
            .map(|key| key.as_ref() as &dyn age::Identity)
    }

    fn add_native(&mut self, text: &str, line: usize) -> Result<(), IdentityError> {
        let upper_start = text.get(.."AGE-SECRET-KEY-PQ-".len()).unwrap_or(text);
        if text == "-----BEGIN AGE ENCRYPTED FILE-----" || text.starts_with("age-encryption.org/") {
            return Err(IdentityError::Passphrase { line });
        }
        if text.starts_with("AGE-PLUGIN-") || upper_start == "AGE-SECRET-KEY-PQ-" {
            return Err(IdentityError::Plugin { line });
        }
        if text.starts_with("-----BEGIN ") {
            return Err(IdentityError::SshType { line });
        }
        let key: age::x25519::Identity =
            text.parse().map_err(|_| IdentityError::Unknown { line })?;
        self.recipients
            .insert(Recipient(key.to_public().to_string()));
        self.keys.push(Box::new(key));
        Ok(())
    }

    fn add_ssh(&mut self, block: Option<SecretText>, line: usize) -> Result<(), IdentityError> {
        let block = block.ok_or(IdentityError::Ssh { line })?;
        let key = SshIdentity::from_buffer(block.expose().as_bytes(), None)
            .map_err(|_| IdentityError::Ssh { line })?;
        match &key {
            SshIdentity::Encrypted(_) => return Err(IdentityError::Passphrase { line }),
            SshIdentity::Unsupported(_) => return Err(IdentityError::SshType { line }),
            SshIdentity::Unencrypted(_) => {}
        }
        let recipient = match SshRecipient::try_from(key.clone()) {
            Ok(recipient @ SshRecipient::SshEd25519(..)) => recipient,
            Ok(SshRecipient::SshRsa(..)) => return Err(IdentityError::SshType { line }),
            Err(_) => return Err(IdentityError::Ssh { line }),
        };
        self.recipients.insert(Recipient(recipient.to_string()));
        self.keys.push(Box::new(key));
        Ok(())
    }
}

const SSH_BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const SSH_END: &str = "-----END OPENSSH PRIVATE KEY-----";

/// The rest of an SSH key after its first line; `None` if its last line is missing.
fn ssh_block<'a>(lines: &mut impl Iterator<Item = (&'a str, usize)>) -> Option<SecretText> {
    let mut rest = Vec::new();
    for (line, _) in lines {
        let line = line.trim();
        rest.push(line);
        if line == SSH_END {
            // One allocation: growing would leave unwiped copies behind.
            let length = rest.iter().map(|line| line.len() + 1).sum::<usize>();
            let mut block = String::with_capacity(SSH_BEGIN.len() + 1 + length);
            for line in std::iter::once(&SSH_BEGIN).chain(&rest) {
                block.push_str(line);
                block.push('\n');
            }
            return Some(SecretText::new(block));
        }
    }
    None
}
