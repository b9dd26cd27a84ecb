//! The example repo is sound, with its identity and without.

use std::path::{Path, PathBuf};

use banyan_core::{Finding, check};

use super::{Repo, Warm, load_with};
use crate::{Identities, Loaded};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

fn add(folder: &Path, prefix: &str, repo: &mut Repo) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            add(&entry.path(), &format!("{path}/"), repo);
        } else {
            repo.insert(path, std::fs::read(entry.path()).unwrap());
        }
    }
}

/// What loading says, and what judging all documents together says.
fn load(identities: Option<Identities>) -> (Loaded, Vec<Finding>) {
    let mut repo = Repo::new();
    add(&examples().join("cluster-repo"), "", &mut repo);
    let loaded = load_with(&mut Warm::new(identities), &repo);
    let now = "2026-11-20T00:00:00Z".parse().unwrap();
    let findings = match check(&loaded.documents(), loaded.findings.clone(), now) {
        Ok(checked) => checked.warnings().to_vec(),
        Err(findings) => findings,
    };
    (loaded, findings)
}

fn demo() -> Identities {
    let text = std::fs::read_to_string(examples().join("demo-identity.txt")).unwrap();
    Identities::from_text(&text).unwrap()
}

#[test]
fn with_the_demonstration_identity_it_has_no_finding_at_all() {
    let (loaded, findings) = load(Some(demo()));
    assert_eq!(findings, []);
    assert_eq!((loaded.closed, loaded.documents().machines.len()), (0, 4));
}

#[test]
fn without_an_identity_it_has_no_finding_and_counts_what_is_sealed() {
    let (loaded, findings) = load(None);
    assert_eq!(findings, []);
    assert_eq!(loaded.closed, 4);
}

#[test]
fn the_readme_names_every_file_and_every_file_it_names_exists() {
    let root = examples().join("cluster-repo");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let mut repo = Repo::new();
    add(&root, "", &mut repo);
    for path in repo.keys().filter(|path| *path != "README.md") {
        assert!(
            readme.contains(&format!("`{path}`")),
            "README.md does not name {path}"
        );
    }
    for named in readme
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|text| text.ends_with(".yaml"))
    {
        assert!(repo.contains_key(named), "README.md names {named}");
    }
}
