//! Reconciliation: passes, plans, and undoing out-of-band changes between passes.

mod attempt;
mod drift;
mod event;
mod failure;
mod handle;
mod made_of;
mod outcome;
mod plans;
mod read_ahead;
mod reader;
mod reconciler;
mod record;
mod schedule;

pub(crate) use drift::Drift;
pub use event::Event;
pub(crate) use handle::{Asked, Handle, Requests};
pub(crate) use plans::{Plans, locked};
pub(crate) use reader::{Reader, ResolveError, Resolved};
pub(crate) use reconciler::Reconciler;
