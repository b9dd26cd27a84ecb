//! The load of the fault tests: readers on every engine and a writer that waits for its commits, all recording the
//! answers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use banyan_api::v1::{GitopsStatus, ListMachinesRequest, ListUsersRequest, SyncRequest};
use banyan_api::{Client, Target};
use banyan_testkit::git::{git, git_input};
use banyan_testkit::netns::until;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::crash_random::{Random, runtime};
use crate::faults_check::{Answer, Death, Event, Read, Silence, Story};
use crate::faults_repo::{List, Rows, State};
use crate::harness::Cluster;

/// The interval between a reader's requests.
const READ_EVERY: Duration = Duration::from_millis(8);
/// The time limit of a list request, on a loaded machine.
const READ_LIMIT: Duration = Duration::from_secs(5);
/// The time limit of a sync request before the next engine is tried.
const SYNC_LIMIT: Duration = Duration::from_secs(8);
/// The retry interval.
const PAUSE: Duration = Duration::from_millis(50);
/// The time limit for a commit to come into force, including the fault.
const COMMIT_LIMIT: Duration = Duration::from_secs(90);
/// The number of readers per engine.
const READERS: usize = 2;

/// The shared record of all answers.
pub(crate) struct Record {
    begun: Instant,
    story: Mutex<Story>,
    known: Mutex<BTreeMap<(List, Rows), usize>>,
    /// By commit id, its number.
    commits: Mutex<BTreeMap<String, u64>>,
    /// Lists read and commits acknowledged, by engine.
    read: Vec<AtomicU64>,
    acknowledged: Vec<AtomicU64>,
    stop: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Record {
    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn number(&self, commit: &str) -> Option<u64> {
        lock(&self.commits).get(commit).copied()
    }

    fn content(&self, list: List, rows: Rows) -> usize {
        let mut known = lock(&self.known);
        let next = known.len();
        *known.entry((list, rows)).or_insert(next)
    }
}

/// Readers and a writer, running.
pub(crate) struct Load {
    record: Arc<Record>,
    runtime: Runtime,
    readers: Vec<JoinHandle<()>>,
    writer: Option<thread::JoinHandle<Result<()>>>,
}

impl Load {
    /// Starts on engines that serve the first commit.
    pub(crate) fn start(engines: &[Cluster], random: Random) -> Result<Self> {
        let count = |_| AtomicU64::new(0);
        let record = Arc::new(Record {
            begun: Instant::now(),
            story: Mutex::default(),
            known: Mutex::default(),
            commits: Mutex::default(),
            read: (0..engines.len()).map(count).collect(),
            acknowledged: (0..engines.len()).map(count).collect(),
            stop: AtomicBool::new(false),
        });
        let work = engines.first().context("no engine")?.repo.work();
        let state = State::first();
        lock(&record.commits).insert(git(&work, ["rev-parse", "HEAD"])?, state.number);
        lock(&record.story).states.push(state.clone());
        let sockets: Vec<PathBuf> = engines.iter().map(Cluster::socket).collect();
        let runtime = runtime()?;
        let readers = (0..READERS * sockets.len()).map(|number| {
            let engine = number % sockets.len();
            let socket = sockets[engine].clone();
            runtime.spawn(read_on(Arc::clone(&record), engine, number as u64, socket))
        });
        let readers = readers.collect();
        let writer = Writer {
            record: Arc::clone(&record),
            work,
            sockets,
            random,
            possible: vec![state],
        };
        Ok(Self {
            record,
            runtime,
            readers,
            writer: Some(thread::spawn(|| writer.run())),
        })
    }

    /// Waits until every engine has acknowledged a commit that is new to it; returns how long that took.
    #[track_caller]
    pub(crate) fn commits_go_on(&mut self) -> Duration {
        let begun = Instant::now();
        let told: Vec<u64> = self.record.acknowledged.iter().map(load).collect();
        let further = until(COMMIT_LIMIT, || {
            if self
                .writer
                .as_ref()
                .is_none_or(thread::JoinHandle::is_finished)
            {
                panic!("the writer ended: {:?}", self.settle());
            }
            let now: Vec<u64> = self.record.acknowledged.iter().map(load).collect();
            let further = told.iter().zip(&now).all(|(told, now)| now > told);
            ensure!(further, "engines acknowledge nothing: {told:?}, {now:?}");
            Ok(())
        });
        further.unwrap();
        begun.elapsed()
    }

    /// Waits until every engine has answered requests that readers sent after this call.
    #[track_caller]
    pub(crate) fn reads_go_on(&self) {
        let told: Vec<u64> = self.record.read.iter().map(load).collect();
        let further = until(READ_LIMIT, || {
            let now: Vec<u64> = self.record.read.iter().map(load).collect();
            // Each reader may have one earlier request in flight.
            let enough = |(told, now): (&u64, &u64)| *now > told + 2 * READERS as u64;
            ensure!(
                told.iter().zip(&now).all(enough),
                "readers get no answers: {told:?}, {now:?}"
            );
            Ok(())
        });
        further.unwrap();
    }

    /// Engine number `engine` is dead during this call, and serves again afterwards.
    pub(crate) fn dead<T>(&self, engine: usize, during: impl FnOnce() -> T) -> T {
        let from = self.record.now();
        // Open-ended until known, because readers are checked only at the end.
        let done = during();
        let until = self.record.now();
        lock(&self.record.story).deaths.push(Death {
            engine,
            from,
            until,
        });
        done
    }

    /// Lets the writer finish its commit; returns that commit's id.
    pub(crate) fn settle(&mut self) -> Result<String> {
        self.record.stop.store(true, Ordering::SeqCst);
        let writer = self.writer.take().context("it was settled")?;
        let wrote = writer.join();
        wrote.unwrap_or_else(|_| bail!("the writer panicked"))?;
        let commits = lock(&self.record.commits);
        let newest = commits.iter().max_by_key(|(_, number)| **number);
        Ok(newest.context("no commit")?.0.clone())
    }

    /// Stops the load and returns everything recorded.
    pub(crate) fn end(mut self, engines: &[Cluster]) -> Story {
        for reader in std::mem::take(&mut self.readers) {
            reader.abort();
            let _ended = self.runtime.block_on(reader);
        }
        let mut story = std::mem::take(&mut *lock(&self.record.story));
        let contents = std::mem::take(&mut *lock(&self.record.known));
        let mut contents: Vec<_> = contents.into_iter().collect();
        contents.sort_by_key(|(_, number)| *number);
        story.contents = contents.into_iter().map(|(content, _)| content).collect();
        let history = |engine: &Cluster| -> Vec<Event> {
            let history = engine.history().into_iter().rev();
            history.map(|entry| self.record.event(entry)).collect()
        };
        story.histories = engines.iter().map(history).collect();
        story
    }
}

impl Drop for Load {
    /// Stops the writer of a failed test.
    fn drop(&mut self) {
        self.record.stop.store(true, Ordering::SeqCst);
    }
}

fn load(count: &AtomicU64) -> u64 {
    count.load(Ordering::SeqCst)
}

impl Record {
    fn event(&self, entry: banyan_api::v1::HistoryEntry) -> Event {
        use banyan_api::v1::history_entry::Outcome;
        match entry.outcome {
            Some(Outcome::Applied(applied)) => Event::Applied {
                generation: applied.generation,
                commit: entry.commit.and_then(|commit| self.number(&commit.id)),
            },
            other => Event::Other(format!("{other:?}")),
        }
    }
}

/// Reads users and machines in turn forever, reconnecting after each failure.
async fn read_on(record: Arc<Record>, engine: usize, reader: u64, socket: PathBuf) {
    let mut connection = reader << 32;
    loop {
        connection += 1;
        let asked = record.now();
        let why = match Client::connect(&Target::Socket(socket.clone())).await {
            Ok(client) => read_until_it_fails(&record, engine, connection, &client).await,
            Err(error) => (asked, error.to_string()),
        };
        let silence = Silence {
            engine,
            asked: why.0,
            given_up: record.now(),
            why: why.1,
        };
        lock(&record.story).silences.push(silence);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Returns when a request failed, and why.
async fn read_until_it_fails(
    record: &Record,
    engine: usize,
    connection: u64,
    client: &Client,
) -> (Duration, String) {
    for list in [List::Users, List::Machines].into_iter().cycle() {
        let asked = record.now();
        let (generation, rows) = match tokio::time::timeout(READ_LIMIT, ask(client, list)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(status)) => return (asked, status.to_string()),
            Err(_) => return (asked, "it takes too long".to_owned()),
        };
        let answered = record.now();
        let content = record.content(list, rows);
        let read = Read {
            engine,
            connection,
            asked,
            answered,
            generation,
            content,
        };
        lock(&record.story).reads.push(read);
        record.read[engine].fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(READ_EVERY).await;
    }
    unreachable!("two lists in turn have no end")
}

async fn ask(client: &Client, list: List) -> Result<(u64, Rows), tonic::Status> {
    Ok(match list {
        List::Users => {
            let answer = client.users().list_users(ListUsersRequest {}).await?;
            let answer = answer.into_inner();
            let rows = answer.users.into_iter().map(|user| (user.name, user.email));
            (answer.generation, rows.collect())
        }
        List::Machines => {
            let request = ListMachinesRequest {};
            let answer = client.machines().list_machines(request).await?;
            let answer = answer.into_inner();
            let rows = answer.machines.into_iter().map(|m| (m.name, m.endpoint));
            (answer.generation, rows.collect())
        }
    })
}

/// Pushes commits, one or two at a time, and waits until an engine acknowledges the newest before it continues.
struct Writer {
    record: Arc<Record>,
    work: PathBuf,
    sockets: Vec<PathBuf>,
    random: Random,
    /// The states that may be in force, oldest first; the last one is the branch's.
    possible: Vec<State>,
}

impl Writer {
    fn run(mut self) -> Result<()> {
        let runtime = runtime()?;
        while !self.record.stopped() {
            for _ in 0..[1, 1, 1, 2][self.random.below(4)] {
                self.push()?;
            }
            runtime.block_on(self.acknowledge())?;
            self.possible.drain(..self.possible.len() - 1);
        }
        Ok(())
    }

    fn push(&mut self) -> Result<()> {
        let state = self.possible.last().context("no state")?;
        let state = state.next(&mut self.random);
        std::fs::write(self.work.join("users.yaml"), state.user_file())?;
        std::fs::write(self.work.join("machines.yaml"), state.machine_file())?;
        let message = state.message(&self.possible);
        git_input(
            &self.work,
            ["commit", "--quiet", "--all", "--file=-"],
            message.as_bytes(),
        )?;
        let id = git(&self.work, ["rev-parse", "HEAD"])?;
        // Recorded before any engine can report it.
        lock(&self.record.commits).insert(id, state.number);
        lock(&self.record.story).states.push(state.clone());
        self.possible.push(state);
        git(&self.work, ["push", "--quiet", "origin", "HEAD"])?;
        Ok(())
    }

    /// Tries one engine after another, until one says that the newest commit is in force.
    async fn acknowledge(&mut self) -> Result<()> {
        let pushed = self.possible.last().context("no state")?.number;
        let begun = Instant::now();
        loop {
            let engine = self.random.below(self.sockets.len());
            let said = match tokio::time::timeout(SYNC_LIMIT, sync(&self.sockets[engine])).await {
                Ok(Ok(status)) if self.take(engine, pushed, &status)? => return Ok(()),
                Ok(Ok(status)) => format!("{}: {}", status.state, status.error),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it takes too long".to_owned(),
            };
            ensure!(
                begun.elapsed() < COMMIT_LIMIT,
                "commit {pushed} does not get into force; engine {} says at last: {said}",
                engine + 1
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Records an engine's status of the branch; returns whether the newest commit is in force.
    fn take(&self, engine: usize, pushed: u64, status: &GitopsStatus) -> Result<bool> {
        ensure!(
            status.state != "refused",
            "commit {pushed} was refused: {:#?}",
            status.findings
        );
        if status.state != "in-force" {
            return Ok(false);
        }
        let applied = status.applied.as_ref();
        let answer = Answer {
            engine,
            answered: self.record.now(),
            pushed,
            commit: applied.and_then(|commit| self.record.number(&commit.id)),
            generation: status.generation,
        };
        lock(&self.record.story).answers.push(answer);
        let done = answer.commit == Some(pushed);
        if done {
            self.record.acknowledged[engine].fetch_add(1, Ordering::SeqCst);
        }
        Ok(done)
    }
}

/// Requests a pass from an engine and waits until it is over.
async fn sync(socket: &std::path::Path) -> Result<GitopsStatus> {
    let client = Client::connect(&Target::Socket(socket.to_owned())).await?;
    let status = client.gitops().sync(SyncRequest { wait: true }).await?;
    Ok(status.into_inner())
}
