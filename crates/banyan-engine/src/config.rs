//! The configuration file, `/etc/banyan/banyan.yaml`: section `engine:`. Read once and strictly.

mod auth;

mod etcd;
mod reload;
mod tls;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use banyan_config::ConfigError;
use banyan_config::{ListenPort, Poll, from_yaml, read_file};
use banyan_core::{Guards, Name, PublicKey, SecretText};
use banyan_git::{RemoteUrl, Source};
use banyan_wireguard::{InterfaceName, PrivateKey};
pub use reload::Reload;
use serde::Deserialize;

pub use auth::Auth;
use auth::AuthSection;
pub use etcd::Etcd;
use etcd::EtcdSection;
pub use tls::Tls;
use tls::TlsSection;

/// The default path of the configuration.
pub const DEFAULT_PATH: &str = "/etc/banyan/banyan.yaml";

/// The WireGuard implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wireguard {
    /// The best one this host supports.
    #[default]
    Auto,
    /// The kernel's WireGuard.
    Kernel,
    /// In this process.
    Userspace,
    /// Nothing.
    None,
}

/// Creates the error for a key and a problem with its value.
type Wrong<'a> = &'a dyn Fn(&'static str, String) -> ConfigError;

/// The store of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreBackend {
    /// A file used by this engine only.
    #[default]
    Embedded,
    /// An etcd cluster, which several engines may share.
    Etcd,
}

/// The format of logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object per line.
    Json,
}

/// The engine's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The engine's name among those that share a store; the host name if not configured.
    pub name: Option<Name>,
    /// The store of the state.
    pub store_backend: StoreBackend,
    /// The etcd cluster; always present if it is the store.
    pub etcd: Option<Etcd>,
    /// Store, clone and keys.
    pub state_dir: PathBuf,
    /// The local gRPC socket.
    pub socket: PathBuf,
    /// Address of the TCP listeners.
    pub listen: IpAddr,
    /// Port of gRPC over TLS.
    pub grpc_port: u16,
    /// Port of HTTP; with TLS unless on loopback.
    pub http_port: u16,
    /// The certificate of both.
    pub tls: Tls,
    /// Port of metrics and health over HTTP.
    pub metrics_port: u16,
    /// The identities that decrypt sealed values.
    pub age_identity_file: Option<PathBuf>,
    /// The cluster repo.
    pub source: Source,
    /// The directory in the repo that is the root of the cluster repo.
    pub subdir: Option<String>,
    /// How often the branch is polled when no hint of a change arrives.
    pub poll: Duration,
    /// The engine's guards.
    pub guards: Guards,
    /// The WireGuard implementation.
    pub wireguard: Wireguard,
    /// The control tunnel's interface.
    pub wg_interface: InterfaceName,
    /// The control tunnel's UDP port.
    pub wg_port: u16,
    /// The engine's private key, if configured.
    pub wg_private_key: Option<PrivateKey>,
    /// The public key that must match it, if configured.
    pub wg_public_key: Option<PublicKey>,
    /// How users log in.
    pub auth: Auth,
    /// The format of logs.
    pub log: LogFormat,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    engine: Option<Section>,
    // The sections of other programs are ignored.
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
    /// If it cannot be read or is invalid; the error names the line.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::from_file(path, &Self::read_text(path)?)
    }

    /// The text of a configuration file. It may hold secrets, so it is wiped after use.
    fn read_text(path: &Path) -> Result<zeroize::Zeroizing<String>, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(zeroize::Zeroizing::new(text)),
            Err(source) => Err(ConfigError::Unreadable {
                path: path.to_owned(),
                hint: "; to try Banyan without one: banyan-engine dev",
                source,
            }),
        }
    }

    /// Parses the text of a configuration file; environment variables override some of it.
    fn from_file(path: &Path, text: &str) -> Result<Self, ConfigError> {
        Self::parse_in(path, text, &|name| std::env::var(name).ok())
    }

    /// Parses the text of a configuration file, ignoring the environment; `path` is for errors.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        Self::parse_in(path, text, &|_| None)
    }

    /// Parses the text of a configuration file; environment variables override some of it.
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
            let why = "etcd requires its endpoints; set engine.etcd".to_owned();
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

    /// Refuses settings that this version does not support, rather than ignoring them.
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
                "wg_private_key_file is set too; keep one".to_owned(),
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
