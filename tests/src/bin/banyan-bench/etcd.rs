//! A real etcd server of one node, and what it costs by itself.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use banyan_store::{Compare, Outcome, Revision, Store, Txn};
use banyan_store_etcd::{EtcdOptions, EtcdStore};
use banyan_testkit::etcd::Cluster;

use crate::sample::{Sample, shown_both};

/// What engines put before their keys when the configuration names nothing else.
const PREFIX: &str = "banyan/";
/// Beside what engines see.
const BARE_PREFIX: &str = "bench/";
/// Transactions and syncs that are measured by themselves.
const BARE: usize = 100;
/// About as much as a commit of one file writes at once.
const BYTES: usize = 700;

/// The server. Dropped, it and its data go.
pub(crate) struct Etcd {
    cluster: Cluster,
}

impl Etcd {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self {
            cluster: Cluster::start(1)?,
        })
    }

    /// What the configuration of an engine of this name says of the store.
    pub(crate) fn config(&self, name: &str) -> String {
        format!(
            "  name: {name}\n  store_backend: etcd\n  etcd: {{endpoints: {:?}}}\n",
            self.cluster.endpoints()
        )
    }

    /// The store that engines use.
    pub(crate) fn store(&self) -> Result<Arc<dyn Store>> {
        self.under(PREFIX)
    }

    fn under(&self, prefix: &str) -> Result<Arc<dyn Store>> {
        let mut options = EtcdOptions::new(self.cluster.endpoints());
        prefix.clone_into(&mut options.prefix);
        Ok(Arc::new(EtcdStore::connect(options)?))
    }

    /// The revision of the whole server: another one after each write, whoever wrote.
    pub(crate) async fn revision(&self) -> Result<Revision> {
        Ok(self.store()?.snapshot().await?.revision())
    }

    /// Halts the server: connections stay, and it says nothing.
    pub(crate) fn halt(&self) -> Result<()> {
        self.cluster.stop(0)
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) -> Result<()> {
        self.cluster.cont(0)
    }

    /// What nobody can save: a transaction of the size that a commit takes, and a sync of that much to this disk.
    pub(crate) async fn bare(&self) -> Result<Vec<(String, String)>> {
        Ok(vec![
            (
                "bare: one write transaction to this etcd, alone".to_owned(),
                shown_both(&self.bare_transaction().await?),
            ),
            (
                "bare: appending as much to a file, and fdatasync".to_owned(),
                shown_both(&bare_sync()?),
            ),
        ])
    }

    async fn bare_transaction(&self) -> Result<Sample> {
        let store = self.under(BARE_PREFIX)?;
        let mut sample = Sample::default();
        let mut at = Revision(0);
        for _ in 0..BARE {
            let key = "key".to_owned();
            let txn = Txn::new()
                .when(Compare::Modified { key, at })
                .put("key", vec![b'x'; BYTES]);
            let started = Instant::now();
            let outcome = store.commit(txn).await?;
            sample.push(started.elapsed());
            let Outcome::Committed(revision) = outcome else {
                anyhow::bail!("somebody else writes under {BARE_PREFIX}");
            };
            at = revision;
        }
        ensure!(at > Revision(0), "etcd gave no revision");
        Ok(sample)
    }
}

fn bare_sync() -> Result<Sample> {
    let mut file = tempfile::tempfile()?;
    let mut sample = Sample::default();
    for _ in 0..BARE {
        let started = Instant::now();
        file.write_all(&[b'x'; BYTES])?;
        file.sync_data()?;
        sample.push(started.elapsed());
    }
    Ok(sample)
}
