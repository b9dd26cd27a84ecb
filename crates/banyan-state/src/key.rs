//! The layout of keys.
//!
//! | key | value |
//! |---|---|
//! | `v1/pointer` | the generation and commit in force |
//! | `v1/record/GENERATION/KIND/NAME` | the record as of that generation, or that it was removed |
//! | `v1/history/MICROSECONDS-COMMIT` | the outcome of a commit |
//! | `v1/floor` | the commit that may be applied although it does not descend from the one in force |
//! | `v1/engine/NAME` | an engine that belongs to the cluster, running or not |
//! | `v1/engine-v4` | the engine that has the first address of the control range |
//! | `v1/alive/NAME` | a running engine; leased |
//! | `v1/leader` | the engine that leads; leased |
//! | `v1/standing` | the result of the leader's last pass |
//! | `v1/hint` | its revision requests a pass from the leader |
//! | `v1/user/NAME` | a user created through the API |
//! | `v1/account/ID` | password, enrolment code, lock and sessions' epoch of a user, whatever its origin |
//! | `v1/session/ID` | a session |
//! | `v1/signing-key/ID` | a token signing key |
//! | `v1/people` | its revision changes whenever users or permissions change other than by a commit |
//! | `v1/restoring` | a restore is running or was interrupted |
//! | `v1/moved` | the store was moved elsewhere |
//! | `audit1/ENGINE/SEQ` | an entry of an engine's audit log |
//! | `audit1-head/ENGINE` | the end of that chain, and the start of its retained part |
//!
//! The live view loads and follows only `v1/`: an audit log grows, and no decision depends on it.
//!
//! Numbers have 20 digits, so that keys sort numerically.

use banyan_core::{CommitId, Generation, Kind, Name};
use jiff::Timestamp;

/// Everything the live view is built from.
pub(crate) const ROOT: &str = "v1/";
pub(crate) const POINTER: &str = "v1/pointer";
pub(crate) const RECORDS: &str = "v1/record/";
pub(crate) const HISTORY: &str = "v1/history/";
pub(crate) const FLOOR: &str = "v1/floor";
pub(crate) const ENGINES: &str = "v1/engine/";
pub(crate) const ENGINE_V4: &str = "v1/engine-v4";
pub(crate) const ALIVE: &str = "v1/alive/";
pub(crate) const LEADER: &str = "v1/leader";
pub(crate) const PUBLISHED_STATUS: &str = "v1/standing";
pub(crate) const USERS: &str = "v1/user/";
pub(crate) const ACCOUNTS: &str = "v1/account/";
pub(crate) const SESSIONS: &str = "v1/session/";
pub(crate) const SIGNING_KEYS: &str = "v1/signing-key/";
pub(crate) const PEOPLE: &str = "v1/people";
pub(crate) const HINT: &str = "v1/hint";
/// Present while a store is being filled from a backup or from another store.
pub(crate) const RESTORING: &str = "v1/restoring";
/// Present once a store's content has been moved to another.
pub(crate) const MOVED: &str = "v1/moved";

pub(crate) const AUDIT: &str = "audit1/";
pub(crate) const AUDIT_HEADS: &str = "audit1-head/";

/// Everything that this crate writes, by prefix.
pub(crate) const ROOTS: [&str; 3] = [AUDIT_HEADS, AUDIT, ROOT];

/// One version of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RecordKey {
    pub(crate) generation: Generation,
    pub(crate) kind: Kind,
    pub(crate) name: Name,
}

impl RecordKey {
    pub(crate) fn to_key(&self) -> String {
        format!(
            "{RECORDS}{:020}/{}/{}",
            self.generation.0, self.kind, self.name
        )
    }

    /// `None` if the key is not one that [`Self::to_key`] returns.
    pub(crate) fn parse(key: &str) -> Option<Self> {
        let mut parts = key.strip_prefix(RECORDS)?.splitn(3, '/');
        let digits = parts.next().filter(|digits| digits.len() == 20)?;
        let kind = parts.next()?;
        Some(Self {
            generation: Generation(digits.parse().ok()?),
            kind: Kind::ALL.into_iter().find(|k| k.as_str() == kind)?,
            name: parts.next()?.parse().ok()?,
        })
    }
}

pub(crate) fn history(at: Timestamp, commit: CommitId) -> String {
    format!("{HISTORY}{:020}-{commit}", at.as_microsecond().max(0))
}

/// Whether a key is ephemeral, so that a copy of the state omits it.
pub(crate) fn is_of_the_moment(key: &str) -> bool {
    key.starts_with(ALIVE) || [LEADER, PUBLISHED_STATUS, HINT].contains(&key)
}

pub(crate) fn engine(name: &Name) -> String {
    format!("{ENGINES}{name}")
}

pub(crate) fn alive(name: &Name) -> String {
    format!("{ALIVE}{name}")
}

/// The entries of an engine's audit log.
pub(crate) fn audit_of(engine: &Name) -> String {
    format!("{AUDIT}{engine}/")
}

pub(crate) fn audit(engine: &Name, seq: u64) -> String {
    format!("{AUDIT}{engine}/{seq:020}")
}

/// The number in a key returned by [`audit`].
pub(crate) fn audit_seq(engine: &Name, key: &str) -> Option<u64> {
    let digits = key.strip_prefix(&audit_of(engine))?;
    let seq = digits.parse().ok()?;
    (audit(engine, seq) == key).then_some(seq)
}

pub(crate) fn audit_head(engine: &Name) -> String {
    format!("{AUDIT_HEADS}{engine}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn record_keys_sort_by_generation_and_read_back() {
        let key = |generation| RecordKey {
            generation: Generation(generation),
            kind: Kind::User,
            name: "alice".parse().unwrap(),
        };
        assert_eq!(RecordKey::parse(&key(7).to_key()), Some(key(7)));
        assert!(key(9).to_key() < key(10).to_key());
    }

    proptest! {
        #[test]
        fn no_key_makes_the_parser_panic(text in ".{0,60}") {
            let _ = RecordKey::parse(&text);
            let _ = RecordKey::parse(&format!("{RECORDS}{text}"));
        }
    }
}
