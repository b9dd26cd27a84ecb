//! Who a caller is and what the caller may do, as values and decisions: tokens, passwords, sessions, users, calls.
//!
//! This crate cannot do IO: it knows nothing of stores and of the wire, starts no threads, and gets time, randomness and
//! configuration as arguments.
//!
//! - [`Gate`]: authenticates and authorizes a call, and names its [`Caller`].
//! - [`DecisionContext`]: decisions about users, sessions and signing keys. [`ChangeRefused`]: why one is refused.
//! - [`login`]: decisions about logging in. [`Limits`]: how often it may be tried.
//! - [`reap`]: what has ended without a call.
//! - [`Password`] and [`Code`]: what users type. [`Keyring`]: issues and verifies tokens; [`TokenCache`] caches verified
//!   ones.

mod caller;
mod code;
mod context;
mod gate;
mod hex;
mod keyring;
mod limits;
pub mod login;
mod password;
pub mod reap;
mod recover;
mod refused;
mod sessions;
mod signing_keys;
mod table;
#[cfg(test)]
mod tests;
mod token;
mod token_cache;
mod users;

pub use caller::{Caller, LOCAL, PeerAddr};
pub use code::{Code, CodeError};
pub use context::{Decision, DecisionContext, FirstLogin, enrolment_end};
pub use gate::{Call, Denied, Gate, Known, STALE_LIMIT, host_only};
pub use keyring::{Keyring, KeyringError, MIN_SECRET_BYTES, Seed};
pub use limits::{Limits, Wait};
pub use password::{
    BcryptError, Cost, MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS, Password, PasswordError,
};
pub use recover::{ADMIN, Recovered, Recovery};
pub use refused::{ChangeRefused, RefusalKind};
pub use sessions::Revoked;
pub use signing_keys::{NewKey, first_key, needs_key};
pub use token::{Claims, Kind, MAX_TOKEN_BYTES, Settings, TokenError};
pub use token_cache::TokenCache;
pub use users::{Locked, NewUser, RolesSet, Taken};
