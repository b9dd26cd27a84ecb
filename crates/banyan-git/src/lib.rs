//! Reading trees from git objects, fetching and watching a repository.
//!
//! Everything here blocks and works on plain values: [`Mirror`] keeps the engine's own bare clone of a [`Source`],
//! [`Repo`] reads commits, trees and files out of any repository's objects, and [`RefWatcher`] hints that a local
//! source may have moved. Nothing is ever read from a work tree, no hook, filter or command of a repository is run,
//! and a read that fails is an error, never an empty tree.
//!
//! The crate knows nothing of manifests, stores, signatures or async runtimes.

mod commit;
mod copy;
mod error;
mod files;
mod id;
mod local;
mod mirror;
mod object;
mod pack;
mod repo;
mod trailers;
mod tree;
mod url;
mod watch;

pub use commit::{Commit, Person};
pub use error::{FetchError, GitError, WatchError};
pub use files::{Files, Limits, Skip};
pub use id::blob_id;
pub use mirror::Mirror;
pub use repo::Repo;
pub use trailers::parse_trailers;
pub use url::{RemoteUrl, UrlError};
pub use watch::RefWatcher;

/// A branch of a repository: what is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where the repository is.
    pub url: RemoteUrl,
    /// The branch's short name, such as `main`.
    pub branch: String,
}
