//! Value types that sections share.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use zeroize::Zeroizing;

/// A port of at least `LEAST`, as a number or in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port<const LEAST: u16>(pub u16);

/// A port to listen on; 0 lets the system choose.
pub type ListenPort = Port<0>;

/// A port to connect to.
pub type RemotePort = Port<1>;

impl<const LEAST: u16> Port<LEAST> {
    fn new<E: de::Error>(port: Option<u16>) -> Result<Self, E> {
        let port = port.filter(|port| *port >= LEAST);
        port.map(Self)
            .ok_or_else(|| E::custom(format!("a port must be a number from {LEAST} to 65535")))
    }
}

impl<'de, const LEAST: u16> Deserialize<'de> for Port<LEAST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ports<const LEAST: u16>;
        impl<const LEAST: u16> Visitor<'_> for Ports<LEAST> {
            type Value = Port<LEAST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a port, {LEAST} to 65535")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                Port::new(number.try_into().ok())
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                Port::new(number.try_into().ok())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Port::new(text.parse().ok())
            }
        }
        deserializer.deserialize_any(Ports::<LEAST>)
    }
}

/// A poll interval: `30s`, `5m`, `1h`; at least a second, at most a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll(pub Duration);

impl<'de> Deserialize<'de> for Poll {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_poll(&text).map(Poll).ok_or_else(|| {
            de::Error::custom("give a poll interval like 30s, 5m or 1h, from 1s to 24h")
        })
    }
}

fn parse_poll(text: &str) -> Option<Duration> {
    let poll = duration(text).filter(|_| !text.ends_with('d'))?;
    (1..=86_400).contains(&poll.as_secs()).then_some(poll)
}

/// A duration such as `45s`, `30m`, `1h`, `7d`.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let number: u64 = text.get(..text.len() - 1)?.parse().ok()?;
    number.checked_mul(unit).map(Duration::from_secs)
}

/// The content of a file named by a key, wiped after use.
///
/// # Errors
/// If it cannot be read; the error names the file and the cause.
pub fn read_file(path: &Path) -> Result<Zeroizing<String>, String> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    text.map_err(|error| format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port<const LEAST: u16>(text: &str) -> Option<u16> {
        let port = serde_saphyr::from_str::<Port<LEAST>>(text);
        port.ok().map(|port| port.0)
    }

    #[test]
    fn a_port_is_a_number_or_quoted_and_only_a_listener_may_leave_it_open() {
        for text in ["6000", "\"6000\""] {
            assert_eq!((port::<0>(text), port::<1>(text)), (Some(6000), Some(6000)));
        }
        assert_eq!((port::<0>("0"), port::<1>("0")), (Some(0), None));
        for text in ["65536", "-1", "x", "[1]", "1.5"] {
            assert_eq!(port::<0>(text), None, "{text}");
        }
    }

    #[test]
    fn a_poll_is_between_a_second_and_a_day() {
        let poll = |text| parse_poll(text).map(|poll| poll.as_secs());
        for (text, seconds) in [("1s", 1), ("5m", 300), ("24h", 86_400)] {
            assert_eq!(poll(text), Some(seconds));
        }
        for text in ["0s", "25h", "1d", "5", "m", "", "-1s", "ü"] {
            assert_eq!(poll(text), None, "{text}");
        }
    }

    #[test]
    fn a_named_file_that_cannot_be_read_is_named() {
        let error = read_file(Path::new("/nowhere/s")).unwrap_err();
        assert!(error.starts_with("cannot read /nowhere/s: "), "{error}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s\n").unwrap();
        assert_eq!(read_file(file.path()).unwrap().as_str(), "s\n");
    }
}
