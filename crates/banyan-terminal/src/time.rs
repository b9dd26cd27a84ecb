//! Instants, ready to print.
//!
//! Past events have a function of their own, because they can seem to be in the future: the clock that stamped an event may
//! be ahead of ours, and the event may be later than our reading of the clock.

use jiff::{SignedDuration, Timestamp};

/// A year of the Gregorian calendar on average, in seconds.
const YEAR: u64 = 31_556_952;
/// From here on, years are used instead of days.
const TWO_YEARS: u64 = 2 * YEAR;

/// A past instant, absolute and relative: `2026-11-20T08:15:30Z (3m ago)`.
#[must_use]
pub fn past_moment(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", absolute(at), ago(at, now))
}

/// An instant, past or future, absolute and relative: `2026-11-20T08:15:30Z (in 3m)`.
#[must_use]
pub fn moment(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", absolute(at), relative(at, now))
}

/// RFC 3339 in UTC, to the second: `2026-11-20T08:15:30Z`.
#[must_use]
pub fn absolute(at: Timestamp) -> String {
    // Truncating to the second can only fail at the limits of `Timestamp`.
    let whole = Timestamp::from_second(at.as_second());
    whole.unwrap_or(at).to_string()
}

/// How long ago something happened: `3m ago`, or `just now` if that is less than a second or the clocks differ.
#[must_use]
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    match length(now.duration_since(at.min(now))) {
        None => "just now".to_owned(),
        Some(length) => format!("{length} ago"),
    }
}

/// When something is: `3m ago`, `in 2d`, or `now` if that is less than a second away.
#[must_use]
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let passed = now.duration_since(at);
    match length(passed) {
        None => "now".to_owned(),
        Some(length) if passed.is_negative() => format!("in {length}"),
        Some(length) => format!("{length} ago"),
    }
}

/// A duration in its largest whole unit; `None` for less than a second.
fn length(duration: SignedDuration) -> Option<String> {
    Some(match duration.as_secs().unsigned_abs() {
        0 => return None,
        s @ 1..60 => format!("{s}s"),
        s @ 60..3_600 => format!("{}m", s / 60),
        s @ 3_600..86_400 => format!("{}h", s / 3_600),
        s @ 86_400..TWO_YEARS => format!("{}d", s / 86_400),
        s => format!("{}y", s / YEAR),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "2026-11-20T08:15:30.75Z";

    fn t(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_moment_is_told_with_its_distance_in_whole_units() {
        for (now, text) in [
            ("2026-11-20T08:15:30.75Z", "now"),
            // A second is over when a whole one has passed, not when the clock shows another.
            ("2026-11-20T08:15:31.7Z", "now"),
            ("2026-11-20T08:15:31.75Z", "1s ago"),
            ("2026-11-20T08:15:32.74Z", "1s ago"),
            ("2026-11-20T08:16:30.74Z", "59s ago"),
            ("2026-11-20T08:16:30.75Z", "1m ago"),
            ("2026-11-20T09:15:30.74Z", "59m ago"),
            ("2026-11-20T09:15:30.75Z", "1h ago"),
            ("2026-11-21T08:15:30.74Z", "23h ago"),
            ("2026-11-21T08:15:30.75Z", "1d ago"),
            ("2026-12-20T08:15:30.75Z", "30d ago"),
            ("2028-11-19T08:15:30.75Z", "730d ago"),
            ("2028-11-20T08:15:30.75Z", "2y ago"),
            ("2026-11-20T08:15:29.8Z", "now"),
            ("2026-11-20T08:15:29.75Z", "in 1s"),
            ("2026-11-20T08:15:28.76Z", "in 1s"),
            ("2026-11-20T08:15:28.75Z", "in 2s"),
            ("2026-11-20T08:14:30.75Z", "in 1m"),
        ] {
            let told = moment(t(AT), t(now));
            assert_eq!(told, format!("2026-11-20T08:15:30Z ({text})"), "{now}");
        }
    }

    #[test]
    fn what_has_happened_is_never_told_as_lying_ahead() {
        for (now, text) in [
            ("2026-11-20T08:15:32Z", "1s ago"),
            ("2026-11-20T08:15:31Z", "just now"),
            // Our clock was read before it happened, or is behind the one that stamped it.
            ("2026-11-20T08:15:30Z", "just now"),
            ("2026-11-20T08:15:29Z", "just now"),
            ("2026-11-20T05:00:00Z", "just now"),
        ] {
            assert_eq!(ago(t(AT), t(now)), text, "{now}");
            let told = past_moment(t(AT), t(now));
            assert_eq!(told, format!("2026-11-20T08:15:30Z ({text})"), "{now}");
        }
    }

    #[test]
    fn the_edges_of_time_are_told() {
        assert!(relative(Timestamp::MIN, Timestamp::MAX).ends_with("y ago"));
        assert!(relative(Timestamp::MAX, Timestamp::MIN).starts_with("in "));
        assert_eq!(ago(Timestamp::MAX, Timestamp::MIN), "just now");
        assert!(!absolute(Timestamp::MIN).is_empty());
    }
}
