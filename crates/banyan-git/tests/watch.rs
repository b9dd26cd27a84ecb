//! The watcher against real repositories: every way a branch moves gives a hint, and reading gives none.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use banyan_git::{Mirror, RefWatcher, Source, WatchError};
use banyan_testkit::git::{TestRepo, git};

const LONG: Duration = Duration::from_secs(10);
/// Longer than the watcher's own echoes and checks.
const QUIET: Duration = Duration::from_millis(400);

fn source(repo: &TestRepo, branch: &str) -> Result<Source> {
    Ok(Source {
        url: repo.url().parse()?,
        branch: branch.to_owned(),
    })
}

fn watch(source: &Source) -> Result<(RefWatcher, Receiver<Instant>)> {
    let (send, hints) = channel();
    let watcher = RefWatcher::new(source, move || {
        // After the test's end nobody listens.
        let _ = send.send(Instant::now());
    })?;
    assert_eq!(watcher.mode(), "inotify");
    Ok((watcher, hints))
}

/// Waits for a hint after which the head is the wanted one: a hint alone says nothing.
fn wait_for_head(
    mirror: &Mirror,
    source: &Source,
    hints: &Receiver<Instant>,
    head: &str,
) -> Result<()> {
    let until = Instant::now() + LONG;
    loop {
        hints
            .recv_timeout(until.saturating_duration_since(Instant::now()))
            .with_context(|| format!("no hint after which the head was {head}"))?;
        if mirror
            .remote_head(source)
            .is_ok_and(|found| found.to_string() == head)
        {
            return Ok(());
        }
    }
}

fn drain(hints: &Receiver<Instant>) {
    while hints.recv_timeout(QUIET).is_ok() {}
}

#[test]
fn pushes_are_hinted_at_once_and_reading_is_not() -> Result<()> {
    let repo = TestRepo::new()?;
    repo.commit_file("a", "0")?;
    let source = source(&repo, "main")?;
    let mirror = Mirror::open(&repo.dir().join("mirror"))?;
    let (_watcher, hints) = watch(&source)?;
    let mut delays = Vec::new();
    for n in 1..6 {
        repo.write("a", n.to_string())?;
        let head = repo.commit("x\n")?;
        drain(&hints);
        repo.push()?;
        let moved = std::fs::metadata(repo.path().join("refs/heads/main"))?.modified()?;
        let since = moved.elapsed()?;
        let now = Instant::now();
        wait_for_head(&mirror, &source, &hints, &head)?;
        delays.push((since + now.elapsed()).as_secs_f64() * 1e3);
    }
    println!("push to head seen, at most (ms, the end of `git push` included): {delays:.1?}");
    drain(&hints);
    for _ in 0..20 {
        mirror.remote_head(&source)?;
    }
    mirror.fetch(&source, Instant::now() + LONG)?;
    assert!(
        hints.recv_timeout(QUIET).is_err(),
        "reading the source gave a hint"
    );
    Ok(())
}

#[test]
fn a_hint_comes_within_milliseconds() -> Result<()> {
    let repo = TestRepo::new()?;
    let a = repo.commit_file("a", "0")?;
    let b = repo.commit_file("a", "1")?;
    let source = source(&repo, "main")?;
    let (_watcher, hints) = watch(&source)?;
    drain(&hints);
    let file = repo.path().join("refs/heads/main");
    let mut delays = Vec::new();
    for n in 0..20 {
        let lock = file.with_extension("lock");
        std::fs::write(&lock, format!("{}\n", if n % 2 == 0 { &a } else { &b }))?;
        let begin = Instant::now();
        std::fs::rename(&lock, &file)?;
        delays.push(hints.recv_timeout(LONG)?.duration_since(begin));
        while hints.recv_timeout(Duration::from_millis(20)).is_ok() {}
    }
    delays.sort();
    println!(
        "rename to hint: median {:?}, worst {:?}",
        delays[10], delays[19]
    );
    assert!(delays[10] < Duration::from_millis(100), "{delays:?}");
    Ok(())
}

#[test]
fn nested_branches_packed_references_and_deletions_are_seen() -> Result<()> {
    let repo = TestRepo::new()?;
    repo.commit_file("a", "0")?;
    let mirror = Mirror::open(&repo.dir().join("mirror"))?;
    let source = source(&repo, "team/net/main")?;
    let (_watcher, hints) = watch(&source)?;
    repo.switch("team/net/main")?;
    let head = repo.commit("nested\n")?;
    repo.push()?;
    wait_for_head(&mirror, &source, &hints, &head)?;
    drain(&hints);
    let head = repo.commit("again\n")?;
    repo.push()?;
    wait_for_head(&mirror, &source, &hints, &head)?;
    // Packing removes the directories of the loose references; the next push makes them anew.
    repo.git_bare(["pack-refs", "--all", "--prune"])?;
    drain(&hints);
    let head = repo.commit("after packing\n")?;
    repo.push()?;
    wait_for_head(&mirror, &source, &hints, &head)?;
    repo.git_bare(["pack-refs", "--all", "--prune"])?;
    drain(&hints);
    repo.delete_branch("team/net/main")?;
    hints.recv_timeout(LONG)?;
    assert!(mirror.remote_head(&source).is_err());
    Ok(())
}

#[test]
fn a_repository_that_goes_and_comes_back_is_watched_again() -> Result<()> {
    let repo = TestRepo::new()?;
    repo.commit_file("a", "0")?;
    let mirror = Mirror::open(&repo.dir().join("mirror"))?;
    let source = source(&repo, "main")?;
    let (_watcher, hints) = watch(&source)?;
    std::fs::rename(repo.path(), repo.dir().join("away"))?;
    hints.recv_timeout(LONG)?;
    drain(&hints);
    git(
        repo.dir(),
        ["clone", "--quiet", "--bare", "work", "bare.git"],
    )?;
    let head = repo.head()?;
    wait_for_head(&mirror, &source, &hints, &head)?;
    drain(&hints);
    let head = repo.commit_file("a", "1")?;
    wait_for_head(&mirror, &source, &hints, &head)?;
    Ok(())
}

#[test]
fn a_repository_that_does_not_exist_yet_is_found_when_it_is_made() -> Result<()> {
    let repo = TestRepo::new()?;
    let head = repo.commit_file("a", "0")?;
    let path = repo.dir().join("later/deep/repo");
    let source = Source {
        url: path.to_str().context("UTF-8")?.parse()?,
        branch: "main".to_owned(),
    };
    let mirror = Mirror::open(&repo.dir().join("mirror"))?;
    let (_watcher, hints) = watch(&source)?;
    git(repo.dir(), ["clone", "--quiet", "work", "later/deep/repo"])?;
    wait_for_head(&mirror, &source, &hints, &head)?;
    drain(&hints);
    // A checkout that is committed to on the spot.
    git(&path, ["commit", "--quiet", "--allow-empty", "-m", "x"])?;
    let head = git(&path, ["rev-parse", "HEAD"])?;
    wait_for_head(&mirror, &source, &hints, &head)?;
    Ok(())
}

#[test]
fn a_remote_source_is_not_watched() -> Result<()> {
    let source = Source {
        url: "https://u:hunter2@forge.example/x.git".parse()?,
        branch: "main".to_owned(),
    };
    let error = RefWatcher::new(&source, || {}).unwrap_err();
    assert!(matches!(error, WatchError::NotLocal { .. }) && !error.to_string().contains("hunter2"));
    Ok(())
}

#[test]
fn a_watcher_ends_when_it_is_dropped() -> Result<()> {
    let repo = TestRepo::new()?;
    let (watcher, hints) = watch(&source(&repo, "main")?)?;
    drop(watcher);
    // The callback, and with it the sender, is gone.
    let until = Instant::now() + LONG;
    while Instant::now() < until {
        match hints.recv_timeout(LONG) {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error, std::sync::mpsc::RecvTimeoutError::Disconnected);
                return Ok(());
            }
        }
    }
    anyhow::bail!("hints go on after the drop")
}
