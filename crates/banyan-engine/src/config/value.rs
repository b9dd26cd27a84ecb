//! Values of the configuration file, and reading it without ever quoting it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer, Visitor};

use super::ConfigError;

/// A port, as a number or in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Port(pub(super) u16);

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ports;
        impl Visitor<'_> for Ports {
            type Value = Port;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port, 0 to 65535")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Port, E> {
                let port = u16::try_from(number);
                port.map(Port)
                    .map_err(|_| E::custom("a port is a number from 0 to 65535"))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Port, E> {
                let port = u16::try_from(number);
                port.map(Port)
                    .map_err(|_| E::custom("a port is a number from 0 to 65535"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Port, E> {
                let port = text.parse();
                port.map(Port)
                    .map_err(|_| E::custom("a port is a number from 0 to 65535"))
            }
        }
        deserializer.deserialize_any(Ports)
    }
}

/// A poll interval: `30s`, `5m`, `1h`; at least a second, at most a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Poll(pub(super) Duration);

impl<'de> Deserialize<'de> for Poll {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_poll(&text).map(Poll).ok_or_else(|| {
            de::Error::custom("a poll interval is written like 30s, 5m or 1h: from 1s to 24h")
        })
    }
}

fn parse_poll(text: &str) -> Option<Duration> {
    let poll = duration(text).filter(|_| !text.ends_with('d'))?;
    (1..=86_400).contains(&poll.as_secs()).then_some(poll)
}

/// A time such as `45s`, `30m`, `1h`, `7d`.
pub(super) fn duration(text: &str) -> Option<Duration> {
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

/// Reads YAML strictly. The source is never quoted in an error, for it may hold a private key.
pub(super) fn from_yaml<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let error = error.without_snippet();
        let place = error.location();
        ConfigError::Syntax {
            path: path.to_owned(),
            line: place.map_or(1, |p| p.line()),
            column: place.map_or(1, |p| p.column()),
            message: message(error),
        }
    })
}

fn message(error: &serde_saphyr::Error) -> String {
    match error {
        serde_saphyr::Error::SerdeUnknownField {
            field, expected, ..
        } => unknown(field, expected),
        other => other.to_string(),
    }
}

fn unknown(field: &str, expected: &[&str]) -> String {
    let near = (expected.iter().filter(|key| !key.starts_with('_')))
        .map(|key| (strsim::jaro_winkler(field, key), key))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, key)) => format!("unknown key `{field}`; did you mean `{key}`?"),
        None => format!("unknown key `{field}`; known here: {}", expected.join(", ")),
    }
}
