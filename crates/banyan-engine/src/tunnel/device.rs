//! The device of the control tunnel: its backend, key and addresses, and how it is opened.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use banyan_core::{Cluster, Name, control_range_v6, control_v6, engine_v4};
use banyan_state::View;
use banyan_wireguard::{
    Device, DeviceConfig, DeviceError, InterfaceName, PrivateKey, Support, none, open_userspace,
    userspace_support,
};
use ipnet::IpNet;

use crate::Failure;
use crate::config::{Config, StoreBackend, Wireguard};
use crate::ops::store::engine_name;

/// MTU of the tunnel: fits any path that carries 1500 bytes.
const MTU: u16 = 1420;

/// Opens devices. The address range comes from the cluster.
#[derive(Debug, Clone)]
pub(crate) struct DeviceFactory {
    pub(crate) key: PrivateKey,
    pub(crate) name: InterfaceName,
    pub(crate) port: u16,
    /// Why no packets move; `None` if they do.
    pub(crate) none: Option<String>,
    /// The engine's name, if it shares its store with others.
    pub(crate) shared_as: Option<Name>,
}

impl DeviceFactory {
    /// Chooses the backend. Only the trial falls back to `none` automatically.
    ///
    /// # Errors
    /// If no backend works here, or the key is unavailable.
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
            shared_as: (config.store_backend == StoreBackend::Etcd).then(|| engine_name(config)),
        })
    }

    /// The engine's own addresses in the control tunnel of a cluster. One of several engines has the first IPv4 address
    /// of the range; each has the IPv6 address of its key.
    pub(crate) fn addresses(&self, cluster: &Cluster, view: &View) -> Vec<IpNet> {
        let prefix = |address: IpAddr, length| IpNet::new(address, length).ok();
        let first = (self.shared_as.as_ref()).is_none_or(|me| view.v4_holder.as_ref() == Some(me));
        let v4: Ipv4Addr = engine_v4(cluster.control_range);
        let v6 = control_v6(&self.key.public_key());
        let v4 = prefix(v4.into(), cluster.control_range.prefix_len()).filter(|_| first);
        let v6 = prefix(v6.into(), control_range_v6().prefix_len());
        v4.into_iter().chain(v6).collect()
    }

    pub(crate) async fn open(
        &self,
        cluster: &Cluster,
        view: &View,
    ) -> Result<Arc<dyn Device>, DeviceError> {
        if self.none.is_some() {
            return Ok(none(self.name.clone()));
        }
        open_userspace(DeviceConfig {
            name: self.name.clone(),
            private_key: self.key.clone(),
            listen_port: self.port,
            addresses: self.addresses(cluster, view),
            mtu: MTU,
        })
        .await
    }
}

/// The configured key, or the one in the state directory, generated at the first start.
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
                PrivateKey::generate().map_err(|e| Failure::setup("generate a private key", e))?;
            crate::private_file::write_secret(path, &key.to_base64())
                .map_err(|e| Failure::setup(doing(), e))?;
            Ok(key)
        }
        Err(error) => Err(Failure::setup(doing(), error)),
    }
}
