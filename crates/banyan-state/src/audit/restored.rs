//! Records in each audit log that it was restored from a backup.

use std::collections::BTreeMap;
use std::sync::Arc;

use banyan_core::Name;
use banyan_core::audit::{Action, Actor, AuditEntry, Head};
use jiff::Timestamp;

use crate::{StateError, key, stored};

/// Adds to each log among these values an entry about the restore. Returns the keys whose values depend on `at`.
pub(crate) fn note_restored(
    values: &mut BTreeMap<String, Arc<[u8]>>,
    made_at: Timestamp,
    at: Timestamp,
) -> Result<Vec<String>, StateError> {
    let mut dated = Vec::new();
    for (name, mut head) in heads(values) {
        let entry = AuditEntry::new(at, Actor::Engine, Action::STATE_RESTORED).detail(&format!(
            "from a backup of {made_at:.0}; later entries are missing from this log"
        ));
        let text = serde_json::to_string(&entry).map_err(StateError::Encode)?;
        let link = head.push(text.into());
        for (key, value) in [
            (key::audit(&name, link.seq), stored::encode(&link)?),
            (key::audit_head(&name), stored::encode(&head)?),
        ] {
            values.insert(key.clone(), value);
            dated.push(key);
        }
    }
    Ok(dated)
}

/// The logs with a readable head. For the others, their engine will notice.
fn heads(values: &BTreeMap<String, Arc<[u8]>>) -> Vec<(Name, Head)> {
    let heads = values.iter().filter_map(|(key, value)| {
        let name = key.strip_prefix(key::AUDIT_HEADS)?.parse().ok()?;
        Some((name, serde_json::from_slice(value).ok()?))
    });
    heads.collect()
}
