//! The listeners: sockets, TLS, the HTTP endpoints, the published keys and the health probes.

pub(crate) mod health;
pub(crate) mod jwks;
pub(crate) mod serve;
pub mod tls;
pub(crate) mod web;
