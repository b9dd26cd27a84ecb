//! Device tests: the conformance suite for every backend, and real packets with a stock WireGuard peer.
//!
//! Tests that open interfaces run in private hosts (see `banyan_testkit::netns`). They need root and the tools that
//! their errors name.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod backends;
mod interop;
mod setup;
mod userspace;
