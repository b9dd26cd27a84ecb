//! The configuration file, `/etc/banyan/banyan.yaml`: section `engine:`. Read once, strictly.

mod auth;
mod etcd;
mod tls;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use banyan_config::ConfigError;
use banyan_config::{ListenPort, Poll, from_yaml, read_file};
use banyan_core::{Guards, Name, PublicKey, SecretText};
use banyan_git::{RemoteUrl, Source};
use banyan_wireguard::{InterfaceName, PrivateKey};
use serde::Deserialize;

pub use auth::Auth;
use auth::AuthSection;
pub use etcd::Etcd;
use etcd::EtcdSection;
pub use tls::Tls;
use tls::TlsSection;

/// Where the configuration is looked for.
pub const DEFAULT_PATH: &str = "/etc/banyan/banyan.yaml";

/// What moves packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wireguard {
    /// Whatever works here.
    #[default]
    Auto,
    /// The kernel's WireGuard.
    Kernel,
    /// This process.
    Userspace,
    /// Nothing.
    None,
}

/// Makes the error of a key and of what is wrong with its value.
type Wrong<'a> = &'a dyn Fn(&'static str, String) -> ConfigError;

/// Where the state is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreBackend {
    /// A file of the engine's own.
    #[default]
    Embedded,
    /// An etcd cluster, which several engines may share.
    Etcd,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one object a line.
    Json,
}

/// Everything the engine runs by.
#[derive(Debug, Clone)]
pub struct Config {
    /// The engine's name among those that share a store; the host's name where the configuration gives none.
    pub name: Option<Name>,
    /// Where the state is kept.
    pub store_backend: StoreBackend,
    /// The etcd cluster; always there where the state is kept in it.
    pub etcd: Option<Etcd>,
    /// Store, clone and keys.
    pub state_dir: PathBuf,
    /// The local gRPC socket.
    pub socket: PathBuf,
    /// Address of the TCP listeners.
    pub listen: IpAddr,
    /// gRPC over TLS; health only.
    pub grpc_port: u16,
    /// HTTP; with TLS unless on loopback.
    pub http_port: u16,
    /// The certificate of both.
    pub tls: Tls,
    /// Metrics and health over HTTP.
    pub metrics_port: u16,
    /// What opens sealed values.
    pub age_identity_file: Option<PathBuf>,
    /// The cluster repo.
    pub source: Source,
    /// The folder of the repo that is the cluster repo's root.
    pub subdir: Option<String>,
    /// How often the branch is looked at when nothing hints at a change.
    pub poll: Duration,
    /// The engine's own guards.
    pub guards: Guards,
    /// What moves packets.
    pub wireguard: Wireguard,
    /// The control tunnel's interface.
    pub wg_interface: InterfaceName,
    /// The control tunnel's UDP port.
    pub wg_port: u16,
    /// The engine's own key, where the configuration gives it.
    pub wg_private_key: Option<PrivateKey>,
    /// The public key that must belong to it, where the configuration gives it.
    pub wg_public_key: Option<PublicKey>,
    /// How people log in.
    pub auth: Auth,
    /// How logs are written.
    pub log: LogFormat,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    engine: Option<Section>,
    // Other programs' sections are theirs to judge.
    #[serde(default, rename = "agent")]
    _agent: serde::de::IgnoredAny,
    #[serde(default, rename = "cli")]
    _cli: serde::de::IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    name: Option<String>,
    state_dir: Option<PathBuf>,
    socket: Option<PathBuf>,
    listen: Option<IpAddr>,
    grpc_port: Option<ListenPort>,
    http: Option<HttpSection>,
    tls: Option<TlsSection>,
    metrics_port: Option<ListenPort>,
    #[serde(default)]
    store_backend: StoreBackend,
    etcd: Option<EtcdSection>,
    age_identity_file: Option<PathBuf>,
    gitops: Gitops,
    guards: Option<GuardSection>,
    #[serde(default)]
    wireguard: Wireguard,
    wg_interface: Option<String>,
    wg_port: Option<ListenPort>,
    wg_private_key: Option<SecretText>,
    wg_private_key_file: Option<PathBuf>,
    wg_public_key: Option<String>,
    #[serde(default)]
    auth: AuthSection,
    #[serde(default)]
    log: LogFormat,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpSection {
    port: Option<ListenPort>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Gitops {
    url: String,
    branch: Option<String>,
    subdir: Option<String>,
    poll: Option<Poll>,
    verify: Option<Verify>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verify {
    Off,
    Head,
    Chain,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GuardSection {
    max_removed_percent: Option<u8>,
    max_removed: Option<u32>,
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// It cannot be read, or says something that it cannot mean; with the line.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            hint: "; to try Banyan without one: banyan-engine dev",
            source,
        })?;
        Self::parse_in(path, &zeroize::Zeroizing::new(text), &|name| {
            std::env::var(name).ok()
        })
    }

    /// Reads the text of a configuration file, whatever the environment says; `path` is for errors.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        Self::parse_in(path, text, &|_| None)
    }

    /// Reads the text of a configuration file, of which the environment says some things otherwise.
    fn parse_in(
        path: &Path,
        text: &str,
        environment: auth::Environment<'_>,
    ) -> Result<Self, ConfigError> {
        let file: File = from_yaml(path, text)?;
        let section = file.engine.ok_or_else(|| ConfigError::NoSection {
            path: path.to_owned(),
            section: "engine",
        })?;
        section.into_config(path, environment)
    }
}

impl Section {
    fn into_config(
        self,
        path: &Path,
        environment: auth::Environment<'_>,
    ) -> Result<Config, ConfigError> {
        let wrong = |key: &'static str, why: String| ConfigError::Value {
            path: path.to_owned(),
            key,
            why,
        };
        self.refuse_unsupported(&wrong)?;
        let name = (self.name.as_deref())
            .map(|name| {
                name.parse()
                    .map_err(|e| wrong("engine.name", format!("{e}")))
            })
            .transpose()?;
        if self.store_backend == StoreBackend::Etcd && self.etcd.is_none() {
            let why = "etcd needs its endpoints; give engine.etcd".to_owned();
            return Err(wrong("engine.store_backend", why));
        }
        let guards = self.guards(&wrong)?;
        let private_key = self.private_key(&wrong)?;
        let public_key = (self.wg_public_key.as_deref())
            .map(|text| {
                text.parse::<PublicKey>()
                    .map_err(|e| wrong("engine.wg_public_key", e.to_string()))
            })
            .transpose()?;
        let interface = self.wg_interface.as_deref().unwrap_or("wg-control");
        let interface = interface
            .parse()
            .map_err(|e| wrong("engine.wg_interface", format!("{e}")))?;
        let url: RemoteUrl =
            (self.gitops.url.parse()).map_err(|e| wrong("engine.gitops.url", format!("{e}")))?;
        if url.local_path().is_none() {
            let why = format!(
                "{}:// is not supported by this version; give a path or file://",
                url.scheme()
            );
            return Err(wrong("engine.gitops.url", why));
        }
        let auth = self.auth.into_auth(&wrong, environment)?;
        let port = |given: Option<ListenPort>, default| given.map_or(default, |p| p.0);
        let tls = self.tls.map(|tls| tls.into_tls(&wrong)).transpose()?;
        let http_port = self.http.and_then(|http| http.port);
        let etcd = self.etcd.map(|etcd| etcd.into_etcd(&wrong)).transpose()?;
        Ok(Config {
            name,
            store_backend: self.store_backend,
            etcd,
            state_dir: self
                .state_dir
                .unwrap_or_else(|| "/var/lib/banyan/engine".into()),
            socket: self
                .socket
                .unwrap_or_else(|| "/run/banyan/engine.sock".into()),
            listen: self.listen.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            grpc_port: port(self.grpc_port, 50051),
            http_port: port(http_port, 8080),
            tls: tls.unwrap_or_default(),
            metrics_port: port(self.metrics_port, 9600),
            age_identity_file: self.age_identity_file,
            source: Source {
                url,
                branch: self.gitops.branch.unwrap_or_else(|| "main".to_owned()),
            },
            subdir: self.gitops.subdir,
            poll: self.gitops.poll.map_or(Duration::from_secs(30), |p| p.0),
            guards,
            wireguard: self.wireguard,
            wg_interface: interface,
            wg_port: port(self.wg_port, 51821),
            wg_private_key: private_key,
            wg_public_key: public_key,
            auth,
            log: self.log,
        })
    }

    /// What the configuration may name but this version cannot do is said, not passed over.
    fn refuse_unsupported(&self, wrong: Wrong<'_>) -> Result<(), ConfigError> {
        let not_yet = |what: &str| format!("{what} is not supported by this version");
        if matches!(self.gitops.verify, Some(Verify::Head | Verify::Chain)) {
            return Err(wrong(
                "engine.gitops.verify",
                not_yet("verifying signatures"),
            ));
        }
        if self.wireguard == Wireguard::Kernel {
            return Err(wrong("engine.wireguard", not_yet("kernel")));
        }
        Ok(())
    }

    fn guards(&self, wrong: Wrong<'_>) -> Result<Guards, ConfigError> {
        let default = Guards::default();
        let Some(given) = &self.guards else {
            return Ok(default);
        };
        let percent = given
            .max_removed_percent
            .unwrap_or(default.max_removed_percent);
        if percent > 100 {
            let why = format!("{percent} is more than 100 %");
            return Err(wrong("engine.guards.max_removed_percent", why));
        }
        Ok(Guards {
            max_removed_percent: percent,
            max_removed: given.max_removed.unwrap_or(default.max_removed),
        })
    }

    fn private_key(&self, wrong: Wrong<'_>) -> Result<Option<PrivateKey>, ConfigError> {
        let key = "engine.wg_private_key";
        let read = |text: &str, key| {
            PrivateKey::from_base64(text.trim()).map_err(|e| wrong(key, e.to_string()))
        };
        match (&self.wg_private_key, &self.wg_private_key_file) {
            (Some(_), Some(_)) => Err(wrong(
                key,
                "wg_private_key_file is given too; keep one".to_owned(),
            )),
            (Some(text), None) => read(text.expose(), key).map(Some),
            (None, Some(file)) => {
                let key = "engine.wg_private_key_file";
                let text = read_file(file).map_err(|why| wrong(key, why))?;
                read(&text, key).map(Some)
            }
            (None, None) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
