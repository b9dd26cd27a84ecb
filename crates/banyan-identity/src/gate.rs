//! The decision about a call, before any of its body is read.

use std::collections::BTreeMap;
use std::time::Duration;

use banyan_core::people::Directory;
use banyan_core::{Access, Denial, Permission, SessionId, UserId};
use jiff::Timestamp;

use crate::caller::{Caller, PeerAddr};
use crate::keyring::Keyring;
use crate::token::{Claims, Kind, Settings, TokenError};
use crate::token_cache::TokenCache;

/// The greatest age of the view of users at which they are still served.
pub const STALE_LIMIT: Duration = Duration::from_secs(15 * 60);

/// How many verified tokens are cached.
const CACHED: usize = 16_384;

/// The requirement of one path.
struct Required {
    access: Access,
    /// The permissions of which one is enough.
    permissions: Vec<Permission>,
}

/// A call that is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// Why; `None` if nothing is served at the path.
    pub denial: Option<Denial>,
    /// Who called, if that is known.
    pub caller: Option<Caller>,
}

impl From<Denial> for Denied {
    fn from(denial: Denial) -> Self {
        Self {
            denial: Some(denial),
            caller: None,
        }
    }
}

/// A call.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The path, such as `/banyan.v1.UserService/ListUsers`.
    pub path: &'a str,
    /// The token that came with it.
    pub token: Option<&'a str>,
    /// Where it comes from.
    pub from: PeerAddr,
}

/// What is known when a call is decided.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// All users, sessions and roles.
    pub directory: Directory<'a>,
    /// How old that is; `None` if it was never read.
    pub age: Option<Duration>,
    /// The accepted signing keys. Asked only if the call has a token.
    pub keyring: &'a dyn Fn() -> Option<Keyring>,
    /// The time.
    pub now: Timestamp,
}

/// Decides who may call what.
pub struct Gate {
    settings: Settings,
    tokens: TokenCache,
    required: BTreeMap<&'static str, Required>,
}

impl Gate {
    /// A gate with the requirement of each path. A path that is not listed is denied to everybody.
    pub fn new(
        paths: impl IntoIterator<Item = (&'static str, Access)>,
        settings: Settings,
    ) -> Self {
        let required = paths.into_iter().filter_map(|(path, access)| {
            let permissions = match access {
                Access::Permission { permission, or, .. } => {
                    let all = [Some(permission), or].into_iter().flatten();
                    all.map(str::parse).collect::<Result<_, _>>().ok()?
                }
                _ => Vec::new(),
            };
            Some((
                path,
                Required {
                    access,
                    permissions,
                },
            ))
        });
        Self {
            settings,
            tokens: TokenCache::new(CACHED),
            required: required.collect(),
        }
    }

    /// Authenticates and authorizes a call.
    ///
    /// # Errors
    /// The call is denied.
    pub fn authorize(&self, call: Call<'_>, known: Known<'_>) -> Result<Caller, Denied> {
        let Some(required) = self.required.get(call.path) else {
            return Err(Denied {
                denial: None,
                caller: None,
            });
        };
        if required.access == Access::Anonymous {
            let via = call.from.to_string();
            return Ok(Caller::Anonymous { via });
        }
        let caller = self.authenticate(call, known)?;
        match missing_permission(&caller, required, known) {
            None => Ok(caller),
            Some(denial) => Err(Denied {
                denial: Some(denial),
                caller: Some(caller),
            }),
        }
    }

    /// Who calls. A token counts on the local socket, too: then the call is the user's, not the host's.
    fn authenticate(&self, call: Call<'_>, known: Known<'_>) -> Result<Caller, Denial> {
        let Some(token) = call.token else {
            return match call.from {
                PeerAddr::Socket { uid } => Ok(Caller::Host { uid }),
                _ => Err(Denial::NoToken),
            };
        };
        if known.age.is_none_or(|age| age > STALE_LIMIT) {
            return Err(Denial::CutOff);
        }
        let keyring = (known.keyring)().ok_or(Denial::BadSignature)?;
        let claims = (self.tokens)
            .verify(&keyring, Kind::Access, token, &self.settings, known.now)
            .map_err(Denial::from)?;
        session_user(&claims, call.from, known)
    }
}

/// The denial if the caller lacks what the path requires.
fn missing_permission(caller: &Caller, required: &Required, known: Known<'_>) -> Option<Denial> {
    if let Caller::Host { .. } = caller {
        return None;
    }
    match required.access {
        Access::Host => return Some(host_only()),
        Access::Permission { own: false, .. } => {}
        _ => return None,
    }
    let mut any = required.permissions.iter();
    if any.any(|permission| caller.may(permission, known.directory, known.now)) {
        return None;
    }
    let names: Vec<&str> = (required.permissions.iter().map(Permission::as_str)).collect();
    Some(Denial::lacks(names.join(" or ")))
}

/// The user with a live session that a token belongs to.
fn session_user(claims: &Claims, from: PeerAddr, known: Known<'_>) -> Result<Caller, Denial> {
    let id: UserId = claims.sub.parse().map_err(|_| Denial::Malformed)?;
    let sid: SessionId = claims.sid.parse().map_err(|_| Denial::Malformed)?;
    let sessions = &known.directory.people.sessions;
    let session = sessions.get(&sid).ok_or(Denial::SessionEnded)?;
    if session.user != id {
        return Err(Denial::SessionEnded);
    }
    if known.directory.session_end(session, known.now).is_some() {
        return Err(Denial::SessionEnded);
    }
    Ok(Caller::User {
        id,
        name: session.name.clone(),
        session: sid,
        token_expires: Timestamp::from_second(claims.exp).map_err(|_| Denial::Malformed)?,
        via: from.to_string(),
    })
}

/// The denial of a call that only the engine's host may make.
#[must_use]
pub fn host_only() -> Denial {
    Denial::NotPermitted {
        why: "only the engine's host may do this: run it there, as root, over the local socket"
            .to_owned(),
    }
}

impl From<TokenError> for Denial {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Expired => Self::Expired,
            TokenError::MissingKid => Self::MissingKid,
            TokenError::Missing("sub") => Self::MissingSub,
            TokenError::WrongAudience => Self::WrongAudience,
            TokenError::BadSignature | TokenError::UnknownKey => Self::BadSignature,
            TokenError::Malformed
            | TokenError::WrongType
            | TokenError::WrongIssuer
            | TokenError::Missing(_) => Self::Malformed,
        }
    }
}
