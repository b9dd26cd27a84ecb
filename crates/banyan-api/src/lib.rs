//! The `banyan.v1` protobuf, its conversions and its client.
//!
//! Messages define what goes over the wire; the domain types know nothing of them. All conversions are here.

mod access;
mod client;
mod convert;
mod denied;
mod redact;
mod refusal;

/// The generated messages, clients and servers.
#[expect(
    missing_docs,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    clippy::allow_attributes,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("banyan.v1");

    /// The encoded descriptor set, for reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/banyan.v1.bin"));
}

/// The version of this API: of the package `banyan.v1`.
pub const API_VERSION: &str = "v1";

pub use access::{ACCESS, access_of};
pub use client::{
    BadToken, Bearer, Calls, Client, ConnectError, Pin, PinError, Target, Trust, Unconnected,
};
pub use convert::{MAX_PLAN_BYTES, finding, from_finding, timestamp, to_jiff};
pub use denied::{denial_cause, denied, retry_after};
pub use refusal::Unavailable;
