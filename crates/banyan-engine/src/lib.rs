//! The engine: passes over the cluster repo, its services and the trial.
//!
//! Decisions are made in `banyan-core`, `banyan-repo` and `banyan-identity`; the engine connects the parts that know nothing
//! of each other: git, documents, state, the WireGuard device and the wire.

mod access;
pub mod admin;
mod audit;
mod clock;
pub mod config;
mod error;
pub mod listen;
mod login;
pub mod ops;
mod private_file;
mod random;
mod reconcile;
mod refusal;
pub mod run;
mod services;
mod status;
mod thread_priority;
pub mod trial;
mod tunnel;
mod version;

pub use error::{Failure, report};
pub use listen::health::healthcheck;
pub use reconcile::Event;
pub use version::{VersionOptions, version};
