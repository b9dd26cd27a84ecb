//! From the source to documents: the clone, the files of one commit, and the loader with its memory. Everything here
//! blocks.

mod history;
#[cfg(test)]
mod tests;

pub(crate) use history::{ResolveError, Resolved};

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use banyan_core::CommitId;
use banyan_git::{FetchError, Files, GitError, Mirror, Source};
use banyan_manifest::{Identities, LoadError, Loaded, Loader, Memory};
use banyan_repo::{CommitTree, Revision, load};

use super::made_of::MadeOf;

/// The time limit of a fetch.
const FETCH_LIMIT: Duration = Duration::from_secs(120);

/// Why nothing could be read, which must not be mistaken for an empty repo.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadFailure {
    /// The commit could not be fetched from the source.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The commit or its files could not be read from the clone.
    #[error("cannot read commit {commit} from the local clone")]
    Git {
        /// The commit.
        commit: CommitId,
        /// The cause.
        source: GitError,
    },
    /// A commit in force is neither in the source nor in the clone any more.
    #[error(
        "commit {} is in force but no longer in the branch's history, so that nothing can be restored from it; push that history again, or let the branch as it is follow: see `banyan gitops accept --help`", commit.short()
    )]
    Gone {
        /// The commit.
        commit: CommitId,
    },
    /// A file of the commit could not be read.
    #[error("cannot read the files of the repo")]
    Load(#[from] LoadError),
}

/// The files of the last commit read; those of the next one cost only the difference.
struct Last {
    commit: CommitId,
    files: Files,
}

pub(crate) struct Reader {
    mirror: Mirror,
    loader: Arc<Loader>,
    /// The results of the last load; plans start from them, too.
    memory: Arc<ArcSwap<Memory>>,
    made_of: MadeOf,
    source: Source,
    subdir: Option<String>,
    last: Option<Last>,
}

impl Reader {
    pub(crate) fn open(
        clone: &Path,
        source: Source,
        subdir: Option<String>,
        identities: Option<Identities>,
    ) -> Result<Self, GitError> {
        Ok(Self {
            mirror: Mirror::open(clone)?,
            loader: Loader::new(identities).into(),
            memory: Arc::default(),
            made_of: MadeOf::default(),
            source,
            subdir,
            last: None,
        })
    }

    /// What plans share with the reader: the same identities, and the results of the last load.
    pub(crate) fn shared(&self) -> (Arc<Loader>, Arc<ArcSwap<Memory>>) {
        (Arc::clone(&self.loader), Arc::clone(&self.memory))
    }

    /// The documents behind what is in force, if known.
    pub(crate) fn made_of(&self) -> &MadeOf {
        &self.made_of
    }

    /// The commit at the branch head, without fetching it.
    pub(crate) fn head(&self) -> Result<CommitId, ReadFailure> {
        Ok(self.mirror.remote_head(&self.source)?)
    }

    /// Fetches and reads the branch head. A damaged clone is rebuilt once.
    pub(crate) fn read(&mut self) -> Result<Revision, ReadFailure> {
        self.mended(|reader| {
            let head = reader.fetch()?;
            reader.read_commit(head)
        })
    }

    /// Runs work on the clone. If the clone turns out to be damaged, it is rebuilt and the work repeated.
    fn mended<T>(
        &mut self,
        work: impl Fn(&mut Self) -> Result<T, ReadFailure>,
    ) -> Result<T, ReadFailure> {
        match work(self) {
            Err(failure) if is_damage(&failure) => {
                tracing::warn!(
                    reason = crate::report(&failure),
                    "the local clone is damaged; cloning again"
                );
                self.last = None;
                self.mirror.rebuild().map_err(|source| FetchError::Clone {
                    url: self.source.url.clone(),
                    source,
                })?;
                self.fetch()?;
                work(self)
            }
            other => other,
        }
    }

    fn fetch(&self) -> Result<CommitId, ReadFailure> {
        let deadline = Instant::now() + FETCH_LIMIT;
        Ok(self.mirror.fetch(&self.source, deadline)?)
    }

    /// Reads a commit from the clone.
    fn read_commit(&mut self, id: CommitId) -> Result<Revision, ReadFailure> {
        let fault = fault(id);
        let commit = self.mirror.repo().commit(id).map_err(&fault)?;
        let files = self.files(id).map_err(fault)?;
        let loaded = self.load(&files);
        self.last = Some(Last { commit: id, files });
        Ok(Revision::of(commit, loaded?))
    }

    fn files(&mut self, id: CommitId) -> Result<Files, GitError> {
        let (repo, subdir) = (self.mirror.repo(), self.subdir.as_deref());
        match self.last.take() {
            Some(last) if last.commit == id => Ok(last.files),
            Some(last) => repo
                .files_changed(last.files, last.commit, id, subdir)
                .or_else(|_| repo.files(id, subdir)),
            None => repo.files(id, subdir),
        }
    }

    fn load(&mut self, files: &Files) -> Result<Loaded, LoadError> {
        let repo = self.mirror.repo();
        let tree = CommitTree { repo, files };
        let (loaded, memory) = load(&self.loader, &self.memory.load(), &tree)?;
        self.memory.store(Arc::new(memory));
        Ok(loaded)
    }
}

/// Runs work with the reader on a blocking thread.
pub(super) async fn with_reader<T: Send + 'static>(
    reader: &Arc<Mutex<Reader>>,
    work: impl FnOnce(&mut Reader) -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    let reader = Arc::clone(reader);
    let locked = move || work(&mut reader.lock().unwrap_or_else(PoisonError::into_inner));
    tokio::task::spawn_blocking(locked).await
}

fn fault(id: CommitId) -> impl Fn(GitError) -> ReadFailure {
    move |source| ReadFailure::Git { commit: id, source }
}

fn is_damage(failure: &ReadFailure) -> bool {
    match failure {
        ReadFailure::Git { source, .. } => source.is_damage(),
        // The loader reads only blobs from the clone.
        ReadFailure::Load(_) => true,
        ReadFailure::Fetch(_) | ReadFailure::Gone { .. } => false,
    }
}
