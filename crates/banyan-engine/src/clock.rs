//! The engine's only clock.

use jiff::Timestamp;

/// The current time. Nothing else in the engine reads the clock, so that decisions that depend on the time can be
/// tested.
#[expect(clippy::disallowed_methods, reason = "the shell's one clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
