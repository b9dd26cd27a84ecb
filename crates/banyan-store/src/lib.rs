//! A small revisioned key-value store: the interface, its backends and its conformance suite.
//!
//! Keys are text, values are bytes; this crate knows no users, machines or formats. The model is
//! etcd's, so that etcd fits the same interface: one revision counter for the whole store, bounded
//! transactions that compare before they write, watches from a revision, and leases whose keys are
//! deleted when they end.
//!
//! - [`Store`] and [`Snapshot`] are the interface, [`Txn`] a write.
//! - [`EmbeddedStore`] keeps everything in one file; acknowledged writes are on disk.
//! - [`MemoryStore`] is for tests: as strict as any backend, with fault injection.
//! - [`conformance`] is the suite that every backend passes.

mod apply;
pub mod conformance;
mod embedded;
mod error;
mod lease;
mod memory;
mod model;
mod store;
mod txn;
mod watch;

pub use embedded::{EmbeddedOptions, EmbeddedStore};
pub use error::{StoreError, report};
pub use lease::{MAX_TTL, MIN_TTL, bounded_ttl};
pub use memory::{Fault, MemoryOptions, MemoryStore};
pub use model::{Entry, KeyRange, LeaseId, Revision};
pub use store::{Page, Snapshot, Store, read_all};
pub use txn::{Compare, MAX_COMPARES, MAX_KEY_LEN, MAX_OPS, MAX_TXN_BYTES, Op, Outcome, Txn};
pub use watch::{Batch, Event, History, Watch, WatchError, WatchSender};
