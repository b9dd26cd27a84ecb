//! Records, generations, history and the live view, on top of any store.
//!
//! A target is applied in two steps: its changed records are staged under its own generation, beside those in force, in
//! as many transactions as needed; then one transaction moves the pointer. For each record a reader uses the version
//! with the highest generation that the pointer has reached, so a partly written target is never visible, whatever its
//! size and wherever a writer crashes.
//!
//! This crate knows neither git nor devices, nor how a target was decided.

mod archive;
mod audit;
mod builder;
mod change;
mod election;
mod engines;
mod error;
mod follow;
mod garbage;
mod history;
mod key;
mod marks;
mod people;
mod replica;
mod stage;
mod state;
mod stored;
mod tampering;
mod term;
mod unfit;
mod view;

pub use archive::{ARCHIVE_FORMAT, Archive, ArchiveError, Migrated, Summary, migrate, restore};
pub use audit::{Appended, AuditError, AuditLog, Found, MAX_BATCH, Recorded, Trimmed};
pub use change::{ChangeError, Scope};
pub use election::{Election, LEASE, Leadership, Member};
pub use engines::{Alive, Engine, Leader, PublishedStatus, Registration};
pub use error::{AdvanceError, StateError};
pub use follow::Freshness;
pub use history::{HistoryEntry, MAX_HISTORY, Outcome};
pub use replica::Replica;
pub use state::{Options, State};
pub use stored::FORMAT as STORE_FORMAT;
pub use tampering::Tampering;
pub use term::Term;
pub use unfit::{Unfit, Work};
pub use view::View;

#[cfg(test)]
mod tests;
