//! The configuration of the command line: the user's own file and the host's. Unknown keys are refused.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use banyan_config::{ConfigError, RemotePort, from_yaml};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::{Exit, Failure};
use crate::target::EngineHint;

/// The host's file, of which only the section `cli` is used; `BANYAN_CONFIG` names another.
const HOST_FILE: &str = "/etc/banyan/banyan.yaml";

/// The section `cli`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CliConfig {
    /// The engine's local socket.
    pub(crate) socket: Option<PathBuf>,
    /// An engine on another host.
    engine_host: Option<String>,
    /// Its TCP port.
    engine_port: Option<RemotePort>,
    /// Its pin.
    engine_ca_pin: Option<String>,
    /// The authority that issued its certificate.
    engine_ca_file: Option<PathBuf>,
}

impl CliConfig {
    /// The settings of the engine in this file.
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

/// The user's own file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnFile {
    cli: Option<CliConfig>,
}

/// The host's file: the engine and the agent check the other sections.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HostFile {
    cli: Option<CliConfig>,
    #[serde(default, rename = "engine")]
    _engine: IgnoredAny,
    #[serde(default, rename = "agent")]
    _agent: IgnoredAny,
}

/// The user's own file and the host's; settings of the first take precedence.
pub(crate) fn load() -> Result<[CliConfig; 2], Failure> {
    let own = match own_file() {
        Some(path) => read(&path, own_section)?.unwrap_or_default(),
        None => CliConfig::default(),
    };
    let (path, named) = host_file();
    let host = read_host(&path, named)?.unwrap_or_default();
    Ok([own, host])
}

/// The files that are read, highest precedence first, and whether each exists.
pub(crate) fn files() -> Vec<(PathBuf, bool)> {
    let files = own_file().into_iter().chain([host_file().0]);
    files
        .map(|path| {
            let there = path.exists();
            (path, there)
        })
        .collect()
}

/// The folder of the user's own files: `$XDG_CONFIG_HOME/banyan` or `~/.config/banyan`.
pub(crate) fn own_folder() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    // The XDG specification says to ignore relative paths.
    let base = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(base.join("banyan"))
}

fn own_file() -> Option<PathBuf> {
    Some(own_folder()?.join("config.yaml"))
}

/// The host's file, and whether `BANYAN_CONFIG` names it.
fn host_file() -> (PathBuf, bool) {
    match std::env::var_os("BANYAN_CONFIG").filter(|value| !value.is_empty()) {
        Some(path) => (path.into(), true),
        None => (HOST_FILE.into(), false),
    }
}

/// The host's file may contain secrets and be unreadable for this user: then it is ignored.
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

type Section = fn(&Path, &str) -> Result<Option<CliConfig>, ConfigError>;

fn own_section(path: &Path, text: &str) -> Result<Option<CliConfig>, ConfigError> {
    from_yaml::<Option<OwnFile>>(path, text).map(|file| file.unwrap_or_default().cli)
}

fn host_section(path: &Path, text: &str) -> Result<Option<CliConfig>, ConfigError> {
    from_yaml::<Option<HostFile>>(path, text).map(|file| file.unwrap_or_default().cli)
}

/// Reads a file; `None` if there is none.
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
    match section(path, &text) {
        Ok(config) => Ok(Some(config.unwrap_or_default())),
        Err(error) => Err(wrong(&error)),
    }
}

fn wrong(error: &ConfigError) -> Failure {
    Failure::new(Exit::Config, "bad configuration")
        .because(error)
        .hint("a complete file is `cli: {socket: /run/banyan/engine.sock}`; every key is optional")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn failure(section: Section, text: &str) -> String {
        let error = section(Path::new("c.yaml"), text).unwrap_err();
        wrong(&error).in_one_line()
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_one() {
        assert_eq!(
            failure(own_section, "# mine\ncli:\n  sokcet: /x\n"),
            "bad configuration: c.yaml:3:3: unknown key `sokcet`; did you mean `socket`?"
        );
        assert_eq!(
            failure(host_section, "engin: {}\n"),
            "bad configuration: c.yaml:1:1: unknown key `engin`; did you mean `engine`?"
        );
    }

    #[test]
    fn the_other_sections_of_the_hosts_file_are_not_judged() {
        let text = "engine: {wg_private_key: x, list: [1, {a: b}]}\ncli: {socket: /s}\n";
        let config = host_section(Path::new("c.yaml"), text).unwrap().unwrap();
        assert_eq!(config.socket, Some("/s".into()));
        assert!(own_section(Path::new("c.yaml"), text).is_err());
    }

    #[test]
    fn an_engine_elsewhere_is_named_with_its_port_as_number_or_text() {
        for port in ["6000", "\"6000\""] {
            let text = format!(
                "cli: {{engine_host: e.example.org, engine_port: {port}, engine_ca_pin: p, engine_ca_file: /f}}"
            );
            let says = own_section(Path::new("c.yaml"), &text)
                .unwrap()
                .unwrap()
                .into_says();
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
            assert!(own_section(Path::new("c.yaml"), &text).is_err(), "{port}");
        }
    }

    #[test]
    fn nothing_in_a_file_is_nothing_configured() {
        for text in ["", "# only a remark\n", "cli:\n", "cli: {}\n"] {
            let config = own_section(Path::new("c.yaml"), text)
                .unwrap()
                .unwrap_or_default();
            assert_eq!(config, CliConfig::default(), "{text:?}");
        }
        assert!(own_section(Path::new("c.yaml"), "cli: {socket: /a, socket: /b}").is_err());
        assert!(own_section(Path::new("c.yaml"), "cli: [socket]").is_err());
    }

    proptest! {
        #[test]
        fn no_file_panics(text in "(cli:|engine:|\\PC|\n|  |socket: ){0,40}") {
            for section in [own_section as Section, host_section] {
                if let Err(error) = section(Path::new("c.yaml"), &text) {
                    wrong(&error);
                }
            }
        }
    }
}
