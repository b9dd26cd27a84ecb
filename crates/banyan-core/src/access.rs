//! The access a call requires.

/// The access a call requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// No authentication.
    Anonymous,
    /// Authentication, and no permission.
    Authenticated,
    /// A permission.
    Permission {
        /// The permission.
        permission: &'static str,
        /// Whether objects of the caller's own require no permission. The service must then check that itself.
        own: bool,
        /// Another permission that is enough. The service decides what each of the two allows.
        or: Option<&'static str>,
    },
    /// The local socket of the engine's host.
    Host,
}
