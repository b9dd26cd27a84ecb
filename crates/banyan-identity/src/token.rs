//! What a token says, and the ways in which one can be no good.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Longer tokens are not looked at. An access token of a user with every role and permission has about 1 KiB.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// How far an `iat` may lie ahead of the own clock: the tokens are made by several engines, and their clocks differ a
/// little. `exp` has no such leeway.
const CLOCKS_APART: i64 = 30;

/// What every token of one cluster has in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `iss` of all tokens.
    pub issuer: String,
    /// `aud` of all tokens.
    pub audience: String,
    /// How long an access token is good for.
    pub access_expiry: Duration,
    /// How long a refresh token, and with it the session, is good for without being used.
    pub refresh_expiry: Duration,
}

/// What a token is for. It is in the token's header (`typ`, RFC 8725 §3.11), so that neither passes as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Shown with each call (RFC 9068's type).
    Access,
    /// Shown to get the next pair of tokens.
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

/// What a token claims. Roles and permissions are for others to read: the engine looks them up on every call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The user's id, never used for another.
    pub sub: String,
    /// The user's name.
    pub name: String,
    /// The user's mail address, where known.
    pub email: Option<String>,
    /// Role names; in access tokens only.
    pub roles: Vec<String>,
    /// Permission names; in access tokens only.
    pub permissions: Vec<String>,
    /// The session's id.
    pub sid: String,
    /// Made at, in seconds since 1970.
    pub iat: i64,
    /// No longer good from this second on.
    pub exp: i64,
    /// Who made it.
    pub iss: String,
    /// For whom it was made.
    pub aud: String,
    /// The token's own id.
    pub jti: String,
}

/// The claims as they are written. The order of the fields is that of the bytes, which are the same for the same
/// claims: a refresh token whose answer was lost is made again, not remembered.
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

    /// The claims in a token whose signature is right.
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

    /// Whether `exp` is yet to come.
    pub(crate) fn still_good(&self, now: Timestamp) -> Result<(), TokenError> {
        if self.exp <= now.as_second() {
            return Err(TokenError::Expired);
        }
        Ok(())
    }
}

/// Claims as they come in: a claim that is absent is told from one of the wrong type, and claims that we do not know
/// are let be (RFC 7519 §4). A claim that is there twice is an error.
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

/// Why a token is refused. The texts hold nothing of the token, and say nothing that its bearer could not know; what
/// they say about claims is said only of tokens whose signature is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenError {
    /// Not a token at all, or one with a claim of the wrong type.
    #[error("the token is malformed: log in again")]
    Malformed,
    /// A refresh token where an access token belongs, the other way round, or some other JWT.
    #[error(
        "this is another kind of token: access tokens are for calls, refresh tokens only for refreshing"
    )]
    WrongType,
    /// No key is named.
    #[error("the token does not name its key (kid): log in again")]
    MissingKid,
    /// The key named is not, or no longer, one of ours.
    #[error("the token was signed with a key that is not in use here: log in again")]
    UnknownKey,
    /// Signed by somebody else, or altered, or with another algorithm.
    #[error("the token's signature is wrong: log in again")]
    BadSignature,
    /// A claim is not there.
    #[error("the token has no `{0}`: log in again")]
    Missing(&'static str),
    /// Made by another issuer.
    #[error("the token comes from another issuer: log in here")]
    WrongIssuer,
    /// Made for others.
    #[error("the token was made for another audience: log in here")]
    WrongAudience,
    /// Its time is over.
    #[error("the token has expired: refresh it or log in again")]
    Expired,
}
