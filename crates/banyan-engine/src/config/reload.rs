//! A look at the configuration file of a running engine (SIGHUP).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tracing::{error, info, warn};

use super::Config;

/// The configuration file as the engine was started with.
pub struct Reload {
    path: PathBuf,
    started_with: String,
}

impl Reload {
    /// Remembers the file as it is.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            started_with: std::fs::read_to_string(path).unwrap_or_default(),
        }
    }

    /// Reads and checks the file, and logs what became of it: an error, or which keys have changed and take effect at the
    /// next start. Values are never logged.
    pub fn check(&mut self) {
        let path = self.path.display();
        if let Err(problem) = Config::read(&self.path) {
            let problem = crate::report(&problem);
            error!(%path, problem, "the configuration is not valid and changes nothing; the engine runs on with the one it was started with");
            return;
        }
        let now = std::fs::read_to_string(&self.path).unwrap_or_default();
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

/// The keys of the section `engine` whose values differ, sorted.
fn changed_keys(before: &str, after: &str) -> Vec<String> {
    let (before, after) = (flat(before), flat(after));
    let all = before.keys().chain(after.keys());
    let mut changed: Vec<String> = all
        .filter(|key| before.get(*key) != after.get(*key))
        .cloned()
        .collect();
    changed.sort();
    changed.dedup();
    changed
}

/// Every value of the section `engine` by the path of its key.
fn flat(text: &str) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let file = serde_saphyr::from_str::<Value>(text);
    if let Some(section) = file.ok().as_mut().and_then(|file| file.get_mut("engine")) {
        collect("engine", section.take(), &mut found);
    }
    found
}

fn collect(path: &str, value: Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                collect(&format!("{path}.{key}"), value, found);
            }
        }
        Value::Null => {}
        value => {
            found.insert(path.to_owned(), value);
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
        assert_eq!(
            changed_keys(before, after),
            [
                "engine.etcd.password",
                "engine.gitops.poll",
                "engine.wg_port"
            ]
        );
        assert!(changed_keys(before, before).is_empty());
    }
}
