//! A real single-node etcd server, and its own baseline cost.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use banyan_store::{Compare, Outcome, Revision, Store, Txn};
use banyan_store_etcd::{EtcdOptions, EtcdStore};
use banyan_testkit::etcd::Cluster;

use crate::sample::{Sample, shown_both};

/// The engines' default key prefix.
const PREFIX: &str = "banyan/";
/// A prefix outside of the engines' keys.
const BARE_PREFIX: &str = "bench/";
/// How many transactions and syncs the baseline measures.
const BARE: usize = 100;
/// About the size of the write of a one-file commit.
const BYTES: usize = 700;

/// The server. Dropping it stops it and deletes its data.
pub(crate) struct Etcd {
    cluster: Cluster,
}

impl Etcd {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self {
            cluster: Cluster::start(1)?,
        })
    }

    /// The store section in the configuration of an engine of this name.
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

    /// The revision of the whole server, which every write by any client increments.
    pub(crate) async fn revision(&self) -> Result<Revision> {
        Ok(self.store()?.snapshot().await?.revision())
    }

    /// Pauses the server: connections stay open, but it does not answer.
    pub(crate) fn halt(&self) -> Result<()> {
        self.cluster.stop(0)
    }

    /// Resumes it.
    pub(crate) fn go_on(&self) -> Result<()> {
        self.cluster.cont(0)
    }

    /// The lower bound: a transaction of the size of a commit's, and a sync of that much to this disk.
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
                anyhow::bail!("another client writes under {BARE_PREFIX}");
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
