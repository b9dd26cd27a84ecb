//! The built program: its commands, what it prints where, and how it ends.
//!
//! Commands that talk to an engine talk to a scripted one, in this process, over a socket of their own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

mod audit;
mod configuration;
mod credentials;
mod doctor;
mod engine;
mod engines;
mod fake;
mod login;
mod names;
mod output;
mod pages;
mod people;
mod person;
mod plan;
mod reach;
mod repo;
mod seal;
mod setup;
mod tables;
mod terminal;
mod validate;
mod version;
mod watch;
