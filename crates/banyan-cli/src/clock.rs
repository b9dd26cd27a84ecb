//! The only place where this program reads the clock.

use jiff::Timestamp;

/// The time, for the shell to pass on.
#[expect(
    clippy::disallowed_methods,
    reason = "the shell reads the clock and passes the time on"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
