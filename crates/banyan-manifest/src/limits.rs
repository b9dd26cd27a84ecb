//! Limits on files, documents and sealed values. Exceeding one is a finding.

/// The longest file, in bytes.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// The most documents in one file, empty and broken ones included.
pub const MAX_DOCUMENTS_PER_FILE: usize = 1_000;

/// The deepest nesting of mappings and lists in a document.
pub const MAX_DEPTH: usize = 16;

/// The most findings reported for one file; one more states the total.
pub const MAX_FINDINGS_PER_FILE: usize = 100;

/// The longest `.banyanignore`, in bytes.
pub const MAX_IGNORE_BYTES: usize = 64 * 1024;

/// The most patterns in a `.banyanignore`: each is tried on each path.
pub const MAX_IGNORE_PATTERNS: usize = 200;

/// The longest sealed value, armored, in bytes.
pub const MAX_SEALED_BYTES: usize = 256 * 1024;

/// The most recipients of a sealed value: each costs a key exchange per identity.
pub const MAX_RECIPIENTS: usize = 1_000;

/// The longest plaintext of a sealed value, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 4 * 1024;
