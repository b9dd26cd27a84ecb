//! A transaction: its conditions, its changes and its limits. Plain data; no store.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::{LeaseId, Revision, StoreError};

/// The maximum number of operations in one transaction.
pub const MAX_OPS: usize = 128;
/// The maximum number of compares in one transaction.
pub const MAX_COMPARES: usize = 128;
/// The maximum key length, in bytes.
pub const MAX_KEY_LEN: usize = 512;
/// The maximum size of one transaction in bytes: keys, including those of compares, and values.
pub const MAX_TXN_BYTES: usize = 1024 * 1024;

/// A condition on one key, evaluated on the state before the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compare {
    /// The key does not exist.
    Absent {
        /// The key.
        key: String,
    },
    /// The key exists.
    Present {
        /// The key.
        key: String,
    },
    /// The key was last put at this revision; revision 0 means that it does not exist.
    Modified {
        /// The key.
        key: String,
        /// The revision.
        at: Revision,
    },
    /// The key was created at this revision; revision 0 means that it does not exist.
    Created {
        /// The key.
        key: String,
        /// The revision.
        at: Revision,
    },
}

impl Compare {
    /// The key that is compared.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Absent { key }
            | Self::Present { key }
            | Self::Modified { key, .. }
            | Self::Created { key, .. } => key,
        }
    }
}

/// A change to one key.
#[derive(Clone, PartialEq, Eq)]
pub enum Op {
    /// Creates or replaces the key.
    Put {
        /// The key.
        key: String,
        /// The new value.
        value: Arc<[u8]>,
        /// The lease that the key belongs to from now on; `None` detaches it from an earlier one.
        lease: Option<LeaseId>,
    },
    /// Deletes the key; deleting an absent key changes nothing and sends no event.
    Delete {
        /// The key.
        key: String,
    },
}

impl Op {
    /// The key that is changed.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Put { key, value, .. } => key.len().saturating_add(value.len()),
            Self::Delete { key } => key.len(),
        }
    }
}

/// Values may be secret: only their length is shown.
impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put { key, value, lease } => f
                .debug_struct("Put")
                .field("key", key)
                .field("value", &format_args!("{} bytes", value.len()))
                .field("lease", lease)
                .finish(),
            Self::Delete { key } => f.debug_struct("Delete").field("key", key).finish(),
        }
    }
}

/// A transaction: if every compare holds, every operation is applied, at one revision; otherwise
/// none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// The conditions; at most [`MAX_COMPARES`].
    pub compares: Vec<Compare>,
    /// The changes; at most [`MAX_OPS`], each key at most once.
    pub ops: Vec<Op>,
}

impl Txn {
    /// An empty transaction.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition.
    #[must_use]
    pub fn when(mut self, compare: Compare) -> Self {
        self.compares.push(compare);
        self
    }

    /// Puts a key without a lease.
    #[must_use]
    pub fn put(self, key: impl Into<String>, value: impl Into<Arc<[u8]>>) -> Self {
        self.op(Op::Put {
            key: key.into(),
            value: value.into(),
            lease: None,
        })
    }

    /// Puts a key that is deleted when the lease ends.
    #[must_use]
    pub fn put_leased(
        self,
        key: impl Into<String>,
        value: impl Into<Arc<[u8]>>,
        lease: LeaseId,
    ) -> Self {
        self.op(Op::Put {
            key: key.into(),
            value: value.into(),
            lease: Some(lease),
        })
    }

    /// Deletes a key.
    #[must_use]
    pub fn delete(self, key: impl Into<String>) -> Self {
        self.op(Op::Delete { key: key.into() })
    }

    /// Adds an operation.
    #[must_use]
    pub fn op(mut self, op: Op) -> Self {
        self.ops.push(op);
        self
    }

    /// The bytes that count towards [`MAX_TXN_BYTES`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        let compares = self.compares.iter().map(|c| c.key().len());
        let ops = self.ops.iter().map(Op::bytes);
        compares.chain(ops).fold(0, usize::saturating_add)
    }

    /// Checks everything that needs no store; every backend calls this first.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`], [`StoreError::BadKey`] or [`StoreError::DuplicateKey`].
    pub fn check(&self) -> Result<(), StoreError> {
        within("operations in one transaction", MAX_OPS, self.ops.len())?;
        within(
            "compares in one transaction",
            MAX_COMPARES,
            self.compares.len(),
        )?;
        let compared = self.compares.iter().map(Compare::key);
        let written = self.ops.iter().map(Op::key);
        compared.chain(written).try_for_each(check_key)?;
        within("bytes in one transaction", MAX_TXN_BYTES, self.bytes())?;
        let mut seen = BTreeSet::new();
        match self.ops.iter().find(|op| !seen.insert(op.key())) {
            Some(op) => Err(StoreError::DuplicateKey {
                key: op.key().to_owned(),
            }),
            None => Ok(()),
        }
    }
}

/// The outcome of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Committed and durable. The revision is the one it created, or the current one if there was
    /// nothing to change.
    Committed(Revision),
    /// Not committed: the compares on these keys failed, each key once, in the order of the
    /// compares.
    Conflict {
        /// The keys.
        failed: Vec<String>,
    },
}

/// Checks one key: not empty, no NUL, at most [`MAX_KEY_LEN`] bytes.
pub(crate) fn check_key(key: &str) -> Result<(), StoreError> {
    within("bytes in one key", MAX_KEY_LEN, key.len())?;
    let bad = |reason| StoreError::BadKey {
        key: key.to_owned(),
        reason,
    };
    if key.is_empty() {
        return Err(bad("it is empty"));
    }
    if key.contains('\0') {
        return Err(bad("it has a NUL character"));
    }
    Ok(())
}

fn within(what: &'static str, limit: usize, got: usize) -> Result<(), StoreError> {
    if got > limit {
        return Err(StoreError::TooLarge { what, limit, got });
    }
    Ok(())
}
