//! How people prove who they are, as values and decisions: passwords, tokens, one-time codes, login limits.
//!
//! This crate knows nothing of stores, of the wire and of who may do what. Time and configuration are arguments; the
//! only things of the world in it are the system's randomness and the threads that hash passwords.
//!
//! - [`Password`], [`check_hash`] and [`Hashing`]: what a password may be, and bcrypt off the async threads.
//! - [`Keyring`]: makes tokens and judges them; [`TokenCache`] remembers judged ones.
//! - [`Code`]: enrolment codes. [`random_id`], [`new_seed`]: chance.
//! - [`Limits`]: how often logging in may be tried.

mod code;
mod hashing;
mod keyring;
mod limits;
mod password;
mod random;
mod table;
mod token;
mod token_cache;

pub use code::{Code, CodeError};
pub use hashing::{Hashing, HashingError};
pub use keyring::{Keyring, KeyringError, MIN_SECRET_BYTES};
pub use limits::{Limits, Wait};
pub use password::{
    Cost, HashError, MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS, Password, PasswordError, check_hash,
};
pub use random::{RandomError, Seed, new_seed, random_id};
pub use token::{Claims, Kind, MAX_TOKEN_BYTES, Settings, TokenError};
pub use token_cache::TokenCache;
