//! Operations: the store that the engine opens, its archives, its metrics and its log.

pub mod archive;
pub mod logging;
pub(crate) mod metrics;
pub(crate) mod store;
