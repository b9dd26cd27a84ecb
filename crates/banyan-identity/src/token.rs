//! The claims of a token, and the reasons to refuse one.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Longer tokens are refused unread. An access token of a user with every role and permission has about 1 KiB.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// How far in the future an `iat` may be: several engines issue tokens, and their clocks differ a little. `exp` has no such
/// leeway.
const CLOCKS_APART: i64 = 30;

/// What every token of one cluster has in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `iss` of all tokens.
    pub issuer: String,
    /// `aud` of all tokens.
    pub audience: String,
    /// How long an access token is valid.
    pub access_expiry: Duration,
    /// How long a refresh token, and with it an unused session, is valid.
    pub refresh_expiry: Duration,
}

/// The purpose of a token. It is in the token's header (`typ`, RFC 8725 §3.11), so that one cannot be used as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Sent with each call (the type of RFC 9068).
    Access,
    /// Exchanged for the next pair of tokens.
    Refresh,
}

impl Kind {
    pub(crate) fn typ(self) -> &'static str {
        match self {
            Self::Access => "at+jwt",
            Self::Refresh => "rt+jwt",
        }
    }
}

/// The claims of a token. Roles and permissions are for other services: the engine looks them up on every call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The user's id, which is never reused.
    pub sub: String,
    /// The user's name.
    pub name: String,
    /// The user's e-mail address, if known.
    pub email: Option<String>,
    /// Role names; in access tokens only.
    pub roles: Vec<String>,
    /// Permission names; in access tokens only.
    pub permissions: Vec<String>,
    /// The session's id.
    pub sid: String,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// When it expires: not valid from this second on.
    pub exp: i64,
    /// The issuer.
    pub iss: String,
    /// The audience.
    pub aud: String,
    /// The token's own id.
    pub jti: String,
}

/// The claims as they are serialized. The order of the fields fixes the bytes, which are the same for the same claims: a
/// refresh token whose response was lost is reproduced, not stored.
#[derive(Serialize)]
pub(crate) struct Written<'a> {
    sub: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<&'a [String]>,
    sid: &'a str,
    iat: i64,
    exp: i64,
    iss: &'a str,
    aud: &'a str,
    jti: &'a str,
}

impl Claims {
    pub(crate) fn written(&self, kind: Kind) -> Written<'_> {
        let access = kind == Kind::Access;
        Written {
            sub: &self.sub,
            name: &self.name,
            email: self.email.as_deref(),
            roles: access.then_some(self.roles.as_slice()),
            permissions: access.then_some(self.permissions.as_slice()),
            sid: &self.sid,
            iat: self.iat,
            exp: self.exp,
            iss: &self.iss,
            aud: &self.aud,
            jti: &self.jti,
        }
    }

    /// The claims of a token whose signature is valid.
    pub(crate) fn read(
        json: &[u8],
        kind: Kind,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Self, TokenError> {
        let claims = object::<Read>(json)?.complete(kind)?;
        if claims.iss != settings.issuer {
            return Err(TokenError::WrongIssuer);
        }
        if claims.aud != settings.audience {
            return Err(TokenError::WrongAudience);
        }
        if claims.iat > now.as_second().saturating_add(CLOCKS_APART) {
            return Err(TokenError::Malformed);
        }
        claims.still_good(now)?;
        Ok(claims)
    }

    /// Whether `exp` is in the future.
    pub(crate) fn still_good(&self, now: Timestamp) -> Result<(), TokenError> {
        if self.exp <= now.as_second() {
            return Err(TokenError::Expired);
        }
        Ok(())
    }
}

/// Claims as received: an absent claim is distinguished from one of the wrong type, and unknown claims are ignored
/// (RFC 7519 §4). A duplicate claim is an error.
#[derive(Deserialize)]
struct Read {
    sub: Option<String>,
    name: Option<String>,
    email: Option<String>,
    roles: Option<Vec<String>>,
    permissions: Option<Vec<String>>,
    sid: Option<String>,
    iat: Option<i64>,
    exp: Option<i64>,
    iss: Option<String>,
    aud: Option<String>,
    jti: Option<String>,
}

impl Read {
    fn complete(self, kind: Kind) -> Result<Claims, TokenError> {
        use TokenError::Missing;
        let list = |given: Option<Vec<String>>, claim| match kind {
            Kind::Access => given.ok_or(Missing(claim)),
            Kind::Refresh => Ok(Vec::new()),
        };
        Ok(Claims {
            sub: self.sub.ok_or(Missing("sub"))?,
            name: self.name.ok_or(Missing("name"))?,
            email: self.email,
            roles: list(self.roles, "roles")?,
            permissions: list(self.permissions, "permissions")?,
            sid: self.sid.ok_or(Missing("sid"))?,
            iat: self.iat.ok_or(Missing("iat"))?,
            exp: self.exp.ok_or(Missing("exp"))?,
            iss: self.iss.ok_or(Missing("iss"))?,
            aud: self.aud.ok_or(Missing("aud"))?,
            jti: self.jti.ok_or(Missing("jti"))?,
        })
    }
}

/// A JSON object, and nothing else: serde would take an array for a struct, too.
pub(crate) fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, TokenError> {
    if json.first() != Some(&b'{') {
        return Err(TokenError::Malformed);
    }
    serde_json::from_slice(json).map_err(|_| TokenError::Malformed)
}

/// Why a token is refused. The messages contain nothing of the token, and nothing that its bearer could not know; claims
/// are mentioned only for tokens whose signature is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenError {
    /// Not a token at all, or one with a claim of the wrong type.
    #[error("the token is malformed: log in again")]
    Malformed,
    /// A refresh token in place of an access token, the reverse, or another JWT.
    #[error(
        "this is another kind of token: access tokens are for calls, refresh tokens only for refreshing"
    )]
    WrongType,
    /// No key is named.
    #[error("the token does not name its key (kid): log in again")]
    MissingKid,
    /// The named key is not, or is no longer, one of ours.
    #[error("the token was signed with a key that is not in use here: log in again")]
    UnknownKey,
    /// Signed with another key or algorithm, or altered.
    #[error("the token's signature is wrong: log in again")]
    BadSignature,
    /// A claim is absent.
    #[error("the token has no `{0}`: log in again")]
    Missing(&'static str),
    /// From another issuer.
    #[error("the token comes from another issuer: log in here")]
    WrongIssuer,
    /// For another audience.
    #[error("the token was made for another audience: log in here")]
    WrongAudience,
    /// It has expired.
    #[error("the token has expired: refresh it or log in again")]
    Expired,
}
