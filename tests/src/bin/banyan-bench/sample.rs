//! Repeated measurements and their summaries.

use std::time::{Duration, Instant};

/// Durations of repeated measurements.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    pub(crate) fn push(&mut self, one: Duration) {
        self.0.push(one);
    }

    pub(crate) fn joined(samples: &[Self]) -> Self {
        Self(
            samples
                .iter()
                .flat_map(|one| one.0.iter().copied())
                .collect(),
        )
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn median(&self) -> Duration {
        self.quantile(50)
    }

    pub(crate) fn p95(&self) -> Duration {
        self.quantile(95)
    }

    pub(crate) fn p99(&self) -> Duration {
        self.quantile(99)
    }

    /// The quotient of the medians.
    pub(crate) fn ratio(&self, baseline: &Self) -> f64 {
        millis(self.median()) / millis(baseline.median())
    }

    pub(crate) fn worst(&self) -> Duration {
        self.quantile(100)
    }

    /// Zero for an empty sample.
    fn quantile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(at).copied().unwrap_or_default()
    }
}

/// Runs something and measures its duration.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let value = std::hint::black_box(work());
    (value, started.elapsed())
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Milliseconds with as many digits as are significant.
pub(crate) fn shown(time: Duration) -> String {
    let ms = millis(time);
    match ms {
        _ if ms >= 100.0 => format!("{ms:.0} ms"),
        _ if ms >= 10.0 => format!("{ms:.1} ms"),
        _ => format!("{ms:.2} ms"),
    }
}

/// A short summary.
pub(crate) fn shown_both(sample: &Sample) -> String {
    format!("{} (p95 {})", shown(sample.median()), shown(sample.p95()))
}

/// The maximum and the median, for long durations.
pub(crate) fn worst_and_median(sample: &Sample) -> String {
    let (worst, median) = (seconds(sample.worst()), seconds(sample.median()));
    format!("{worst} (median {median})")
}

/// The format of long durations.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted_sample() {
        let mut sample = Sample::default();
        assert_eq!(sample.median(), Duration::ZERO);
        for ms in (1..=100).rev() {
            sample.push(Duration::from_millis(ms));
        }
        assert_eq!(sample.median(), Duration::from_millis(50));
        assert_eq!(sample.p95(), Duration::from_millis(95));
        assert_eq!(sample.p99(), Duration::from_millis(99));
        assert_eq!(sample.worst(), Duration::from_millis(100));
    }
}
