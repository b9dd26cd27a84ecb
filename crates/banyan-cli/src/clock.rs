//! The one place where this program reads the clock.

use jiff::Timestamp;

/// The time, for the shell to pass on.
#[expect(
    clippy::disallowed_methods,
    reason = "the shell reads the clock, once, and passes it on"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
