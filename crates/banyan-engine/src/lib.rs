//! The engine: passes over the cluster repo, its services and the trial.
//!
//! Everything that decides is in `banyan-core`; the engine brings together what knows nothing of each other: git,
//! documents, state, the WireGuard device and the wire.

mod access;
pub mod admin;
pub mod archive;
mod audit;
mod clock;
pub mod config;
pub mod dev;
mod device;
mod error;
mod health;
mod jwks;
pub mod logging;
mod login;
mod metrics;
mod peers;
mod people;
mod private_file;
mod random;
mod reconcile;
mod refusal;
pub mod run;
mod serve;
mod services;
mod status;
mod store;
pub mod tls;
mod web;

pub use error::{Failure, report};
pub use health::healthcheck;
pub use reconcile::Event;
