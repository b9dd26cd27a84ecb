//! Backups: taking, inspecting and restoring them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde::Deserialize;

use super::{Cluster, text};

/// The content of a backup.
#[derive(Debug, Clone)]
pub(crate) struct Backup {
    pub(crate) file: PathBuf,
    /// The commit in force, from the header.
    pub(crate) commit: String,
    /// Its generation, from the header.
    pub(crate) generation: u64,
    /// Keys and values.
    pub(crate) entries: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Header {
    commit: String,
    generation: u64,
}

#[derive(Deserialize)]
struct Entry {
    key: String,
    value: String,
}

impl Backup {
    /// Reads the file, which must be complete.
    #[track_caller]
    pub(crate) fn read(file: &Path) -> Self {
        let content = fs::read_to_string(file).unwrap();
        let lines: Vec<&str> = content.lines().collect();
        let (Some((header, rest)), true) = (lines.split_first(), content.ends_with('\n')) else {
            panic!("{} is not a backup", file.display());
        };
        let (end, entries) = rest.split_last().expect("a backup of nothing");
        assert!(end.starts_with(r#"{"sha256":""#), "{end}");
        let header: Header = serde_json::from_str(header).unwrap();
        let entries = entries.iter().map(|line| {
            let entry: Entry = serde_json::from_str(line).unwrap();
            (entry.key, entry.value)
        });
        Self {
            file: file.to_owned(),
            commit: header.commit,
            generation: header.generation,
            entries: entries.collect(),
        }
    }

    /// The state in force, and everything besides the records. Superseded versions may be present or not, and a restore
    /// may change what can follow.
    fn lasting(&self) -> BTreeMap<&str, &str> {
        let mut lasting = BTreeMap::new();
        for (key, value) in &self.entries {
            // Keys of records start with the generation, so the last one counts.
            let record = key.strip_prefix("v1/record/");
            match record.and_then(|rest| rest.split_once('/')) {
                Some((generation, name))
                    if generation.parse().is_ok_and(|g: u64| g <= self.generation) =>
                {
                    lasting.insert(name, value.as_str());
                }
                Some(_) => {}
                None if key == "v1/floor" => {}
                // An audit log keeps growing: a backup is an entry, too.
                None if key.starts_with("audit1") => {}
                // A restore ends all sessions, and the keys of their tokens.
                None if ["v1/session/", "v1/signing-key/"]
                    .iter()
                    .any(|p| key.starts_with(p)) => {}
                None => {
                    lasting.insert(key, value);
                }
            }
        }
        lasting.retain(|_, value| *value != "null");
        lasting
    }

    /// Whether both hold the same state.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.lasting() == other.lasting()
    }

    /// Asserts that both hold the same state, and names what differs.
    #[track_caller]
    pub(crate) fn assert_same(&self, other: &Self) {
        let (ours, theirs) = (self.lasting(), other.lasting());
        let differs = ours
            .keys()
            .chain(theirs.keys())
            .filter(|key| ours.get(*key) != theirs.get(*key));
        let differs: Vec<_> = differs.collect();
        let [left, right] = [self, other].map(|backup| backup.file.display());
        assert!(
            differs.is_empty(),
            "{left} and {right} differ in {differs:?}"
        );
    }
}

impl Cluster {
    /// Runs `banyan-engine backup` into a file of this name.
    #[track_caller]
    pub(crate) fn try_backup(&self, name: &str) -> (PathBuf, Output) {
        let file = self.dir().join(name);
        let output = self.engine_output(&["backup", "--output", file.to_str().unwrap()]);
        (file, output)
    }

    /// Takes a backup, from the engine if it runs.
    #[track_caller]
    pub(crate) fn backup(&self, name: &str) -> Backup {
        let (file, output) = self.try_backup(name);
        assert!(output.status.success(), "{}", text(&output.stderr));
        Backup::read(&file)
    }

    /// Runs `banyan-engine restore`; returns whether it succeeded, and its output.
    #[track_caller]
    pub(crate) fn try_restore(&self, file: &Path, options: &[&str]) -> (bool, String) {
        let output = self.engine_output(&[&["restore", file.to_str().unwrap()], options].concat());
        (output.status.success(), text(&output.stderr))
    }

    /// Restores a backup, replacing any state.
    #[track_caller]
    pub(crate) fn restore(&self, file: &Path) -> String {
        let (done, said) = self.try_restore(file, &["--replace"]);
        assert!(done, "{said}");
        said
    }
}
