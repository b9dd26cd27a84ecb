//! The state as an engine opens it, in the embedded store or in etcd, with its writes timed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use banyan_state::{Options, Replica, State};
use banyan_store::EmbeddedStore;

use crate::etcd::Etcd;
use crate::timed::{Timed, Writes};

/// The interval at which an engine confirms its view of etcd.
pub(crate) const PROBE: Duration = Duration::from_secs(1);

pub(crate) struct Kept {
    pub(crate) state: Arc<State>,
    /// To the store.
    pub(crate) writes: Writes,
    /// To the copy on disk that an engine on etcd keeps.
    pub(crate) copies: Writes,
}

impl Kept {
    /// Creates its files in this directory.
    pub(crate) async fn open(folder: &Path, etcd: Option<&Etcd>) -> Result<Self> {
        let file = Arc::new(EmbeddedStore::open(folder.join("store.redb"))?);
        let (file, written) = Timed::wrap(file);
        let Some(etcd) = etcd else {
            return Ok(Self {
                state: Arc::new(State::open(file).await?),
                writes: written,
                copies: Writes::default(),
            });
        };
        let (store, writes) = Timed::wrap(etcd.store()?);
        let options = Options {
            probe: Some(PROBE),
            replica: Some(Replica::open(file, "the benchmark's etcd").await?),
            may_start_without: false,
        };
        Ok(Self {
            state: Arc::new(State::open_with(store, options).await?),
            writes,
            copies: written,
        })
    }
}
