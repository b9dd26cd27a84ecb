//! The cost of checking a device that has not drifted, and that such checks write nothing.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use banyan_core::peer_changes;

use crate::big_repo::BigRepo;
use crate::engine::{EngineProcess, Ground, cpu_of};
use crate::etcd::Etcd;
use crate::out::{Measured, Row};
use crate::peers;
use crate::place::Place;
use crate::sample::{Sample, shown, shown_both};

/// The interval of an engine's device scans.
const EVERY: Duration = Duration::from_secs(4);
/// The number of consecutive scans, enough to measure their CPU time.
const SCANS: u32 = 200;
/// How long the device, and an engine, are observed: that many scan intervals.
const IDLE: u32 = 5;
/// How long an engine settles before that.
const SETTLE: Duration = Duration::from_secs(3);
/// In percent of a core.
const LIMIT: f64 = 1.0;
const WHAT: &str = "drift scan that finds nothing, 10,000 peers, one in 4 s: share of a core";
const WRITES: &str = "what an engine in which nothing happens writes to etcd in that time";

pub(crate) async fn measure(repo: &BigRepo, place: &Place, size: usize) -> Result<Vec<Row>> {
    if let Some(reason) = place.lacking() {
        let why = format!("not measured: {reason}");
        return Ok(vec![
            Row::untimed("drift", WHAT, &why),
            Row::untimed("drift-writes", WRITES, &why),
        ]);
    }
    let scans = Scans::measure(size).await?;
    let engine = Idle::measure(repo).await?;
    Ok(vec![scans.row(&engine), engine.row()])
}

/// The scan alone, as the engine does it.
struct Scans {
    wall: Sample,
    /// CPU time of one scan.
    cpu: Duration,
    /// CPU use of the device itself, as a fraction of a core.
    device: f64,
}

impl Scans {
    async fn measure(size: usize) -> Result<Self> {
        let keys = peers::keys(size)?;
        let wanted = peers::peers(&keys.into_iter().collect());
        let device = peers::device("wg-drift").await?;
        device
            .apply(&peer_changes(&wanted, &device.peers().await?))
            .await?;
        let (began, before) = (Instant::now(), cpu_of("self")?);
        tokio::time::sleep(EVERY * IDLE).await;
        let device_alone = share(cpu_of("self")?.saturating_sub(before), began.elapsed());
        let (began, before) = (Instant::now(), cpu_of("self")?);
        let mut wall = Sample::default();
        for _ in 0..SCANS {
            let started = Instant::now();
            let changes = peer_changes(&wanted, &device.peers().await?);
            wall.push(started.elapsed());
            ensure!(changes.is_empty(), "the device is not as it was left");
        }
        let used = cpu_of("self")?.saturating_sub(before);
        let others = began.elapsed().mul_f64(device_alone);
        device.close().await?;
        Ok(Self {
            wall,
            cpu: used.saturating_sub(others) / SCANS,
            device: device_alone,
        })
    }

    fn row(&self, engine: &Idle) -> Row {
        let scan = 100.0 * share(self.cpu, EVERY);
        Row {
            id: "drift",
            what: WHAT.to_owned(),
            target: format!("at most {LIMIT} %"),
            figure: percent(scan),
            measured: Some(Measured {
                value: scan,
                limit: LIMIT,
                unit: "percent",
            }),
            details: vec![
                (
                    "one scan: processor time; until it is over".to_owned(),
                    format!("{}; {}", shown(self.cpu), shown_both(&self.wall)),
                ),
                (
                    "for comparison: the userspace device with these peers, left alone".to_owned(),
                    percent(100.0 * self.device),
                ),
                (
                    "an engine on etcd with the big repo in force, device and scans included"
                        .to_owned(),
                    percent(100.0 * engine.share),
                ),
            ],
        }
    }
}

/// An idle engine.
struct Idle {
    share: f64,
    /// Revisions the store created in that time.
    revisions: u64,
    scans: u32,
}

impl Idle {
    async fn measure(repo: &BigRepo) -> Result<Self> {
        let etcd = Etcd::start()?;
        let engine = EngineProcess::start(Ground {
            url: &repo.git.url(),
            identity: &repo.identity_file()?,
            wireguard: "userspace",
            store: &etcd.config("engine-1"),
        })
        .await?;
        engine.settle().await?;
        tokio::time::sleep(SETTLE).await;
        let revision = etcd.revision().await?;
        let (began, before) = (Instant::now(), engine.cpu()?);
        tokio::time::sleep(EVERY * IDLE).await;
        let (took, used) = (began.elapsed(), engine.cpu()?.saturating_sub(before));
        let later = etcd.revision().await?;
        let status = engine.status().await?;
        ensure!(
            usize::try_from(status.peers)? > 0 && status.peers == status.machines,
            "the device has {} peers for {} machines",
            status.peers,
            status.machines
        );
        Ok(Self {
            share: share(used, took),
            revisions: later.0.saturating_sub(revision.0),
            scans: IDLE,
        })
    }

    fn row(&self) -> Row {
        Row {
            id: "drift-writes",
            what: format!("{WRITES} ({} scans)", self.scans),
            target: "nothing".to_owned(),
            figure: format!("{} revisions", self.revisions),
            measured: Some(Measured {
                value: self.revisions as f64,
                limit: 0.0,
                unit: "revisions",
            }),
            details: Vec::new(),
        }
    }
}

/// A fraction of a core.
fn share(used: Duration, of: Duration) -> f64 {
    used.as_secs_f64() / of.as_secs_f64()
}

fn percent(value: f64) -> String {
    format!("{value:.2} %")
}
