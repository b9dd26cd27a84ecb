//! Which engine to talk to: from the command line, the environment, the user's own file, or the host's, in this order.

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use banyan_api::{Pin, Target, Trust};

use crate::error::{Exit, Failure};

/// The engine's default socket.
const SOCKET: &str = "/run/banyan/engine.sock";

/// The default port.
const PORT: u16 = 50051;

/// The settings of the engine from one place; what is missing is taken from the next place.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct EngineHint {
    pub(crate) socket: Option<PathBuf>,
    /// `HOST` or `HOST:PORT`.
    pub(crate) engine: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) pin: Option<String>,
    pub(crate) ca_file: Option<PathBuf>,
    /// Whether the place is a configuration file.
    pub(crate) in_file: bool,
}

impl EngineHint {
    /// The settings in the environment; an empty variable counts as unset.
    pub(crate) fn environment() -> Self {
        let value = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let text = |name: &str| value(name).map(|value| value.to_string_lossy().into_owned());
        Self {
            socket: value("BANYAN_SOCKET").map(PathBuf::from),
            engine: text("BANYAN_ENGINE"),
            port: None,
            pin: text("BANYAN_ENGINE_CA_PIN"),
            ca_file: value("BANYAN_ENGINE_CA_FILE").map(PathBuf::from),
            in_file: false,
        }
    }

    /// A setting of this place that cannot be used.
    fn wrong(&self, what: impl Into<String>) -> Failure {
        let exit = match self.in_file {
            true => Exit::Config,
            false => Exit::Usage,
        };
        Failure::new(exit, what)
    }
}

/// Chooses the engine by the settings of several places, highest precedence first.
pub(crate) fn choose(places: &[EngineHint]) -> Result<Target, Failure> {
    let names = |says: &&EngineHint| says.engine.is_some() || says.socket.is_some();
    let Some(decisive) = places.iter().find(names) else {
        return Ok(Target::Socket(SOCKET.into()));
    };
    let Some(engine) = &decisive.engine else {
        let socket = decisive.socket.clone();
        return Ok(Target::Socket(socket.unwrap_or_else(|| SOCKET.into())));
    };
    let (host, port) = host_and_port(engine).ok_or_else(|| {
        let failure = decisive.wrong(format!("{:?} names no engine", engine.trim()));
        failure.hint("name it like engine.example.org, 192.0.2.7:50051 or [2001:db8::1]:50051")
    })?;
    let port = port.or_else(|| places.iter().find_map(|says| says.port));
    Ok(Target::Tls {
        host,
        port: port.unwrap_or(PORT),
        trust: trust(places)?,
    })
}

/// The place that decides how the engine is verified.
fn decisive(places: &[EngineHint]) -> Option<&EngineHint> {
    let says = |says: &&EngineHint| says.pin.is_some() || says.ca_file.is_some();
    places.iter().find(says)
}

/// The file with the engine's authority, as an absolute path, so that it can be stored.
pub(crate) fn ca_file(places: &[EngineHint]) -> Option<PathBuf> {
    let path = decisive(places)?.ca_file.as_ref()?;
    Some(std::path::absolute(path).unwrap_or_else(|_| path.clone()))
}

/// The canonical address that a text names; with this port if it names none.
pub(crate) fn address(text: &str, port: Option<u16>) -> Option<String> {
    let (host, named) = host_and_port(text)?;
    let target = Target::Tls {
        host,
        port: named.or(port).unwrap_or(PORT),
        trust: Trust::System,
    };
    Some(target.to_string())
}

/// Whether a text is a canonical address.
pub(crate) fn is_address(text: &str) -> bool {
    address(text, None).is_some_and(|address| address == text)
}

/// How the engine is verified: by default by the authorities that the system trusts.
fn trust(places: &[EngineHint]) -> Result<Trust, Failure> {
    let Some(decisive) = decisive(places) else {
        return Ok(Trust::System);
    };
    match (&decisive.pin, &decisive.ca_file) {
        (Some(_), Some(_)) => Err(decisive
            .wrong("both a pin and an authority are given for the engine")
            .hint("give only one of them")),
        (Some(pin), None) => pin.trim().parse::<Pin>().map(Trust::Pin).map_err(|error| {
            let failure = decisive.wrong("the engine's pin cannot be used");
            failure.reason(error.to_string())
        }),
        (None, Some(path)) => read(path).map(Trust::Ca),
        (None, None) => Ok(Trust::System),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        let what = format!("cannot read the engine's CA file {}", path.display());
        Failure::new(Exit::Config, what).because(&error)
    })
}

fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let text = text.trim();
    if text.parse::<Ipv6Addr>().is_ok() {
        return Some((text.to_owned(), None));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            match after {
                "" => (host, None),
                after => (host, Some(after.strip_prefix(':')?)),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_host = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
    if host.is_empty() || !host.chars().all(is_host) {
        return None;
    }
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|port| *port > 0)?),
        None => None,
    };
    Some((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PIN: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn engine(text: &str) -> EngineHint {
        EngineHint {
            engine: Some(text.to_owned()),
            ..EngineHint::default()
        }
    }

    fn socket(path: &str) -> EngineHint {
        EngineHint {
            socket: Some(path.into()),
            ..EngineHint::default()
        }
    }

    fn pin() -> EngineHint {
        EngineHint {
            pin: Some(PIN.to_owned()),
            ..EngineHint::default()
        }
    }

    fn chosen(places: &[EngineHint]) -> String {
        choose(places).unwrap().to_string()
    }

    #[test]
    fn the_first_place_that_names_an_engine_or_a_socket_decides() {
        assert_eq!(chosen(&[]), SOCKET);
        assert_eq!(
            chosen(&[EngineHint::default(), socket("/a"), engine("b")]),
            "/a"
        );
        assert_eq!(chosen(&[engine("b"), socket("/a")]), "b:50051");
        let both = EngineHint {
            socket: Some("/a".into()),
            ..engine("b")
        };
        assert_eq!(
            chosen(&[both]),
            "b:50051",
            "an engine that is named is meant"
        );
        let port = EngineHint {
            port: Some(6000),
            ..socket("/a")
        };
        assert_eq!(chosen(&[engine("b"), port.clone()]), "b:6000");
        assert_eq!(chosen(&[engine("b:7"), port]), "b:7");
    }

    #[test]
    fn how_the_engine_is_known_is_taken_from_the_first_place_that_says_so() {
        let trust = |places: &[EngineHint]| match choose(places).unwrap() {
            Target::Tls { trust, .. } => trust,
            other => panic!("{other:?}"),
        };
        assert_eq!(trust(&[engine("b")]), Trust::System);
        let expected = Trust::Pin(PIN.parse().unwrap());
        assert_eq!(trust(&[engine("b"), pin()]), expected);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, "PEM").unwrap();
        let ca = EngineHint {
            ca_file: Some(file),
            ..EngineHint::default()
        };
        let given = [engine("b"), ca.clone(), pin()];
        assert_eq!(trust(&given), Trust::Ca(b"PEM".to_vec()));
        let both = EngineHint {
            pin: pin().pin,
            ..ca
        };
        assert_eq!(
            choose(&[engine("b"), both]).unwrap_err().exit(),
            Exit::Usage
        );
    }

    #[test]
    fn what_cannot_be_used_says_what_can() {
        let bad = EngineHint {
            pin: Some("sha256:12".to_owned()),
            ..engine("b")
        };
        let failure = choose(&[bad]).unwrap_err();
        assert!(
            failure.in_one_line().contains("banyan-engine pin"),
            "{failure:?}"
        );
        let in_file = EngineHint {
            in_file: true,
            ..engine("a b")
        };
        assert_eq!(choose(&[in_file]).unwrap_err().exit(), Exit::Config);
        let gone = EngineHint {
            ca_file: Some("/nonexistent/ca.pem".into()),
            ..engine("b")
        };
        let failure = choose(&[gone]).unwrap_err();
        assert_eq!(failure.exit(), Exit::Config);
        assert!(
            failure.in_one_line().contains("/nonexistent/ca.pem"),
            "{failure:?}"
        );
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for (text, shown) in [
            ("engine.example.org", "engine.example.org:50051"),
            ("engine:6000", "engine:6000"),
            ("192.0.2.7:1", "192.0.2.7:1"),
            ("2001:db8::1", "[2001:db8::1]:50051"),
            ("[2001:db8::1]", "[2001:db8::1]:50051"),
            ("[::1]:6000", "[::1]:6000"),
        ] {
            assert_eq!(chosen(&[engine(text)]), shown, "{text}");
        }
        for text in [
            "",
            ":1",
            "a:",
            "a:0",
            "a:65536",
            "a:b",
            "a:1:2",
            "https://a",
            "a b",
            "[a]:1",
            "[::1]1",
            "[::1",
            "a/b",
        ] {
            let failure = choose(&[engine(text)]).unwrap_err();
            assert_eq!(failure.exit(), Exit::Usage, "{text}");
            assert!(failure.hints()[0].contains("engine.example.org"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_host_panics(text in "(\\PC|[\\[\\]:.0-9a-f]){0,24}") {
            let _ = host_and_port(&text);
        }
    }
}
