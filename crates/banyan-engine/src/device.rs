//! The control tunnel's device: which backend, under which key and addresses, and how it is opened.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use banyan_core::{Cluster, control_range_v6, control_v6, engine_v4};
use banyan_wireguard::{
    Device, DeviceConfig, DeviceError, InterfaceName, PrivateKey, Support, none, open_userspace,
    userspace_support,
};
use ipnet::IpNet;

use crate::Failure;
use crate::config::{Config, Wireguard};

/// The largest packet inside the tunnel: fits any path that carries 1500 bytes.
const MTU: u16 = 1420;

/// How devices are opened. The range comes with the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Opener {
    pub(crate) key: PrivateKey,
    pub(crate) name: InterfaceName,
    pub(crate) port: u16,
    /// Why no packet moves, where none does.
    pub(crate) none: Option<String>,
}

impl Opener {
    /// Chooses the backend. `none` is chosen by itself only in the trial.
    ///
    /// # Errors
    /// No backend works here, or the key cannot be had.
    pub(crate) fn new(config: &Config, trial: bool) -> Result<Self, Failure> {
        let none = match (config.wireguard, userspace_support()) {
            (Wireguard::None, _) => Some("the configuration says `wireguard: none`".to_owned()),
            (_, Support::Available) => None,
            (Wireguard::Auto, Support::Unavailable { reason, .. }) if trial => Some(reason),
            (_, Support::Unavailable { reason, hint }) => {
                let hint = format!("{reason}; {hint}, or set `wireguard: none` to move no packets");
                return Err(Failure::setup("use WireGuard here", hint));
            }
        };
        Ok(Self {
            key: own_key(config)?,
            name: config.wg_interface.clone(),
            port: config.wg_port,
            none,
        })
    }

    /// The engine's own addresses in the control tunnel of a cluster.
    pub(crate) fn addresses(&self, cluster: &Cluster) -> Vec<IpNet> {
        let prefix = |address: IpAddr, length| IpNet::new(address, length).ok();
        let v4: Ipv4Addr = engine_v4(cluster.control_range);
        let v6 = control_v6(&self.key.public_key());
        let v4 = prefix(v4.into(), cluster.control_range.prefix_len());
        let v6 = prefix(v6.into(), control_range_v6().prefix_len());
        v4.into_iter().chain(v6).collect()
    }

    pub(crate) async fn open(&self, cluster: &Cluster) -> Result<Arc<dyn Device>, DeviceError> {
        if self.none.is_some() {
            return Ok(none(self.name.clone()));
        }
        open_userspace(DeviceConfig {
            name: self.name.clone(),
            private_key: self.key.clone(),
            listen_port: self.port,
            addresses: self.addresses(cluster),
            mtu: MTU,
        })
        .await
    }
}

/// The configured key, or the one in the state folder, made there at the first start.
fn own_key(config: &Config) -> Result<PrivateKey, Failure> {
    let key = match &config.wg_private_key {
        Some(key) => key.clone(),
        None => kept_key(&config.state_dir.join("wg_private_key"))?,
    };
    match config.wg_public_key {
        Some(public) if public != key.public_key() => {
            let why = format!("the private key's public key is {}", key.public_key());
            Err(Failure::setup("use engine.wg_public_key", why))
        }
        _ => Ok(key),
    }
}

fn kept_key(path: &Path) -> Result<PrivateKey, Failure> {
    let doing = || format!("use the private key {}", path.display());
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let text = zeroize::Zeroizing::new(text);
            PrivateKey::from_base64(text.trim()).map_err(|e| Failure::setup(doing(), e))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key =
                PrivateKey::generate().map_err(|e| Failure::setup("make a private key", e))?;
            crate::run::write_secret(path, &key.to_base64())
                .map_err(|e| Failure::setup(doing(), e))?;
            Ok(key)
        }
        Err(error) => Err(Failure::setup(doing(), error)),
    }
}
