//! Instants for people.

use jiff::Timestamp;

/// `2026-11-20T08:15:30Z (3m ago)`.
#[must_use]
pub fn moment(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", seconds(at), ago(at, now))
}

/// RFC 3339 in UTC, to the second.
fn seconds(at: Timestamp) -> String {
    // Cutting to the second can only fail at the very edge of time.
    let whole = Timestamp::from_second(at.as_second());
    whole.unwrap_or(at).to_string()
}

/// `3m ago`, `in 2d`, `now`.
#[must_use]
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(at.as_second());
    let length = match seconds.unsigned_abs() {
        0 => return "now".to_owned(),
        s @ 1..60 => format!("{s}s"),
        s @ 60..3_600 => format!("{}m", s / 60),
        s @ 3_600..86_400 => format!("{}h", s / 3_600),
        s => format!("{}d", s / 86_400),
    };
    if seconds < 0 {
        format!("in {length}")
    } else {
        format!("{length} ago")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_with_its_age() {
        let at: Timestamp = "2026-11-20T08:15:30.75Z".parse().unwrap();
        for (now, text) in [
            ("2026-11-20T08:15:30Z", "now"),
            ("2026-11-20T08:15:59Z", "29s ago"),
            ("2026-11-20T08:18:31Z", "3m ago"),
            ("2026-11-20T10:15:30Z", "2h ago"),
            ("2026-12-20T08:15:30Z", "30d ago"),
            ("2026-11-20T08:14:30Z", "in 1m"),
        ] {
            let told = moment(at, now.parse().unwrap());
            assert_eq!(told, format!("2026-11-20T08:15:30Z ({text})"));
        }
    }
}
