//! The etcd backend of the store.
