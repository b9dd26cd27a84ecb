//! Randomness that decides nothing.

/// A number from 0 to 1 that spreads retries and passes. If the system gives no randomness, nothing is spread, which is
/// no reason to stop.
pub(crate) fn jitter() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}
