//! Conversions between the domain and the wire, one file per service.

mod gitops;
mod machines;
mod origin;
mod roles;
mod sessions;
mod users;

use jiff::Timestamp;

pub use gitops::{MAX_PLAN_BYTES, finding, from_finding};

/// A timestamp for the wire.
#[must_use]
pub fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.as_second(),
        nanos: at.subsec_nanosecond(),
    }
}

/// A timestamp from the wire; `None` if it is out of range.
#[must_use]
pub fn to_jiff(at: &prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(at.seconds, at.nanos).ok()
}

fn texts<T: ToString>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    values.into_iter().map(|v| v.to_string()).collect()
}

fn text<T: ToString>(value: Option<T>) -> String {
    value.map(|v| v.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_comes_back_as_it_went() {
        let at: Timestamp = "2026-11-20T08:15:30.25Z".parse().unwrap();
        assert_eq!(to_jiff(&timestamp(at)), Some(at));
    }
}
