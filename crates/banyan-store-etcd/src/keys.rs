//! Converts between store keys, which are text, and server keys, which are bytes with a prefix.

use std::sync::Arc;

use banyan_store::{Entry, KeyRange, LeaseId, Revision};
use etcd_client::KeyValue;

/// etcd's encoding of "the end of all keys", and the smallest key.
const EDGE: &[u8] = b"\0";

/// The keys of one store among all keys of a server.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    prefix: Vec<u8>,
}

/// A range as etcd takes it: the first key, and the first key past it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RawRange {
    pub(crate) start: Vec<u8>,
    pub(crate) end: Vec<u8>,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.as_bytes().to_vec(),
        }
    }

    /// The server key of a store key.
    pub(crate) fn raw(&self, key: &str) -> Vec<u8> {
        [&self.prefix, key.as_bytes()].concat()
    }

    /// A store key that a user limited to the prefix can certainly read.
    pub(crate) fn probe(&self) -> Vec<u8> {
        first(self.prefix.clone())
    }

    pub(crate) fn range(&self, range: &KeyRange) -> RawRange {
        RawRange {
            start: first(self.raw(&range.start)),
            end: match &range.end {
                Some(end) => self.raw(end),
                None => beyond(&self.prefix),
            },
        }
    }

    /// The rest of a range after a server key.
    pub(crate) fn continued_after(&self, range: &RawRange, key: &[u8]) -> RawRange {
        RawRange {
            start: [key, EDGE].concat(),
            end: range.end.clone(),
        }
    }

    /// All keys that start with a store prefix.
    pub(crate) fn under(&self, prefix: &str) -> RawRange {
        let start = self.raw(prefix);
        RawRange {
            end: beyond(&start),
            start: first(start),
        }
    }

    /// The store key of a server key. Logs a warning and returns `None` for a foreign key that is
    /// no valid store key, so that it does not make the rest unreadable.
    pub(crate) fn ours(&self, raw: &[u8]) -> Option<String> {
        let key = raw.strip_prefix(self.prefix.as_slice());
        let text = key.and_then(|key| std::str::from_utf8(key).ok());
        let ours = text.filter(|key| !key.is_empty() && !key.contains('\0'));
        if ours.is_none() {
            tracing::warn!(
                key = %raw.escape_ascii(),
                "skipping a foreign key under our prefix on the etcd server; delete it there"
            );
        }
        ours.map(str::to_owned)
    }

    pub(crate) fn entry(&self, raw: &KeyValue) -> Option<Entry> {
        Some(Entry {
            key: self.ours(raw.key())?,
            value: Arc::from(raw.value()),
            created: revision(raw.create_revision()),
            modified: revision(raw.mod_revision()),
            lease: u64::try_from(raw.lease())
                .ok()
                .filter(|id| *id != 0)
                .map(LeaseId),
        })
    }
}

/// Converts a revision from the wire, where it is signed but never negative.
pub(crate) fn revision(raw: i64) -> Revision {
    Revision(u64::try_from(raw).unwrap_or(0))
}

/// Converts a revision for the wire, saturating: any revision beyond the range is in the future.
pub(crate) fn raw_revision(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

/// The empty key cannot be queried; the smallest possible key can.
fn first(key: Vec<u8>) -> Vec<u8> {
    if key.is_empty() { EDGE.to_vec() } else { key }
}

/// The smallest bytes above all that start with these.
fn beyond(prefix: &[u8]) -> Vec<u8> {
    let mut head = prefix.to_vec();
    while let Some(last) = head.pop() {
        if let Some(next) = last.checked_add(1) {
            head.push(next);
            return head;
        }
    }
    EDGE.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_stay_within_the_prefix() {
        let keys = Keys::new("p/");
        let all = keys.range(&KeyRange::all());
        assert_eq!(
            (all.start.as_slice(), all.end.as_slice()),
            (&b"p/"[..], &b"p0"[..])
        );
        let rest = keys.range(&KeyRange::after("k"));
        assert_eq!(
            (rest.start.as_slice(), rest.end.as_slice()),
            (&b"p/k\0"[..], &b"p0"[..])
        );
        assert_eq!(keys.under("a").end, b"p/b");
    }

    #[test]
    fn without_a_prefix_all_keys_are_ours() {
        let keys = Keys::new("");
        let all = keys.range(&KeyRange::all());
        assert_eq!(
            (all.start.as_slice(), all.end.as_slice()),
            (&b"\0"[..], &b"\0"[..])
        );
        assert_eq!(keys.under(""), all);
        assert_eq!(keys.probe(), b"\0");
    }

    #[test]
    fn what_cannot_be_a_key_of_ours_is_none() {
        let keys = Keys::new("p/");
        assert_eq!(keys.ours(b"p/k").as_deref(), Some("k"));
        for foreign in [&b"p/\xff"[..], b"p/", b"p/a\0b", b"q/k"] {
            assert_eq!(keys.ours(foreign), None);
        }
    }

    #[test]
    fn bytes_beyond_a_prefix_of_the_highest_ones_are_the_edge() {
        assert_eq!(beyond(b"a\xff"), b"b");
        assert_eq!(beyond(b"\xff\xff"), EDGE);
    }
}
