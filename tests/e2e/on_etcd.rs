//! The same tests as in `main.rs`, those about reconciling, serving and backups, with the state in a real etcd server.

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
    reason = "parts of the harness are for the tests that are in `main.rs` only"
)]

/// Where engines keep their state, unless a test says otherwise.
const STORE: harness::Store = harness::Store::Etcd;

mod audit;
mod backup;
mod backup_killed;
mod crash_chance;
mod floor;
mod harness;
mod network;
mod people;
mod people_access;
mod people_attacks;
mod people_git;
mod people_secrets;
mod push;
mod refusals;
mod serving;
