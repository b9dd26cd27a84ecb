//! When the crash tests kill: repeatable randomness, and the time span it is drawn from.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::runtime::Runtime;

/// The span from which instants are drawn. It settles where as many kills come too early as too late, so that the
/// interesting part lies in its middle on machines of any speed.
#[derive(Debug)]
pub(crate) struct Window(Duration);

impl Default for Window {
    fn default() -> Self {
        Self(Duration::from_millis(100))
    }
}

impl Window {
    /// Half of the instants are drawn from the whole span, half from its middle.
    pub(crate) fn instant(&self, random: &mut Random) -> Duration {
        let fraction = random.fraction();
        self.0.mul_f64(match random.below(2) {
            0 => fraction,
            _ => 0.3 + 0.4 * fraction,
        })
    }

    /// Adjusts the span by the stage that the kill at this instant hit.
    pub(crate) fn learn(&mut self, too_early: bool, too_late: bool) {
        let factor = match (too_early, too_late) {
            (true, _) => 1.06,
            (_, true) => 1.0 / 1.06,
            _ => 1.0,
        };
        let span = self.0.mul_f64(factor);
        self.0 = span.clamp(Duration::from_millis(2), Duration::from_secs(20));
    }
}

/// Repeatable random numbers: splitmix64.
pub(crate) struct Random(u64);

impl Random {
    /// Prints the seed; tests with the same seed differ by their stream.
    pub(crate) fn new(stream: u64) -> Result<Self> {
        let seed = match std::env::var("BANYAN_CRASH_SEED") {
            Ok(text) => text.parse().context("BANYAN_CRASH_SEED is a number")?,
            Err(_) => RandomState::new().build_hasher().finish(),
        };
        eprintln!("to make the same choices: BANYAN_CRASH_SEED={seed}");
        Ok(Self(seed ^ stream))
    }

    /// A fixed seed, which is not printed.
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1.
    fn fraction(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
    }

    /// From 0 to less than `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or_default()
    }
}

/// The total number of rounds of all tests.
pub(crate) fn rounds() -> usize {
    let text = std::env::var("BANYAN_CRASH_ROUNDS");
    text.map_or(300, |text| {
        text.parse().expect("BANYAN_CRASH_ROUNDS is a number")
    })
}

/// A runtime whose one worker reads while the test's own thread kills.
pub(crate) fn runtime() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(1).enable_all().build()?)
}

/// Sleeps with a precision well below a millisecond, which the runtime's timer does not have.
pub(crate) fn sleep_until(instant: Instant) {
    std::thread::sleep(instant.saturating_duration_since(Instant::now()));
}
