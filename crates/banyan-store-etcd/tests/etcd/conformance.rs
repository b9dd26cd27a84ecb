//! The conformance suite, each test on a server of its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use banyan_store::conformance::Bench;
use banyan_store::{Store, Txn};
use banyan_store_etcd::{EtcdOptions, EtcdStore, Lag};
use banyan_testkit::etcd::Cluster;

/// Small enough for a test to overrun.
const LAG: Lag = Lag {
    batches: 16,
    patience: Duration::from_millis(100),
};

struct Server {
    cluster: Cluster,
}

#[async_trait]
impl Bench for Server {
    async fn open(&self) -> Arc<dyn Store> {
        let mut options = EtcdOptions::new(self.cluster.endpoints());
        options.prefix = "conformance/".to_owned();
        options.lag = LAG;
        Arc::new(EtcdStore::connect(options).unwrap())
    }

    async fn forget_history(&self, store: &dyn Store) {
        self.cluster.compact().unwrap();
        // A watch that already had this history must fall behind as well.
        for n in 0..LAG.batches * 2 {
            let txn = Txn::new().put(format!("~{n}"), *b"");
            store.commit(txn).await.unwrap();
        }
        // Nothing signals that a watch has run out of patience.
        tokio::time::sleep(LAG.patience * 5).await;
    }
}

async fn make() -> Server {
    Server {
        cluster: Cluster::start(1).unwrap(),
    }
}

banyan_store::conformance_tests!(make);
