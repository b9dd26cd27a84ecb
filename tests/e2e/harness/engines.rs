//! An engine's status of itself and of the others, and signals to it.

use anyhow::{Result, ensure};
use banyan_api::v1::{EngineStatus, GetEngineStatusRequest};
use banyan_testkit::netns::until;

use super::{Cluster, PATIENCE};

impl Cluster {
    /// The engine's status.
    #[track_caller]
    pub(crate) fn itself(&self) -> EngineStatus {
        until(PATIENCE, || self.try_itself()).unwrap()
    }

    fn try_itself(&self) -> Result<EngineStatus> {
        let mut engine = self.try_client()?.engine();
        let call = engine.get_status(GetEngineStatusRequest {});
        let answer = self.run(async { tokio::time::timeout(PATIENCE, call).await });
        Ok(answer??.into_inner())
    }

    /// Waits until the engine is in this role: `leads`, `follows` or `cut-off`.
    #[track_caller]
    pub(crate) fn await_role(&self, role: &str) -> EngineStatus {
        let is = until(PATIENCE, || {
            let status = self.try_itself()?;
            ensure!(status.role == role, "no {role}: {status:#?}");
            Ok(status)
        });
        is.unwrap()
    }

    /// Starts the engine and waits until it leads or follows.
    #[track_caller]
    pub(crate) fn join(&mut self) {
        self.spawn();
        let placed = until(PATIENCE, || {
            let status = self.try_itself()?;
            ensure!(status.role != "cut-off", "{status:#?}");
            Ok(())
        });
        placed.unwrap();
    }

    /// Pauses the engine.
    #[track_caller]
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    /// Resumes it.
    #[track_caller]
    pub(crate) fn wake(&self) {
        self.signal("CONT");
    }

    /// Changes the store out of band; the keys start with the engine's prefix.
    #[track_caller]
    pub(crate) fn etcdctl(&self, arguments: &[&str]) -> String {
        let servers = self.servers.as_ref().expect("the store is not etcd");
        servers.borrow().done(arguments).unwrap()
    }
}
