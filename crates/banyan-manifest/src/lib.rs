//! The documents of a cluster repo: reading, sealing, findings and schemas.
//!
//! Files come in as bytes by path, and leave as [`banyan_core::Documents`] and findings. This crate validates each document
//! by itself; `banyan_core::check` validates them together. It knows nothing of git, file systems, networks or clocks.
//!
//! # Supported YAML
//!
//! YAML 1.2 with its core schema, strictly: no duplicate keys, no tags, and neither anchors nor aliases: each is an error
//! at its place. A document contains only what its lines show, and cannot expand. `no` and
//! `off` are text; a value that YAML reads as a number, a boolean or null is never read as text: quote it.

mod decode;
mod find;
mod form;
mod identity;
mod ignore;
mod limits;
mod loader;
mod memory;
mod object;
mod open;
mod payload;
mod recipient;
pub mod render;
pub mod scaffold;
mod schema;
mod seal;
mod table;
mod tree;

pub use banyan_core::recipients_digest;
pub use form::VERSION as MANIFEST_VERSION;
pub use identity::{Identities, IdentityError};
pub use limits::{
    MAX_DEPTH, MAX_DOCUMENTS_PER_FILE, MAX_FILE_BYTES, MAX_FINDINGS_PER_FILE, MAX_IGNORE_BYTES,
    MAX_IGNORE_PATTERNS, MAX_PAYLOAD_BYTES, MAX_RECIPIENTS, MAX_SEALED_BYTES,
};
pub use loader::{LoadError, Loaded, Loader, Memory, Read, ReadError};
pub use payload::{PASSWORD_HASH, PUBLIC_KEY, Payload, PayloadError};
pub use recipient::{RecipientError, parse_recipient};
pub use schema::{any_schema, schema};
pub use seal::{OpenError, SealError, open, seal};

#[cfg(test)]
mod tests;
