//! Opening the configured store, and the state on top of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use banyan_core::Name;
use banyan_state::{Options, Replica, State};
use banyan_store::{EmbeddedStore, Store, StoreError};
use banyan_store_etcd::{EtcdOptions, EtcdStore, Login, Tls};
use tracing::warn;

use crate::Failure;
use crate::config::{Config, Etcd, StoreBackend};

/// Interval at which the view of a remote store is confirmed.
const PROBE: Duration = Duration::from_secs(1);

/// The time limit of a request to etcd. Half of it is for the first member, so that a hanging one is abandoned for the
/// next in time to keep the engine's lease alive.
const REQUEST: Duration = Duration::from_secs(4);

/// Opens the configured store.
///
/// # Errors
/// If it is in use, damaged or does not match the configuration. Does not wait for an etcd cluster to answer.
pub(crate) async fn open_store(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    match (config.store_backend, &config.etcd) {
        (StoreBackend::Etcd, Some(etcd)) => open_etcd(etcd),
        _ => open_embedded(embedded_path(&config.state_dir), &config.state_dir).await,
    }
}

/// The file of the embedded store.
pub(crate) fn embedded_path(state_dir: &Path) -> PathBuf {
    state_dir.join("store.redb")
}

pub(crate) fn open_etcd(etcd: &Etcd) -> Result<Arc<dyn Store>, Failure> {
    let mut options = EtcdOptions::new(&etcd.endpoints);
    options.prefix.clone_from(&etcd.prefix);
    options.request_timeout = REQUEST;
    options.user = (etcd.user.as_ref()).map(|(name, password)| Login {
        name: name.clone(),
        password: password.expose().to_owned().into(),
    });
    options.tls = etcd.ca.as_ref().map(|ca| Tls {
        ca_pem: ca.clone(),
        identity: (etcd.certificate.as_ref())
            .map(|(certificate, key)| (certificate.clone(), key.expose().to_owned().into())),
    });
    let store = EtcdStore::connect(options);
    let store = store.map_err(|error| Failure::setup("use engine.etcd", error))?;
    Ok(Arc::new(store))
}

pub(crate) async fn open_embedded(
    path: PathBuf,
    state_dir: &Path,
) -> Result<Arc<dyn Store>, Failure> {
    let doing = format!("open the store {}", path.display());
    let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(path)).await;
    let opened = opened.map_err(|error| Failure::setup(&doing, error))?;
    match opened {
        Ok(store) => Ok(Arc::new(store)),
        Err(StoreError::Busy { .. }) => Err(Failure::Running(state_dir.to_owned())),
        Err(error) => Err(Failure::setup(&doing, error)),
    }
}

/// Opens the state. With etcd it also opens, from the copy on disk, if etcd does not answer.
pub(crate) async fn open_state(config: &Config) -> Result<State, Failure> {
    let store = open_store(config).await?;
    let options = match (config.store_backend, &config.etcd) {
        (StoreBackend::Etcd, Some(etcd)) => Options {
            probe: Some(PROBE),
            replica: Some(open_replica(config, etcd).await?),
            may_start_without: true,
        },
        _ => Options::default(),
    };
    let opened = State::open_with(store, options).await;
    opened.map_err(|error| Failure::setup("use the store", error))
}

/// Opens the copy on disk. An unreadable copy is recreated.
async fn open_replica(config: &Config, etcd: &Etcd) -> Result<Replica, Failure> {
    let path = config.state_dir.join("replica.redb");
    let doing = || format!("use the copy of the state {}", path.display());
    let store = match open_embedded(path.clone(), &config.state_dir).await {
        Err(Failure::Setup { source, .. }) => {
            warn!(error = %source, path = %path.display(), "the copy of the state is unreadable; recreating it");
            let removed = std::fs::remove_file(&path);
            removed.map_err(|error| Failure::setup(doing(), error))?;
            open_embedded(path.clone(), &config.state_dir).await?
        }
        other => other?,
    };
    let origin = format!("{} {}", etcd.endpoints.join(","), etcd.prefix);
    let replica = Replica::open(store, &origin).await;
    replica.map_err(|error| Failure::setup(doing(), error))
}

/// The engine's name among those that share a store: the configured one, or the host name.
pub(crate) fn engine_name(config: &Config) -> Name {
    let own = config.name.clone();
    own.or_else(|| host().and_then(|host| as_name(&host)))
        .or_else(|| "engine".parse().ok())
        .unwrap_or_else(|| unreachable!("`engine` is a name"))
}

/// The host name according to the kernel.
pub(crate) fn host() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(text.trim().to_owned()).filter(|host| !host.is_empty())
}

/// The first label of a host name, as an object name.
fn as_name(host: &str) -> Option<Name> {
    let label = host.split('.').next().unwrap_or_default();
    label.to_ascii_lowercase().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_named_after_the_first_label_of_its_host() {
        assert_eq!(
            as_name("Engine-1.example.org").unwrap().as_str(),
            "engine-1"
        );
        assert_eq!(as_name("with_underscore"), None);
        assert_eq!(as_name(""), None);
    }
}
