//! The keys that sign tokens, and the verification of tokens.
//!
//! The format is a JWS in compact form (RFC 7515). Header and claims are parsed here, strictly; only the signature is left
//! to the library. The library's own validation has unsuitable defaults (a minute of leeway, optional claims, `typ` not
//! checked) and reads the clock.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use banyan_core::SecretText;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::token::{Claims, Kind, MAX_TOKEN_BYTES, Settings, TokenError, object};

/// The secret half of an Ed25519 key (RFC 8032); wiped when dropped.
pub type Seed = Zeroizing<[u8; 32]>;

/// The shortest shared secret, in bytes: as long as HS256's result (RFC 7518 §3.2).
pub const MIN_SECRET_BYTES: usize = 32;

/// What precedes the seed in an Ed25519 private key's DER (RFC 8410 §7).
const PKCS8_ED25519: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The keys of a cluster. Cheap to clone; never changes.
#[derive(Clone)]
pub struct Keyring {
    keys: Arc<Keys>,
}

struct Keys {
    mode: Mode,
    /// Distinguishes keyrings without revealing a secret.
    identity: [u8; 32],
}

enum Mode {
    Ed25519 {
        keys: BTreeMap<String, Pair>,
        signing: String,
    },
    Shared(Pair),
}

struct Pair {
    sign: EncodingKey,
    verify: DecodingKey,
    /// The public key as a JWK writes it; empty for a shared secret.
    x: String,
}

/// Why there is no keyring, or why it does not sign.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The secret can be guessed.
    #[error(
        "the shared secret has {bytes} bytes and needs at least {MIN_SECRET_BYTES}: make one with `openssl rand -hex 32`"
    )]
    ShortSecret {
        /// How many it has.
        bytes: usize,
    },
    /// Two keys with one id.
    #[error("two signing keys have the id {0:?}")]
    Twice(String),
    /// The key to sign with is not among the keys.
    #[error("the signing key {0:?} is not among the keys")]
    NoSuchKey(String),
    /// The library refuses a key, or to sign with it.
    #[error("cannot sign tokens")]
    Signing(#[source] jsonwebtoken::errors::Error),
    /// A token that no verifier would accept.
    #[error(
        "the token would have {bytes} bytes, and more than {MAX_TOKEN_BYTES} are refused: the user has too many roles and permissions"
    )]
    TooLong {
        /// How many it would have.
        bytes: usize,
    },
}

impl Keyring {
    /// Ed25519 keys by id. All of them verify and are published, one of them signs.
    ///
    /// # Errors
    /// When two keys have the same id, or none has the id of the key to sign with.
    pub fn ed25519(
        keys: impl IntoIterator<Item = (String, Seed)>,
        signing_kid: &str,
    ) -> Result<Self, KeyringError> {
        let mut pairs = BTreeMap::new();
        let mut identity = Sha256::new_with_prefix(b"banyan keyring ed25519");
        for (kid, seed) in keys {
            if pairs.contains_key(&kid) {
                return Err(KeyringError::Twice(kid));
            }
            pairs.insert(kid, Pair::ed25519(&seed).map_err(KeyringError::Signing)?);
        }
        if !pairs.contains_key(signing_kid) {
            return Err(KeyringError::NoSuchKey(signing_kid.to_owned()));
        }
        for (kid, pair) in &pairs {
            identity.update(kid.len().to_be_bytes());
            identity.update(kid);
            identity.update(&pair.x);
        }
        let mode = Mode::Ed25519 {
            keys: pairs,
            signing: signing_kid.to_owned(),
        };
        Ok(Self::of(mode, identity))
    }

    /// One secret for signing and verifying (HS256), for sharing with other programs. It publishes no keys.
    ///
    /// # Errors
    /// When the secret is shorter than [`MIN_SECRET_BYTES`].
    pub fn shared(secret: &SecretText) -> Result<Self, KeyringError> {
        let secret = secret.expose().as_bytes();
        if secret.len() < MIN_SECRET_BYTES {
            return Err(KeyringError::ShortSecret {
                bytes: secret.len(),
            });
        }
        let mut identity = Sha256::new_with_prefix(b"banyan keyring shared");
        identity.update(secret);
        let pair = Pair {
            sign: EncodingKey::from_secret(secret),
            verify: DecodingKey::from_secret(secret),
            x: String::new(),
        };
        Ok(Self::of(Mode::Shared(pair), identity))
    }

    fn of(mode: Mode, identity: Sha256) -> Self {
        let identity = identity.finalize().into();
        Self {
            keys: Arc::new(Keys { mode, identity }),
        }
    }

    /// The id of the key that signs; a shared secret has none.
    #[must_use]
    pub fn signing_kid(&self) -> Option<&str> {
        match &self.keys.mode {
            Mode::Ed25519 { signing, .. } => Some(signing),
            Mode::Shared(_) => None,
        }
    }

    /// A token with these claims. A refresh token leaves out roles and permissions, which are read again when it is used.
    /// The same claims under the same key give the same bytes.
    ///
    /// # Errors
    /// When the token would be longer than [`MAX_TOKEN_BYTES`].
    pub fn sign(&self, kind: Kind, claims: &Claims) -> Result<SecretText, KeyringError> {
        self.sign_with(None, kind, claims)
    }

    /// [`Keyring::sign`] with the key of this id, if it still exists, so that a token can be reproduced.
    ///
    /// # Errors
    /// As for [`Keyring::sign`].
    pub fn sign_with(
        &self,
        kid: Option<&str>,
        kind: Kind,
        claims: &Claims,
    ) -> Result<SecretText, KeyringError> {
        let (kid, pair, algorithm) = match &self.keys.mode {
            Mode::Shared(pair) => (None, pair, Algorithm::HS256),
            Mode::Ed25519 { keys, signing } => {
                let (kid, pair) = kid
                    .and_then(|kid| keys.get_key_value(kid))
                    .or_else(|| keys.get_key_value(signing))
                    .ok_or_else(|| KeyringError::NoSuchKey(signing.clone()))?;
                (Some(kid.clone()), pair, Algorithm::EdDSA)
            }
        };
        let mut header = Header::new(algorithm);
        header.typ = Some(kind.typ().to_owned());
        header.kid = kid;
        let token = jsonwebtoken::encode(&header, &claims.written(kind), &pair.sign)
            .map_err(KeyringError::Signing)?;
        let token = SecretText::new(token);
        let bytes = token.expose().len();
        if bytes > MAX_TOKEN_BYTES {
            return Err(KeyringError::TooLong { bytes });
        }
        Ok(token)
    }

    /// The claims of a token of this kind, if it is ours and valid at `now`.
    ///
    /// There is no leeway: at `exp` it has expired. An `iat` up to 30 s in the future is accepted, because another engine's
    /// clock may be ahead. The headers `jwk`, `jku`, `x5u` and `x5c` are ignored; `crit` is refused, because none of the
    /// extensions it could name is supported (RFC 7515 §4.1.11).
    ///
    /// # Errors
    /// The first problem, in this order: form, type and key, signature, claims.
    pub fn verify(
        &self,
        kind: Kind,
        token: &str,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Claims, TokenError> {
        let parts = Parts::of(token)?;
        let header = decoded(parts.header)?;
        let header: ReadHeader = object(&header)?;
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        if header.typ.as_deref() != Some(kind.typ()) {
            return Err(TokenError::WrongType);
        }
        let (key, algorithm) = self.key_for(&header)?;
        let message = parts.message.as_bytes();
        match jsonwebtoken::crypto::verify(parts.signature, message, key, algorithm) {
            Ok(true) => {}
            Ok(false) | Err(_) => return Err(TokenError::BadSignature),
        }
        Claims::read(&decoded(parts.claims)?, kind, settings, now)
    }

    /// The key that the header names. The algorithm is the key's, never the header's choice.
    fn key_for(&self, header: &ReadHeader) -> Result<(&DecodingKey, Algorithm), TokenError> {
        let (key, algorithm, name) = match &self.keys.mode {
            Mode::Shared(pair) => (&pair.verify, Algorithm::HS256, "HS256"),
            Mode::Ed25519 { keys, .. } => {
                let kid = header.kid.as_ref().ok_or(TokenError::MissingKid)?;
                let pair = keys.get(kid).ok_or(TokenError::UnknownKey)?;
                (&pair.verify, Algorithm::EdDSA, "EdDSA")
            }
        };
        if header.alg != name {
            return Err(TokenError::BadSignature);
        }
        Ok((key, algorithm))
    }

    /// The public keys as a JWK set (RFC 7517, RFC 8037); none for a shared secret.
    #[must_use]
    pub fn jwks(&self) -> String {
        let keys = match &self.keys.mode {
            Mode::Ed25519 { keys, .. } => keys
                .iter()
                .map(|(kid, pair)| PublicJwk::new(kid, &pair.x))
                .collect(),
            Mode::Shared(_) => Vec::new(),
        };
        // Strings under fixed names: this cannot fail.
        serde_json::to_string(&JwkSet { keys }).unwrap_or_default()
    }

    /// Differs for each set of keys.
    pub(crate) fn identity(&self) -> &[u8; 32] {
        &self.keys.identity
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.keys.mode {
            Mode::Ed25519 { keys, signing } => f
                .debug_struct("Keyring")
                .field("keys", &keys.keys())
                .field("signing", signing)
                .finish(),
            Mode::Shared(_) => f.write_str("Keyring(a shared secret)"),
        }
    }
}

impl Pair {
    fn ed25519(seed: &Seed) -> Result<Self, jsonwebtoken::errors::Error> {
        let der = Zeroizing::new([PKCS8_ED25519.as_slice(), seed.as_slice()].concat());
        let sign = EncodingKey::from_ed_der(&der);
        let AlgorithmParameters::OctetKeyPair(public) =
            Jwk::from_encoding_key(&sign, Algorithm::EdDSA)?.algorithm
        else {
            return Err(jsonwebtoken::errors::ErrorKind::InvalidEddsaKey.into());
        };
        Ok(Self {
            verify: DecodingKey::from_ed_components(&public.x)?,
            sign,
            x: public.x,
        })
    }
}

/// The texts between the two dots.
struct Parts<'a> {
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
    /// What is signed: header and claims with the dot between them.
    message: &'a str,
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(TokenError::Malformed)?;
        Ok(Self {
            header,
            claims,
            signature,
            message,
        })
    }
}

/// A third dot and everything else that is not base64url fails here.
fn decoded(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Malformed)
}

/// The header fields that matter. A duplicate field is an error.
#[derive(Deserialize)]
struct ReadHeader {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Serialize)]
struct JwkSet<'a> {
    keys: Vec<PublicJwk<'a>>,
}

#[derive(Serialize)]
struct PublicJwk<'a> {
    kty: &'static str,
    crv: &'static str,
    #[serde(rename = "use")]
    purpose: &'static str,
    alg: &'static str,
    kid: &'a str,
    x: &'a str,
}

impl<'a> PublicJwk<'a> {
    fn new(kid: &'a str, x: &'a str) -> Self {
        Self {
            kty: "OKP",
            crv: "Ed25519",
            purpose: "sig",
            alg: "EdDSA",
            kid,
            x,
        }
    }
}

#[cfg(test)]
mod attacks;
#[cfg(test)]
pub(crate) mod tests;
