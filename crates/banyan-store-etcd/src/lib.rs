//! The etcd backend of the store.
//!
//! An [`EtcdStore`] talks to one member at a time and switches to the next when that one fails. It retries reads, and
//! writes that certainly did not happen; a write with an unknown outcome is reported as
//! [`StoreError::Unavailable`](banyan_store::StoreError::Unavailable). A watch ends rather than going silent: when the
//! connection breaks, the member hangs or loses its leader, or the store switches members. Watches are not resumed
//! here; the watcher knows its last revision.

mod failure;
mod keys;
mod link;
mod options;
mod snapshot;
mod store;
mod txn;
mod watch;

pub use options::{EtcdOptions, Lag, Login, Tls};
pub use store::EtcdStore;
