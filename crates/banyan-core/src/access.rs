//! What a caller needs in order to call something.

/// The requirement of one call.
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
        /// Whether callers need no permission for what is their own. The service decides what that is.
        own: bool,
    },
    /// The local socket of the engine's host.
    Host,
}
