//! The decision about a call, before any of it is read.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use banyan_api::{ACCESS, Access, Denial};
use banyan_core::{Permission, SessionId, UserId};
use banyan_identity::{Claims, Kind, Settings, TokenCache, TokenError};
use banyan_state::{State, View};
use jiff::Timestamp;

use super::{Caller, KeyringCache, LOCAL};

/// How old the live view may be while people are let in by it.
pub(crate) const STALE_LIMIT: Duration = Duration::from_secs(15 * 60);

/// How many tokens are remembered as checked.
const SEEN: usize = 16_384;

/// Where a call comes from, by the kernel's word or a trusted proxy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerAddr {
    /// The local socket, which only the host's root and the engine's own user can open.
    Socket {
        /// The process's user id.
        uid: u32,
    },
    /// The network.
    Address(IpAddr),
    /// Something that does not say where it comes from.
    Unknown,
}

impl std::fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket { .. } => f.write_str(LOCAL),
            Self::Address(address) => write!(f, "{address}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// What one path takes.
struct Takes {
    access: Access,
    permission: Option<Permission>,
}

/// A call that is not let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denied {
    /// Why; `None` for a path that there is no service for.
    pub(crate) denial: Option<Denial>,
    /// By whom it is, where that is known.
    pub(crate) caller: Option<Caller>,
}

impl From<Denial> for Denied {
    fn from(denial: Denial) -> Self {
        Self {
            denial: Some(denial),
            caller: None,
        }
    }
}

/// Decides who may call.
pub(crate) struct Gate {
    state: Arc<State>,
    keys: Arc<KeyringCache>,
    settings: Settings,
    seen: TokenCache,
    takes: BTreeMap<&'static str, Takes>,
}

impl Gate {
    pub(crate) fn new(state: Arc<State>, keys: Arc<KeyringCache>, settings: Settings) -> Self {
        let rows = ACCESS.iter().filter_map(|(path, access)| {
            let access = (*access)?;
            let permission = match access {
                Access::Permission { permission, .. } => Some(permission.parse().ok()?),
                _ => None,
            };
            Some((*path, Takes { access, permission }))
        });
        Self {
            state,
            keys,
            settings,
            seen: TokenCache::new(SEEN),
            takes: rows.collect(),
        }
    }

    /// Whether a call may be made, and by whom it is.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn authorize(
        &self,
        path: &str,
        token: Option<&str>,
        from: PeerAddr,
        now: Timestamp,
    ) -> Result<Caller, Denied> {
        let takes = self.takes.get(path);
        let (access, permission) = match takes {
            Some(takes) => (takes.access, takes.permission.as_ref()),
            None => match third_party_access(path) {
                Some(access) => (access, None),
                None => {
                    return Err(Denied {
                        denial: None,
                        caller: None,
                    });
                }
            },
        };
        if access == Access::Anonymous {
            let via = from.to_string();
            return Ok(Caller::Anonymous { via });
        }
        let view = self.state.view();
        let caller = self.caller(&view, token, from, now)?;
        match takes_more(&view, &caller, access, permission, now) {
            None => Ok(caller),
            Some(denial) => Err(Denied {
                denial: Some(denial),
                caller: Some(caller),
            }),
        }
    }

    /// Who calls. A token counts on the local socket, too: then the call is the user's, not the host's.
    fn caller(
        &self,
        view: &View,
        token: Option<&str>,
        from: PeerAddr,
        now: Timestamp,
    ) -> Result<Caller, Denial> {
        let Some(token) = token else {
            return match from {
                PeerAddr::Socket { uid } => Ok(Caller::Host { uid }),
                _ => Err(Denial::NoToken),
            };
        };
        if self.state.age().is_none_or(|age| age > STALE_LIMIT) {
            return Err(Denial::CutOff);
        }
        let keyring = self.keys.at(&view.people.signing_keys, now);
        let keyring = keyring.ok_or(Denial::BadSignature)?;
        let claims = (self.seen)
            .verify(&keyring, Kind::Access, token, &self.settings, now)
            .map_err(denial)?;
        person(&claims, view, from, now)
    }
}

/// What a call takes that its caller lacks.
fn takes_more(
    view: &View,
    caller: &Caller,
    access: Access,
    permission: Option<&Permission>,
    now: Timestamp,
) -> Option<Denial> {
    let (id, name) = match caller {
        Caller::Host { .. } => return None,
        Caller::User { id, name, .. } => (id, name),
        Caller::Anonymous { .. } => return Some(Denial::NoToken),
    };
    let wanted = match access {
        Access::Host => return Some(host_only()),
        Access::Permission { own: false, .. } => permission?,
        _ => return None,
    };
    let directory = view.directory();
    let person = directory.find_id(id, name);
    if person.is_some_and(|person| directory.may(&person, wanted, now)) {
        return None;
    }
    Some(Denial::NotPermitted {
        takes: format!("the permission {wanted}"),
    })
}

/// The person with a live session that a token is of.
fn person(claims: &Claims, view: &View, from: PeerAddr, now: Timestamp) -> Result<Caller, Denial> {
    let id: UserId = claims.sub.parse().map_err(|_| Denial::Malformed)?;
    let sid: SessionId = claims.sid.parse().map_err(|_| Denial::Malformed)?;
    let session = view.people.sessions.get(&sid).ok_or(Denial::SessionEnded)?;
    if session.user != id {
        return Err(Denial::SessionEnded);
    }
    let directory = view.directory();
    if directory.session_end(session, now).is_some() {
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

/// What calls to services that are not ours take: whether the engine serves may be asked by anybody (load balancers,
/// images); what it serves, by whoever is known.
fn third_party_access(path: &str) -> Option<Access> {
    match path {
        "/grpc.health.v1.Health/Check"
        | "/grpc.health.v1.Health/Watch"
        | "/grpc.health.v1.Health/List" => Some(Access::Anonymous),
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        | "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo" => {
            Some(Access::Authenticated)
        }
        _ => None,
    }
}

fn host_only() -> Denial {
    Denial::NotPermitted {
        takes: "the engine's host: run it there, as root, over the local socket".to_owned(),
    }
}

/// What is said about a token that is not taken.
pub(crate) fn denial(error: TokenError) -> Denial {
    match error {
        TokenError::Expired => Denial::Expired,
        TokenError::MissingKid => Denial::MissingKid,
        TokenError::Missing("sub") => Denial::MissingSub,
        TokenError::WrongAudience => Denial::WrongAudience,
        TokenError::BadSignature | TokenError::UnknownKey => Denial::BadSignature,
        TokenError::Malformed
        | TokenError::WrongType
        | TokenError::WrongIssuer
        | TokenError::Missing(_) => Denial::Malformed,
    }
}
