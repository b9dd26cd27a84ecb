//! When the next pass runs if none is requested.

use std::time::Duration;

/// The initial delay after a failure.
const FIRST_RETRY: Duration = Duration::from_millis(500);

pub(super) struct Schedule {
    poll: Duration,
    failures: u32,
}

impl Schedule {
    pub(super) fn new(poll: Duration) -> Self {
        Self { poll, failures: 0 }
    }

    /// The delay after a pass: the poll interval with a jitter of 10 %, or after failures an exponential backoff up to
    /// it.
    pub(super) fn after(&mut self, failed: bool, random: &dyn Fn() -> f64) -> Duration {
        self.failures = if failed {
            self.failures.saturating_add(1)
        } else {
            0
        };
        let spread = 0.9 + 0.2 * random().clamp(0.0, 1.0);
        let wait = match self.failures {
            0 => self.poll,
            n => FIRST_RETRY
                .saturating_mul(2u32.saturating_pow(n.min(16) - 1))
                .min(self.poll),
        };
        wait.mul_f64(spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_retried_soon_then_ever_later_and_never_later_than_the_poll() {
        let mut schedule = Schedule::new(Duration::from_secs(30));
        let mut after = |failed| schedule.after(failed, &|| 0.5).as_millis();
        assert_eq!(after(false), 30_000);
        let waits: Vec<_> = (0..8).map(|_| after(true)).collect();
        assert_eq!(
            waits,
            [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]
        );
        assert_eq!(after(false), 30_000);
        assert_eq!(after(true), 500);
    }

    #[test]
    fn the_wait_has_a_jitter_of_a_tenth() {
        let mut schedule = Schedule::new(Duration::from_secs(10));
        assert_eq!(schedule.after(false, &|| 0.0).as_millis(), 9_000);
        assert_eq!(schedule.after(false, &|| 1.0).as_millis(), 11_000);
    }
}
