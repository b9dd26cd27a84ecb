//! The tests of `main.rs` whose outcome depends on the store, with the state in a real etcd server: the main job,
//! backups, and the store's files.
//!
//! `banyan-state` and `banyan-store-etcd` run everything else on both stores; `engines.rs` has the tests with several
//! engines.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, its helpers too"
)]
#![expect(
    dead_code,
    unused_imports,
    reason = "parts of the harness are for the tests that are in `main.rs` only"
)]

/// Where engines keep their state, unless a test says otherwise.
const STORE: harness::Store = harness::Store::Etcd;

mod backup;
mod backup_killed;
mod crash_random;
mod harness;
mod people_secrets;
mod push;
