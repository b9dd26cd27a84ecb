//! Commits beside a loop of large plans, over commits without.
//!
//! Several clients upload the whole repo with every user changed and more machines to unseal, one time after the other, as fast as the
//! engine takes them. The clients are threads of the lowest priority in this process: they stand for computers of their own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use banyan_api::v1::{File, PlanRequest};
use banyan_api::{Client, Target};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::big_repo::{BigRepo, Edit};
use crate::inside::Inside;
use crate::out::Row;
use crate::sample::{Sample, seconds, shown, shown_both};

/// Commits in a row, and how many times that alternates between commits with and without plans.
const COMMITS: usize = 100;
const TURNS: usize = 4;
const QUICK_TURNS: usize = 2;
/// Clients that plan at the same time.
const CLIENTS: usize = 4;
/// Machines that each plan adds, as a share of those in the repo.
const ADDED: usize = 10;
/// The most content of a message, as the command line sends it; in bytes.
const MESSAGE: usize = 512 * 1024;
const LIMIT: f64 = 1.3;

pub(crate) async fn measure(repo: &mut BigRepo, quick: bool, size: usize) -> Result<Vec<Row>> {
    let turns = if quick { QUICK_TURNS } else { TURNS };
    // The first turn warms up.
    let edits = std::iter::repeat_n(Edit::User, COMMITS * 2 * (turns + 1));
    let commits = repo.prepare(edits)?;
    let upload: Arc<[PlanRequest]> = messages(repo.altered(size / ADDED)?).into();
    let engine = Inside::start(repo, "none", "").await?;
    engine.bring(commits.last().context("a commit")?)?;
    let (mut without, mut with) = <(Sample, Sample)>::default();
    let (mut plans, mut lasted) = <(usize, Duration)>::default();
    for (turn, commits) in commits.chunks(COMMITS * 2).enumerate() {
        if turn == 1 {
            (without, with) = Default::default();
            (plans, lasted) = <(usize, Duration)>::default();
        }
        let (quiet, beside) = commits.split_at(COMMITS);
        for commit in quiet {
            without.push(engine.apply(commit).await?);
        }
        let planning = Planning::begin(engine.socket(), &upload).await?;
        for commit in beside {
            with.push(engine.apply(commit).await?);
        }
        let (made, took) = planning.end().await?;
        plans += made;
        lasted += took;
    }
    engine.stop().await;
    let files: usize = upload.iter().map(|message| message.files.len()).sum();
    let bytes: usize = (upload.iter().flat_map(|message| &message.files))
        .map(|file| file.content.len())
        .sum();
    let what = format!(
        "one-file commit beside {CLIENTS} clients that plan in a loop ÷ without ({size} sealed machines; embedded; no device; {} commits each)",
        with.len()
    );
    let took = lasted / u32::try_from(plans)?;
    Ok(vec![Row {
        details: vec![
            ("without plans".to_owned(), shown_both(&without)),
            ("beside plans".to_owned(), shown_both(&with)),
            (
                "slowest commit: without, beside".to_owned(),
                format!("{}, {}", shown(without.worst()), shown(with.worst())),
            ),
            (
                "plans made beside, each uploading".to_owned(),
                format!("{plans}, {files} files, {} MB", bytes / 1_000_000),
            ),
            ("time between two finished plans".to_owned(), seconds(took)),
        ],
        ..Row::ratio("plans", what, (&with, &without), LIMIT)
    }])
}

fn messages(files: BTreeMap<String, Vec<u8>>) -> Vec<PlanRequest> {
    let (mut messages, mut open, mut size) = (Vec::new(), Vec::new(), 0);
    for (path, content) in files {
        size += content.len();
        open.push(File {
            path,
            content: content.into(),
        });
        if size >= MESSAGE {
            messages.push(PlanRequest {
                files: std::mem::take(&mut open),
            });
            size = 0;
        }
    }
    messages.push(PlanRequest { files: open });
    messages
}

/// Clients that plan in a loop.
struct Planning {
    clients: Vec<JoinHandle<Result<()>>>,
    stop: Arc<AtomicBool>,
    made: Arc<AtomicUsize>,
    began: std::time::Instant,
    runtime: Option<Runtime>,
}

impl Planning {
    /// Starts the clients, and waits until the first plan is made: from then on one is always under way.
    async fn begin(socket: &Path, upload: &Arc<[PlanRequest]>) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(CLIENTS)
            .on_thread_start(give_way)
            .enable_all()
            .build()?;
        let (stop, made) = <(Arc<AtomicBool>, Arc<AtomicUsize>)>::default();
        let (first, mut is_made) = tokio::sync::mpsc::channel(1);
        let clients = (0..CLIENTS).map(|_| {
            let (stop, made, first) = (Arc::clone(&stop), Arc::clone(&made), first.clone());
            let (socket, upload) = (Target::Socket(socket.to_owned()), Arc::clone(upload));
            runtime.spawn(async move {
                let client = Client::connect(&socket).await?;
                while !stop.load(Ordering::Relaxed) {
                    plan(&client, &upload).await?;
                    made.fetch_add(1, Ordering::Relaxed);
                    // Only the first one is waited for.
                    let _ = first.try_send(());
                }
                Ok(())
            })
        });
        let mut planning = Self {
            clients: clients.collect(),
            stop,
            made,
            began: std::time::Instant::now(),
            runtime: Some(runtime),
        };
        drop(first);
        if is_made.recv().await.is_none() {
            // All clients failed.
            planning.join().await?;
        }
        Ok(planning)
    }

    async fn join(&mut self) -> Result<()> {
        for client in self.clients.drain(..) {
            client.await??;
        }
        Ok(())
    }

    /// Waits for the plans under way; returns how many were made, and in which time.
    async fn end(mut self) -> Result<(usize, Duration)> {
        self.stop.store(true, Ordering::Relaxed);
        self.join().await?;
        Ok((self.made.load(Ordering::Relaxed), self.began.elapsed()))
    }
}

impl Drop for Planning {
    fn drop(&mut self) {
        // A runtime must not be dropped where it would block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn plan(client: &Client, upload: &Arc<[PlanRequest]>) -> Result<()> {
    let upload = Arc::clone(upload);
    let messages = (0..upload.len()).filter_map(move |n| upload.get(n).cloned());
    let plan = client.gitops().plan(tokio_stream::iter(messages)).await?;
    let plan = plan.into_inner();
    ensure!(!plan.refused, "refused: {:?}", plan.findings.first());
    ensure!(!plan.changes.is_empty(), "the plan changes nothing");
    Ok(())
}

/// Gives the calling thread the lowest priority, where a thread has one of its own.
fn give_way() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 19);
}
