//! Operations: opening the store, backup and restore, metrics and logging.

pub mod archive;
pub mod logging;
pub(crate) mod metrics;
pub(crate) mod store;
