//! End-to-end tests: the built programs, real git, real packets.
//!
//! Each test has its own network, mount and process namespaces, folders and repo, and leaves nothing behind.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, its helpers too"
)]

/// Where engines keep their state, unless a test says otherwise.
const STORE: harness::Store = harness::Store::Embedded;

mod audit;
mod backup;
mod backup_killed;
mod crash;
mod crash_engine;
mod crash_first_start;
mod crash_random;
mod crash_repo;
mod dev;
mod engines;
mod faults;
mod faults_check;
mod faults_check_tests;
mod faults_load;
mod faults_repo;
mod floor;
mod harness;
mod migrate;
mod network;
mod people;
mod people_access;
mod people_attacks;
mod people_cli;
mod people_engines;
mod people_git;
mod people_power;
mod people_secrets;
mod push;
mod refusals;
mod serving;
mod signals;
