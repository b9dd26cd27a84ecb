//! The configuration of the command line: the person's own file, else the host's. Read strictly.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::de::{self, IgnoredAny};
use serde::{Deserialize, Deserializer};

use crate::error::{Exit, Failure};
use crate::target::EngineHint;

/// The host's file, of which the `cli` section counts; `BANYAN_CONFIG` names another.
const HOST_FILE: &str = "/etc/banyan/banyan.yaml";

/// What can be configured.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CliConfig {
    /// The engine's local socket.
    pub(crate) socket: Option<PathBuf>,
    /// An engine on another host.
    engine_host: Option<String>,
    /// Its TCP port.
    engine_port: Option<Port>,
    /// The pin that it is known by.
    engine_ca_pin: Option<String>,
    /// The authority of its certificate.
    engine_ca_file: Option<PathBuf>,
}

impl CliConfig {
    /// What it says about the engine.
    pub(crate) fn into_says(self) -> EngineHint {
        EngineHint {
            socket: self.socket,
            engine: self.engine_host,
            port: self.engine_port.map(|port| port.0),
            pin: self.engine_ca_pin,
            ca_file: self.engine_ca_file,
            in_file: true,
        }
    }
}

/// A port, as a number or in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Port(u16);

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse() {
            Ok(port) if port > 0 => Ok(Self(port)),
            _ => Err(de::Error::custom("a port is a number from 1 to 65535")),
        }
    }
}

/// The person's own file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnFile {
    cli: Option<CliConfig>,
}

/// The host's file: what the other sections say is for the engine and the agent to judge.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HostFile {
    cli: Option<CliConfig>,
    #[serde(default, rename = "engine")]
    _engine: IgnoredAny,
    #[serde(default, rename = "agent")]
    _agent: IgnoredAny,
}

/// The person's own file and the host's, of which each setting of the first counts before the second's.
pub(crate) fn load() -> Result<[CliConfig; 2], Failure> {
    let own = match own_file() {
        Some(path) => read(&path, own_section)?.unwrap_or_default(),
        None => CliConfig::default(),
    };
    let (path, named) = host_file();
    let host = read_host(&path, named)?.unwrap_or_default();
    Ok([own, host])
}

/// The files that are looked for, in the order in which they count, and whether each is there.
pub(crate) fn files() -> Vec<(PathBuf, bool)> {
    let files = own_file().into_iter().chain([host_file().0]);
    files
        .map(|path| {
            let there = path.exists();
            (path, there)
        })
        .collect()
}

/// The folder of the person's own files: `$XDG_CONFIG_HOME/banyan` or `~/.config/banyan`.
pub(crate) fn own_folder() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    // The XDG specification has relative paths ignored.
    let base = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(base.join("banyan"))
}

fn own_file() -> Option<PathBuf> {
    Some(own_folder()?.join("config.yaml"))
}

/// The host's file, and whether it was named.
fn host_file() -> (PathBuf, bool) {
    match std::env::var_os("BANYAN_CONFIG").filter(|value| !value.is_empty()) {
        Some(path) => (path.into(), true),
        None => (HOST_FILE.into(), false),
    }
}

/// The host's file may hold secrets, and so be closed to the person: then it says nothing to them.
fn read_host(path: &Path, named: bool) -> Result<Option<CliConfig>, Failure> {
    let closed = || {
        let opened = fs::File::open(path);
        opened.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
    };
    if !named && closed() {
        return Ok(None);
    }
    match read(path, host_section)? {
        None if named => {
            let what = format!("there is no configuration file {}", path.display());
            Err(Failure::new(Exit::Config, what).hint("correct or unset BANYAN_CONFIG"))
        }
        found => Ok(found),
    }
}

type Section = fn(&str) -> Result<Option<CliConfig>, serde_saphyr::Error>;

fn own_section(text: &str) -> Result<Option<CliConfig>, serde_saphyr::Error> {
    serde_saphyr::from_str::<Option<OwnFile>>(text).map(|file| file.unwrap_or_default().cli)
}

fn host_section(text: &str) -> Result<Option<CliConfig>, serde_saphyr::Error> {
    serde_saphyr::from_str::<Option<HostFile>>(text).map(|file| file.unwrap_or_default().cli)
}

/// Reads a file; `None` where there is none.
fn read(path: &Path, section: Section) -> Result<Option<CliConfig>, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let what = format!("cannot read the configuration {}", path.display());
            return Err(Failure::new(Exit::Config, what)
                .because(&error)
                .hint("make it readable for you"));
        }
    };
    match section(&text) {
        Ok(config) => Ok(Some(config.unwrap_or_default())),
        Err(error) => Err(wrong(path, &error)),
    }
}

fn wrong(path: &Path, error: &serde_saphyr::Error) -> Failure {
    let error = error.without_snippet();
    let line = error.location().map(|at| format!(":{}", at.line()));
    let what = format!(
        "bad configuration in {}{}",
        path.display(),
        line.unwrap_or_default()
    );
    let failure = Failure::new(Exit::Config, what);
    match error {
        serde_saphyr::Error::SerdeUnknownField {
            field, expected, ..
        } => failure
            .reason(format!("there is no key `{field}` here"))
            .hint(nearest(field, expected)),
        other => failure.reason(other.to_string()).hint(
            "a whole file is `cli: {socket: /run/banyan/engine.sock}`; what is left out has its default",
        ),
    }
}

/// What may have been meant.
fn nearest(field: &str, expected: &[&str]) -> String {
    let score = |key: &&&str| (strsim::jaro_winkler(field, key) * 1000.0) as i32;
    match expected.iter().max_by_key(score) {
        Some(key) => format!("the nearest key is `{key}`"),
        None => "take it out".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn failure(section: Section, text: &str) -> String {
        let error = section(text).unwrap_err();
        let failure = wrong(Path::new("c.yaml"), &error);
        let lines: Vec<String> = (failure.lines().iter())
            .map(|(what, text)| format!("{what}: {text}"))
            .collect();
        lines.join("\n")
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_one() {
        assert_eq!(
            failure(own_section, "# mine\ncli:\n  sokcet: /x\n"),
            "error: bad configuration in c.yaml:3\nbecause: there is no key `sokcet` here\ntry: the nearest key is `socket`"
        );
        assert_eq!(
            failure(host_section, "engin: {}\n"),
            "error: bad configuration in c.yaml:1\nbecause: there is no key `engin` here\ntry: the nearest key is `engine`"
        );
    }

    #[test]
    fn the_other_sections_of_the_hosts_file_are_not_judged() {
        let text = "engine: {wg_private_key: x, list: [1, {a: b}]}\ncli: {socket: /s}\n";
        let config = host_section(text).unwrap().unwrap();
        assert_eq!(config.socket, Some("/s".into()));
        assert!(own_section(text).is_err());
    }

    #[test]
    fn an_engine_elsewhere_is_named_with_its_port_as_number_or_text() {
        for port in ["6000", "\"6000\""] {
            let text = format!(
                "cli: {{engine_host: e.example.org, engine_port: {port}, engine_ca_pin: p, engine_ca_file: /f}}"
            );
            let says = own_section(&text).unwrap().unwrap().into_says();
            let expected = EngineHint {
                socket: None,
                engine: Some("e.example.org".to_owned()),
                port: Some(6000),
                pin: Some("p".to_owned()),
                ca_file: Some("/f".into()),
                in_file: true,
            };
            assert_eq!(says, expected);
        }
        for port in ["0", "65536", "x", "[1]"] {
            let text = format!("cli: {{engine_port: {port}}}");
            assert!(own_section(&text).is_err(), "{port}");
        }
    }

    #[test]
    fn nothing_in_a_file_is_nothing_configured() {
        for text in ["", "# only a remark\n", "cli:\n", "cli: {}\n"] {
            let config = own_section(text).unwrap().unwrap_or_default();
            assert_eq!(config, CliConfig::default(), "{text:?}");
        }
        assert!(own_section("cli: {socket: /a, socket: /b}").is_err());
        assert!(own_section("cli: [socket]").is_err());
    }

    proptest! {
        #[test]
        fn no_file_panics(text in "(cli:|engine:|\\PC|\n|  |socket: ){0,40}") {
            for section in [own_section as Section, host_section] {
                if let Err(error) = section(&text) {
                    wrong(Path::new("c.yaml"), &error);
                }
            }
        }
    }
}
