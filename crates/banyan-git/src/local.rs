//! A source on this host: finding its git directory, its branch head, and why either cannot be had.

use std::fs;
use std::path::{Path, PathBuf};

use git2::{ObjectType, Repository};

use crate::error::FetchError;
use crate::object::Objects;
use crate::repo::{branches, open_git_dir, target};
use crate::{GitError, RemoteUrl, Source};

/// The most branches named in an error.
const MAX_NAMED: usize = 20;

/// A source that was opened.
pub(crate) struct Local<'s> {
    pub(crate) git: Repository,
    source: &'s Source,
}

impl<'s> Local<'s> {
    /// Opens the source's repository.
    pub(crate) fn open(source: &'s Source) -> Result<Self, FetchError> {
        let path = local_path(&source.url)?;
        let git = git_dir(path)
            .map_err(|error| unreachable(&source.url, error))
            .and_then(|dir| open_git_dir(&dir).map_err(|error| unreachable(&source.url, error)))?;
        Ok(Self { git, source })
    }

    /// What the branch points at.
    pub(crate) fn head(&self) -> Result<git2::Oid, FetchError> {
        let name = format!("refs/heads/{}", self.source.branch);
        let found = target(&self.git, &name)
            .map_err(|source| self.corrupt(GitError::Corrupt { what: name, source }))?;
        match found {
            Some(id) => Ok(id),
            None => Err(self.no_branch()),
        }
    }

    /// Fails unless the branch head is a commit whose object is there.
    pub(crate) fn check_commit(&self, id: git2::Oid) -> Result<(), FetchError> {
        let (_, kind) = Objects::of(&self.git)
            .and_then(|objects| objects.header("commit", id))
            .map_err(|error| self.corrupt(error))?;
        if kind == ObjectType::Commit {
            return Ok(());
        }
        Err(FetchError::NotACommit {
            url: self.source.url.clone(),
            branch: self.source.branch.clone(),
            found: kind.to_string(),
        })
    }

    pub(crate) fn corrupt(&self, source: GitError) -> FetchError {
        FetchError::Corrupt {
            url: self.source.url.clone(),
            source,
        }
    }

    fn no_branch(&self) -> FetchError {
        let url = self.source.url.clone();
        let mut present = branches(&self.git);
        if present.is_empty() {
            return FetchError::Empty { url };
        }
        present.truncate(MAX_NAMED);
        FetchError::NoBranch {
            url,
            branch: self.source.branch.clone(),
            present,
        }
    }
}

/// The path of a source on this host.
pub(crate) fn local_path(url: &RemoteUrl) -> Result<&Path, FetchError> {
    url.local_path().ok_or_else(|| FetchError::Unsupported {
        scheme: url.scheme().to_owned(),
    })
}

/// The git directory of a bare repository, a checkout, or a linked work tree, without looking further up.
pub(crate) fn git_dir(path: &Path) -> std::io::Result<PathBuf> {
    let inner = path.join(".git");
    let Ok(meta) = fs::metadata(&inner) else {
        // Says why the path itself is out of reach, if it is.
        fs::metadata(path)?;
        return Ok(path.to_owned());
    };
    if meta.is_dir() {
        return Ok(inner);
    }
    let text = fs::read_to_string(&inner)?;
    let link = text
        .strip_prefix("gitdir: ")
        .map(str::trim_end)
        .ok_or_else(|| {
            std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                format!("{} names no git directory", inner.display()),
            )
        })?;
    Ok(path.join(link))
}

fn unreachable(
    url: &RemoteUrl,
    error: impl std::error::Error + Send + Sync + 'static,
) -> FetchError {
    FetchError::Unreachable {
        url: url.clone(),
        source: Box::new(error),
    }
}
