//! The engine to connect to, and how it is authenticated.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio_rustls::rustls::Error as TlsError;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::server::ParsedCertificate;

/// An engine to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Over the local socket of the engine on this host.
    Socket(PathBuf),
    /// Over TLS.
    Tls {
        /// A name, an IPv4 address, or an IPv6 address without brackets.
        host: String,
        /// The TCP port.
        port: u16,
        /// How the engine is authenticated.
        trust: Trust,
    },
}

/// How an engine is authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// By its key; the rest of the certificate is ignored.
    Pin(Pin),
    /// By a certificate for its name, signed by one of these authorities or equal to one of them; PEM.
    Ca(Vec<u8>),
    /// By a certificate for its name, signed by an authority that this system trusts.
    System,
}

/// A public key pin: SHA-256 over the `SubjectPublicKeyInfo` of the certificate, as in RFC 7469. Written as `sha256:`
/// and 64 hexadecimal digits. It is not a secret.
#[derive(Clone, Copy)]
pub struct Pin([u8; 32]);

/// A text that is not a [`Pin`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a pin is `sha256:` and 64 hexadecimal digits; `banyan-engine pin` prints it on the engine's host"
)]
pub struct PinError;

impl Pin {
    /// The pin of a certificate.
    ///
    /// # Errors
    /// If it is not an X.509 certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, TlsError> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let info = parsed.subject_public_key_info();
        Ok(Self(Sha256::digest(&info).into()))
    }
}

impl PartialEq for Pin {
    /// Compares in constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Pin {}

impl FromStr for Pin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, PinError> {
        let digits = text.strip_prefix("sha256:").ok_or(PinError)?;
        let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
            return Err(PinError);
        };
        if pairs.len() != 32 {
            return Err(PinError);
        }
        let mut bytes = [0; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = (digit(*high)? << 4) | digit(*low)?;
        }
        Ok(Self(bytes))
    }
}

fn digit(text: u8) -> Result<u8, PinError> {
    let value = char::from(text).to_digit(16).ok_or(PinError)?;
    u8::try_from(value).map_err(|_| PinError)
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Tls { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tls { host, port, .. } => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[test]
    fn a_pin_is_read_as_it_is_written() {
        let pin: Pin = PIN.parse().unwrap();
        assert_eq!(pin.to_string(), PIN);
        let upper = PIN.to_uppercase().replace("SHA", "sha");
        assert_eq!(upper.parse(), Ok(pin), "digits may be upper case");
    }

    #[test]
    fn other_texts_are_not_pins() {
        let long = format!("{PIN}0");
        let longer = format!("{PIN}00");
        let plus = PIN.replace("00", "+0");
        let wide = PIN.replace("00", "é");
        for text in [
            "",
            "sha256:",
            &PIN[7..],
            &PIN[..70],
            &long,
            &longer,
            &plus,
            &wide,
        ] {
            assert_eq!(text.parse::<Pin>(), Err(PinError), "{text}");
        }
        assert_eq!(
            format!(" {PIN}").parse::<Pin>(),
            Err(PinError),
            "spaces are not ignored"
        );
    }

    #[test]
    fn an_ipv6_address_is_shown_in_brackets() {
        let target = |host: &str| Target::Tls {
            host: host.to_owned(),
            port: 50051,
            trust: Trust::System,
        };
        assert_eq!(target("::1").to_string(), "[::1]:50051");
        assert_eq!(
            target("engine.example.org").to_string(),
            "engine.example.org:50051"
        );
    }
}
