//! The store on real etcd servers.

mod conformance;
