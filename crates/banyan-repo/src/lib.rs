//! A cluster repo, from a commit or a folder to a decision.
//!
//! [`load`] reads a [`Tree`] into documents and findings, and [`decide`] turns them into a target with its plan, or
//! into a refusal. The engine's passes, its plans and the command line share this path, so they reach the same
//! decision.
//!
//! The crate reads git objects and folders. It knows nothing of stores, devices, clocks or async runtimes.

mod decide;
mod folder;
mod revision;
mod tree;

pub use decide::{Admitted, Baseline, EngineContext, Lineage, decide, decide_restore};
pub use folder::{Folder, FolderError};
pub use revision::Revision;
pub use tree::{CommitTree, Tree, Uploaded, load, load_and_keep};

#[cfg(test)]
mod tests;
