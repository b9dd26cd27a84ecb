//! Keeping what is in force at what the repo says.

mod drift;
mod handle;
mod reader;
mod reconciler;
mod record;
mod schedule;

pub(crate) use drift::Drift;
pub(crate) use handle::{Asked, Handle, Requests};
pub(crate) use reader::{Reader, ResolveError, Resolved};
pub use reconciler::Event;
pub(crate) use reconciler::{Reconciler, other_engines};
