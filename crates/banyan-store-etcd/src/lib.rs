//! The etcd backend of the store.
//!
//! An [`EtcdStore`] talks to one member at a time and turns to the next one when that fails. It
//! repeats what certainly did not happen, and reads; a write whose outcome is unknown is reported as
//! [`StoreError::Unavailable`](banyan_store::StoreError::Unavailable). A watch ends rather than
//! going quiet: when the connection breaks, the member hangs or loses its leader, or the store turns
//! to another member. Nothing is resumed here; who watches knows where to go on.

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
