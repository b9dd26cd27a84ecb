//! A look at the configuration file of a running engine (SIGHUP).

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tracing::{error, info, warn};

use super::Config;

/// The configuration file as the engine was started with.
pub struct Reload {
    path: PathBuf,
    started_with: Fingerprints,
    hasher: RandomState,
}

/// A hash of each value by the path of its key. The values themselves may be secrets, so they are not kept.
type Fingerprints = BTreeMap<String, u64>;

impl Reload {
    /// Remembers the file as it is.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        let hasher = RandomState::new();
        let text = Config::read_text(path);
        Self {
            path: path.to_owned(),
            started_with: text.map_or_else(|_| Fingerprints::new(), |text| of(&text, &hasher)),
            hasher,
        }
    }

    /// Reads and checks the file, and logs what became of it: an error, or which keys have changed and take effect at the
    /// next start. Values are never logged.
    pub fn check(&self) {
        let path = self.path.display();
        let text = Config::read_text(&self.path);
        let text = text.and_then(|text| Config::from_file(&self.path, &text).map(|_| text));
        let now = match text {
            Ok(text) => of(&text, &self.hasher),
            Err(problem) => {
                let problem = crate::report(&problem);
                error!(%path, problem, "the configuration is not valid and changes nothing; the engine runs on with the one it was started with");
                return;
            }
        };
        match changed_keys(&self.started_with, &now) {
            keys if keys.is_empty() => {
                info!(%path, "the configuration is as it was at the start");
            }
            keys => {
                let keys = keys.join(", ");
                warn!(%path, keys, "the configuration has changed; these keys take effect when the engine is restarted");
            }
        }
    }
}

/// The keys whose values differ, sorted.
fn changed_keys(before: &Fingerprints, after: &Fingerprints) -> Vec<String> {
    let all = before.keys().chain(after.keys());
    let mut changed: Vec<String> = all
        .filter(|key| before.get(*key) != after.get(*key))
        .cloned()
        .collect();
    changed.sort();
    changed.dedup();
    changed
}

/// The fingerprints of the values of the section `engine`.
fn of(text: &str, hasher: &RandomState) -> Fingerprints {
    let mut found = Fingerprints::new();
    let file = serde_saphyr::from_str::<Value>(text);
    if let Some(section) = file.ok().as_ref().and_then(|file| file.get("engine")) {
        collect("engine", section, hasher, &mut found);
    }
    found
}

fn collect(path: &str, value: &Value, hasher: &RandomState, found: &mut Fingerprints) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                collect(&format!("{path}.{key}"), value, hasher, found);
            }
        }
        Value::Null => {}
        value => {
            found.insert(path.to_owned(), hasher.hash_one(value.to_string()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_keys_are_named_and_no_value_is() {
        let before = "engine:\n  name: a\n  gitops: {url: /r, poll: 30s}\n  etcd: {password: secret}\nagent: {x: 1}\n";
        let after = "agent: {x: 2}\nengine:\n  gitops:\n    poll: 10s\n    url: /r\n  name: a\n  wg_port: 1\n  etcd: {password: other}\n";
        let hasher = RandomState::new();
        let (before, after) = (of(before, &hasher), of(after, &hasher));
        assert_eq!(
            changed_keys(&before, &after),
            [
                "engine.etcd.password",
                "engine.gitops.poll",
                "engine.wg_port"
            ]
        );
        assert!(changed_keys(&before, &before).is_empty());
    }
}
