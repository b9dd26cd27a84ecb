//! The store on real etcd servers.

mod access;
mod conformance;
mod outages;
mod reads;
mod support;
mod watches;
