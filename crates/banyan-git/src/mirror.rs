//! The engine's own bare clone of a source.
//!
//! The clone is a cache: whatever is wrong with it is cured by throwing it away. What is wrong with the *source* is
//! an error and never touches the clone.

use std::fs;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use banyan_core::CommitId;
use git2::{ObjectFormat, Oid};

use crate::copy::{self, Copied, CopyError};
use crate::error::{FetchError, GitError};
use crate::id::ObjectId as _;
use crate::local::Local;
use crate::object::Objects;
use crate::pack::{self, Stock};
use crate::repo::{Repo, open_git_dir, target};
use crate::{Source, commit};

/// The one reference of the clone.
const HEAD: &str = "refs/banyan/source";
/// Says that the directory is ours, and whether it was made completely.
const MARKER: &str = "banyan-clone";
const BUILDING: &str = "building\n";
const READY: &str = "1\n";
/// Above so many loose objects they are packed.
const MAX_LOOSE: usize = 1024;
/// Above so many packs all of them become one.
const MAX_PACKS: usize = 16;
/// How long packing may delay a fetch that has already succeeded.
const COMPACT_TIME: Duration = Duration::from_secs(20);

/// A bare clone that follows one source. Reads go through [`Repo`]; fetches take turns and do not block reads.
pub struct Mirror {
    repo: Repo,
    rebuilt: AtomicBool,
    writer: Mutex<Count>,
}

/// How many files hold objects, kept so that a fetch need not list directories.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    loose: usize,
    packs: usize,
}

impl Mirror {
    /// Opens the clone in `path`, or makes an empty one. A clone of ours that is half-written or damaged is removed
    /// and made anew; anything else in the way is moved aside to `path.aside-N` and never deleted.
    ///
    /// One process uses a clone at a time: leftover locks are taken to be a crash's.
    ///
    /// # Errors
    /// [`GitError::Io`] if the directory cannot be made, moved or cleared.
    pub fn open(path: &Path) -> Result<Self, GitError> {
        let rebuilt = prepare(path)?;
        let mirror = Self {
            repo: Repo::open(path)?,
            rebuilt: AtomicBool::new(rebuilt),
            writer: Mutex::new(Count::default()),
        };
        *mirror.writer() = count(path);
        Ok(mirror)
    }

    /// The read side.
    #[must_use]
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// Whether something that stood in the clone's place was thrown away or moved aside since it was opened.
    #[must_use]
    pub fn rebuilt(&self) -> bool {
        self.rebuilt.load(Ordering::Relaxed)
    }

    /// Throws the clone away and makes an empty one, to be filled by the next fetch. For a caller who met an error
    /// with [`GitError::is_damage`] while reading.
    ///
    /// # Errors
    /// [`GitError::Io`] or [`GitError::Write`] if the directory cannot be cleared or made.
    pub fn rebuild(&self) -> Result<(), GitError> {
        let format = self.repo.git().object_format();
        self.rebuild_held(format, &mut self.writer())
    }

    fn rebuild_held(&self, format: ObjectFormat, count: &mut Count) -> Result<(), GitError> {
        let path = self.repo.git_dir();
        clear(path)?;
        create(path, format)?;
        self.repo.reopen()?;
        *count = Count::default();
        self.rebuilt.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The commit that the source's branch points at now; nothing is transferred.
    ///
    /// # Errors
    /// Whatever keeps the branch from being read, see [`FetchError`].
    pub fn remote_head(&self, source: &Source) -> Result<CommitId, FetchError> {
        let local = Local::open(source)?;
        let head = local.head()?;
        if self.applied() != Some(head) {
            local.check_commit(head)?;
        }
        Ok(CommitId::from_oid(head))
    }

    /// Brings the branch's head and all that it names into the clone, and returns it. Nothing is written if it is
    /// there already. If the clone turns out to be damaged it is rebuilt, once.
    ///
    /// # Errors
    /// [`FetchError::Timeout`] after the deadline; otherwise what is wrong with the source, or with the clone's disk.
    pub fn fetch(&self, source: &Source, deadline: Instant) -> Result<CommitId, FetchError> {
        let mut count = self.writer();
        match self.fetch_held(source, deadline, &mut count) {
            Err(FetchError::Clone { source: fault, .. }) if fault.is_damage() => {
                let format = self.repo.git().object_format();
                self.rebuild_held(format, &mut count)
                    .map_err(|source_error| clone_fault(source, source_error))?;
                self.fetch_held(source, deadline, &mut count)
            }
            // The source may have been repacked under our hands: an open handle then misses objects that are there.
            Err(FetchError::Corrupt { .. }) => self.fetch_held(source, deadline, &mut count),
            other => other,
        }
    }

    fn fetch_held(
        &self,
        source: &Source,
        deadline: Instant,
        count: &mut Count,
    ) -> Result<CommitId, FetchError> {
        let local = Local::open(source)?;
        let head = local.head()?;
        let fault = |error| clone_fault(source, error);
        // A handle of its own, so that readers need not wait for a long fetch.
        let mut clone = open_git_dir(self.repo.git_dir()).map_err(fault)?;
        // A clone has the object format of its source.
        let format = local.git.object_format();
        if clone.object_format() != format {
            self.rebuild_held(format, count).map_err(fault)?;
            clone = open_git_dir(self.repo.git_dir()).map_err(fault)?;
        }
        if target(&clone, HEAD).ok().flatten() == Some(head) {
            let objects = Objects::of(&clone).map_err(fault)?;
            commit::read_links(&objects, head).map_err(fault)?;
            return Ok(CommitId::from_oid(head));
        }
        local.check_commit(head)?;
        let copied =
            copy::copy(&local.git, &clone, head, deadline).map_err(|error| match error {
                CopyError::From(error) => local.corrupt(error),
                CopyError::To(error) => clone_fault(source, error),
                CopyError::Timeout => FetchError::Timeout {
                    url: source.url.clone(),
                },
            })?;
        point_at(&clone, head).map_err(fault)?;
        count.add(copied);
        self.tidy(&clone, count, deadline).map_err(fault)?;
        Ok(CommitId::from_oid(head))
    }

    /// Packs what many fetches left. Failing for want of time or space is no failure of the fetch: nothing is lost
    /// and the next one tries again.
    fn tidy(
        &self,
        clone: &git2::Repository,
        count: &mut Count,
        deadline: Instant,
    ) -> Result<(), GitError> {
        if !count.is_crowded() {
            return Ok(());
        }
        let deadline = deadline.min(Instant::now() + COMPACT_TIME);
        match pack::compact(clone, count.packs >= MAX_PACKS, deadline) {
            Err(CopyError::To(error) | CopyError::From(error)) if error.is_damage() => {
                return Err(error);
            }
            Ok(()) | Err(_) => {}
        }
        *count = self::count(clone.path());
        self.repo.reopen()
    }

    fn applied(&self) -> Option<Oid> {
        target(&self.repo.git(), HEAD).ok().flatten()
    }

    fn writer(&self) -> MutexGuard<'_, Count> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Mirror {
    type Target = Repo;

    fn deref(&self) -> &Repo {
        &self.repo
    }
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mirror")
            .field("repo", &self.repo)
            .finish_non_exhaustive()
    }
}

impl Count {
    fn add(&mut self, copied: Copied) {
        self.loose += copied.loose;
        self.packs += copied.packs;
    }

    fn is_crowded(self) -> bool {
        self.loose > MAX_LOOSE || self.packs > MAX_PACKS
    }
}

fn count(path: &Path) -> Count {
    let stock = Stock::of(&path.join("objects"));
    Count {
        loose: stock.loose.len(),
        packs: stock.packs.len(),
    }
}

fn clone_fault(of: &Source, source: GitError) -> FetchError {
    FetchError::Clone {
        url: of.url.clone(),
        source,
    }
}

fn point_at(clone: &git2::Repository, head: Oid) -> Result<(), GitError> {
    clone
        .reference(HEAD, head, true, "fetch")
        .map(drop)
        .map_err(|source| GitError::Write {
            what: HEAD.to_owned(),
            source,
        })
}

/// Makes `path` a usable clone; says whether something had to go for it.
fn prepare(path: &Path) -> Result<bool, GitError> {
    let state = match fs::read_to_string(path.join(MARKER)) {
        Ok(text) if text == READY => {
            unlock(path);
            if is_sound(path) {
                return Ok(false);
            }
            clear(path)?;
            true
        }
        Ok(_) => {
            clear(path)?;
            true
        }
        Err(_) => set_aside(path)?,
    };
    create(path, ObjectFormat::Sha1)?;
    Ok(state)
}

/// Whether the clone opens, and the commit and root directory it points at can be read.
fn is_sound(path: &Path) -> bool {
    let check = || -> Result<(), GitError> {
        let git = open_git_dir(path)?;
        let head = target(&git, HEAD).map_err(|source| GitError::Corrupt {
            what: HEAD.to_owned(),
            source,
        })?;
        let Some(head) = head else { return Ok(()) };
        let objects = Objects::of(&git)?;
        let links = commit::read_links(&objects, head)?;
        objects.read("tree", links.tree).map(drop)
    };
    check().is_ok()
}

/// Removes what a crash may have left: locks that would block every later fetch, and unfinished files.
fn unlock(path: &Path) {
    let mut open = vec![(path.to_owned(), 0)];
    while let Some((dir, depth)) = open.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if depth < 3 {
                    open.push((entry.path(), depth + 1));
                }
            } else if name.ends_with(".lock") || name.starts_with("tmp_") || name.contains("_git2_")
            {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn clear(path: &Path) -> Result<(), GitError> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(io_error("remove", path, source))
        }
        _ => Ok(()),
    }
}

/// Moves away what is not ours; says whether there was anything. An empty directory can stay.
fn set_aside(path: &Path) -> Result<bool, GitError> {
    match fs::read_dir(path).map(|mut entries| entries.next().is_none()) {
        Ok(true) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Ok(false) | Err(_) => {}
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let free = (1_u32..)
        .map(|n| path.with_file_name(format!("{name}.aside-{n}")))
        .find(|candidate| fs::symlink_metadata(candidate).is_err())
        .unwrap_or_else(|| PathBuf::from(path));
    fs::rename(path, &free).map_err(|source| io_error("move aside", path, source))?;
    Ok(true)
}

/// Makes an empty clone. The marker is written before and after, so that a crash between is seen.
fn create(path: &Path, format: ObjectFormat) -> Result<(), GitError> {
    let write =
        |file: &Path, text: &str| fs::write(file, text).map_err(|e| io_error("write", file, e));
    fs::create_dir_all(path).map_err(|source| io_error("create", path, source))?;
    let marker = path.join(MARKER);
    write(&marker, BUILDING)?;
    let mut options = git2::RepositoryInitOptions::new();
    // No templates: hooks and samples of the host have no place here.
    options
        .bare(true)
        .external_template(false)
        .object_format(format)
        .initial_head("main");
    git2::Repository::init_opts(path, &options).map_err(|source| GitError::Write {
        what: path.display().to_string(),
        source,
    })?;
    write(&marker, READY)
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> GitError {
    GitError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}
