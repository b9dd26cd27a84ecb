//! The formats that git's next major version makes by default.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use banyan_core::CommitId;
use banyan_git::{FetchError, GitError, Mirror, Repo, Source};
use banyan_testkit::git::TestRepo;
use tempfile::TempDir;

fn source(repo: &TestRepo) -> Result<Source> {
    Ok(Source {
        url: repo.url().parse()?,
        branch: "main".to_owned(),
    })
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn text(mirror: &Mirror, commit: CommitId, path: &str) -> Result<String> {
    let files = mirror.files(commit, None)?;
    let id = files.get(path).context("the file is there")?;
    Ok(String::from_utf8(mirror.read(id, 1000)?)?)
}

#[test]
fn a_repository_in_the_sha_256_format_is_read() -> Result<()> {
    let repo = TestRepo::with_format("sha256")?;
    repo.write("cluster/users/a.yaml", "alice")?;
    let first: CommitId = repo
        .commit("first\n\nBanyan-Allow-Removals: 1\n")?
        .parse()?;
    let second: CommitId = repo.commit_file("b.yaml", "bob")?.parse()?;
    assert_eq!(second.as_bytes().len(), 32);
    let git = Repo::discover(&repo.work())?;
    assert_eq!(git.resolve("HEAD")?, second);
    let commit = git.commit(second)?;
    assert_eq!(commit.parents, [first]);
    assert_eq!(git.commit(first)?.trailers.len(), 1);
    assert!(git.is_ancestor(first, second)? && !git.is_ancestor(second, first)?);
    assert_eq!(git.in_history(&first.short(), second)?, [first]);
    let old = git.files(first, None)?;
    let new = git.files_changed(old, first, second, None)?;
    let paths: Vec<&str> = new.entries.keys().map(AsRef::as_ref).collect();
    assert_eq!(paths, ["b.yaml", "cluster/users/a.yaml"]);
    let other: CommitId = "0123456789abcdef0123456789abcdef01234567".parse()?;
    assert!(!git.has(other)? && !git.is_ancestor(other, second)?);
    Ok(())
}

#[test]
fn a_clone_follows_a_source_in_the_sha_256_format() -> Result<()> {
    let dir = TempDir::new()?;
    let repo = TestRepo::with_format("sha256")?;
    let source = source(&repo)?;
    let mirror = Mirror::open(&dir.path().join("clone"))?;
    // More objects than are written one by one, then one more.
    for n in 0..400 {
        repo.write(&format!("users/{n}.yaml"), n.to_string())?;
    }
    repo.commit("many\n")?;
    repo.push()?;
    let many = mirror.fetch(&source, soon())?;
    assert_eq!(many.to_string(), repo.head()?);
    assert_eq!(text(&mirror, many, "users/399.yaml")?, "399");
    repo.commit_file("users/400.yaml", "last")?;
    repo.push()?;
    let last = mirror.fetch(&source, soon())?;
    assert_eq!(text(&mirror, last, "users/400.yaml")?, "last");
    drop(mirror);
    // After a restart the clone is as it was.
    let mirror = Mirror::open(&dir.path().join("clone"))?;
    assert!(!mirror.rebuilt());
    assert_eq!(mirror.remote_head(&source)?, last);
    assert_eq!(text(&mirror, last, "users/400.yaml")?, "last");
    Ok(())
}

#[test]
fn a_source_that_was_made_again_in_another_format_is_fetched_into_a_new_clone() -> Result<()> {
    let dir = TempDir::new()?;
    let mirror = Mirror::open(&dir.path().join("clone"))?;
    let old = TestRepo::new()?;
    old.commit_file("a.yaml", "one")?;
    old.push()?;
    let before = mirror.fetch(&source(&old)?, soon())?;
    let files = mirror.files(before, None)?;

    let new = TestRepo::with_format("sha256")?;
    new.commit_file("a.yaml", "two")?;
    new.push()?;
    fs::remove_dir_all(old.path())?;
    fs::rename(new.path(), old.path())?;
    let after = mirror.fetch(&source(&old)?, soon())?;
    assert!(mirror.rebuilt());
    assert_eq!(after.as_bytes().len(), 32);
    assert_eq!(text(&mirror, after, "a.yaml")?, "two");
    // What was read before is in no history here, and does not stand in the way.
    assert!(!mirror.is_ancestor(before, after)?);
    let changed = mirror.files_changed(files, before, after, None)?;
    assert_eq!(changed.entries.len(), 1);
    Ok(())
}

fn with_extension(dir: &Path, line: &str) -> Result<()> {
    let file = dir.join("config");
    let config = fs::read_to_string(&file)?;
    let config = config.replace("repositoryformatversion = 0", "repositoryformatversion = 1");
    fs::write(&file, format!("{config}[extensions]\n\t{line}\n"))?;
    Ok(())
}

#[test]
fn a_format_that_cannot_be_read_is_refused_with_what_to_do() -> Result<()> {
    let dir = TempDir::new()?;
    let repo = TestRepo::new()?;
    repo.commit_file("a.yaml", "one")?;
    repo.push()?;
    let mirror = Mirror::open(&dir.path().join("clone"))?;
    with_extension(&repo.path(), "refStorage = reftable")?;
    let error = mirror.fetch(&source(&repo)?, soon()).unwrap_err();
    let cause = match &error {
        FetchError::Unreachable { source, .. } => source,
        other => anyhow::bail!("{other:?}"),
    };
    let said = cause.to_string();
    assert!(
        said.contains("reftable") && said.contains("refs migrate --ref-format=files"),
        "{said}"
    );
    let other = TestRepo::new()?;
    with_extension(&other.work().join(".git"), "noSuchThing = true")?;
    let error = Repo::discover(&other.work()).unwrap_err();
    assert!(matches!(&error, GitError::Extension { .. }), "{error:?}");
    Ok(())
}
