//! The nouns of the store: revisions, leases, entries and key ranges. Plain data, no IO.

use std::fmt;
use std::sync::Arc;

/// A point in the store's history. Every transaction that changes something creates the next one.
///
/// 0 is the state before any write, and also the `created` and `modified` revision of an absent key
/// in a compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision after this one.
    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A lease id, assigned by the store that granted the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u64);

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A key and its stored value.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key, never empty.
    pub key: String,
    /// The value of the last put.
    pub value: Arc<[u8]>,
    /// The revision that created the key after it was last absent.
    pub created: Revision,
    /// The revision of the last put.
    pub modified: Revision,
    /// The lease that the key belongs to, set by the last put.
    pub lease: Option<LeaseId>,
}

/// Values may be secret: only their length is shown.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key)
            .field("value", &format_args!("{} bytes", self.value.len()))
            .field("created", &self.created)
            .field("modified", &self.modified)
            .field("lease", &self.lease)
            .finish()
    }
}

/// A range of keys in byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key in the range.
    pub start: String,
    /// The first key past the range; `None` means no upper bound.
    pub end: Option<String>,
}

impl KeyRange {
    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self::prefix("")
    }

    /// Every key that starts with `prefix`.
    #[must_use]
    pub fn prefix(prefix: &str) -> Self {
        Self {
            start: prefix.to_owned(),
            end: beyond_prefix(prefix),
        }
    }

    /// Every key after `key`, excluding `key`.
    #[must_use]
    pub fn after(key: &str) -> Self {
        Self {
            start: format!("{key}\0"),
            end: None,
        }
    }

    /// The rest of this range after `key`: the start of the next page.
    #[must_use]
    pub fn continued_after(&self, key: &str) -> Self {
        Self {
            end: self.end.clone(),
            ..Self::after(key)
        }
    }

    /// Whether `key` belongs to the range.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.start.as_str() <= key && self.end.as_deref().is_none_or(|end| key < end)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }
}

/// The smallest string above every string with this prefix. UTF-8 sorts by code point, so it is the
/// prefix with its last code point incremented, after dropping trailing code points that are
/// already the maximum.
fn beyond_prefix(prefix: &str) -> Option<String> {
    let mut head = prefix.to_owned();
    while let Some(last) = head.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            head.push(next);
            return Some(head);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_prefix_of_the_highest_characters_has_no_end() {
        assert_eq!(KeyRange::prefix("\u{10FFFF}\u{10FFFF}").end, None);
        assert_eq!(
            KeyRange::prefix("a\u{10FFFF}").end.as_deref(),
            Some("b"),
            "the carry moves to the left"
        );
        assert_eq!(
            KeyRange::prefix("\u{D7FF}").end.as_deref(),
            Some("\u{E000}"),
            "surrogates are no characters"
        );
    }

    #[test]
    fn debug_of_an_entry_hides_its_value() {
        let entry = Entry {
            key: "k".into(),
            value: Arc::from(*b"hunter2"),
            created: Revision(1),
            modified: Revision(1),
            lease: None,
        };
        let shown = format!("{entry:?}");
        assert!(
            shown.contains("7 bytes") && !shown.contains("104"),
            "{shown}"
        );
    }

    proptest! {
        #[test]
        fn a_prefix_range_holds_exactly_the_keys_with_the_prefix(prefix in ".{0,3}", key in ".{0,5}") {
            prop_assert_eq!(KeyRange::prefix(&prefix).contains(&key), key.starts_with(&prefix));
            let longer = format!("{prefix}{key}");
            prop_assert!(KeyRange::prefix(&prefix).contains(&longer));
        }

        #[test]
        fn a_continued_range_holds_what_comes_after(key in "[a-z]{1,3}", other in "[a-z]{1,3}") {
            let rest = KeyRange::all().continued_after(&key);
            prop_assert_eq!(rest.contains(&other), other > key);
        }
    }
}
