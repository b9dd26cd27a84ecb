//! The engine's memory, without a device.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use banyan_testkit::git::TestRepo;

use crate::big_repo::BigRepo;
use crate::engine::{EngineProcess, Ground};
use crate::etcd::Etcd;
use crate::out::{Measured, Row};

/// How long an engine stays idle before it is measured.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) async fn measure(repo: &mut BigRepo) -> Result<Vec<Row>> {
    let example = example()?;
    let (small, big) = (
        (example.url(), examples().join("demo-identity.txt")),
        (repo.git.url(), repo.identity_file()?),
    );
    let embedded = Figures::of(&small, "").await?;
    let large = Figures::of(&big, "").await?;
    let mut details = embedded.details("example repo").split_off(1);
    let mut large_details = large.details("big repo").split_off(1);
    for (what, on, details) in [
        ("example repo", &small, &mut details),
        ("big repo", &big, &mut large_details),
    ] {
        let etcd = Etcd::start()?;
        let figures = Figures::of(on, &etcd.config("engine-1")).await?;
        details.extend(figures.details(&format!("{what}, the state in etcd")));
    }
    let what = "engine's memory with the example repo, userspace device apart (VmRSS)";
    let what_large = "engine's memory with the big repo, userspace device apart (VmRSS)";
    Ok(vec![
        embedded.row("memory", what, 40, details),
        large.row("memory-big", what_large, 100, large_details),
    ])
}

/// In KiB.
struct Figures {
    rss: u64,
    pss: u64,
    peak: u64,
}

impl Figures {
    /// Of an engine on a repo, by its URL and identity, and a store.
    async fn of((url, identity): &(String, PathBuf), store: &str) -> Result<Self> {
        let engine = EngineProcess::start(Ground {
            url,
            identity,
            wireguard: "none",
            store,
        })
        .await?;
        engine.settle().await?;
        tokio::time::sleep(SETTLE).await;
        Ok(Self {
            rss: engine.memory("status", "VmRSS:")?,
            pss: engine.memory("smaps_rollup", "Pss:")?,
            peak: engine.memory("status", "VmHWM:")?,
        })
    }

    fn row(&self, id: &'static str, what: &str, limit: u32, details: Vec<(String, String)>) -> Row {
        Row {
            id,
            what: what.to_owned(),
            target: format!("under {limit} MB"),
            figure: self.rss(),
            measured: Some(Measured {
                value: self.rss as f64 * 1.024 / 1_000.0,
                limit: f64::from(limit),
                unit: "MB",
            }),
            details,
        }
    }

    fn rss(&self) -> String {
        megabytes(self.rss)
    }

    fn details(&self, of: &str) -> Vec<(String, String)> {
        vec![
            (format!("{of} (VmRSS)"), self.rss()),
            (
                format!("{of}: proportional (Pss), peak (VmHWM)"),
                self.others(),
            ),
        ]
    }

    fn others(&self) -> String {
        format!("{}, {}", megabytes(self.pss), megabytes(self.peak))
    }
}

fn megabytes(kib: u64) -> String {
    format!("{:.1} MB", kib as f64 * 1.024 / 1_000.0)
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

fn example() -> Result<TestRepo> {
    let root = examples().join("cluster-repo");
    let mut files = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(&root)?.to_string_lossy().into_owned();
                files.push((name, std::fs::read(&path)?));
            }
        }
    }
    ensure!(!files.is_empty(), "{} is empty", root.display());
    let entries = files
        .iter()
        .map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
    TestRepo::with_files(entries, false)
}
