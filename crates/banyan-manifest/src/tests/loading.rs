//! Loading: what is read, in which order, and what is remembered.

use std::sync::Mutex;

use banyan_core::{Kind, Sealed};
use proptest::prelude::*;

use super::{KEY, Repo, Warm, identities, ids, load, load_with, machine, repo, sealed, shown};
use crate::{LoadError, PUBLIC_KEY, ReadError};

fn role(name: &str) -> String {
    format!(
        "apiVersion: banyan/v1\nkind: Role\nmetadata: {{name: {name}}}\nspec: {{permissions: ['a:b']}}\n"
    )
}

#[test]
fn only_yaml_files_outside_hidden_folders_are_read() {
    let repo = repo([
        ("a.yaml", &role("a")),
        ("deep/er/b.yml", &role("b")),
        ("c.json", "not yaml: ["),
        (".github/workflows/d.yaml", "not: [ours"),
        (".hidden.yaml", "not: [ours"),
        ("README.md", "[["),
        ("yaml", "[["),
    ]);
    let loaded = load(&repo);
    assert_eq!(loaded.findings, []);
    assert_eq!((loaded.documents().roles.len(), loaded.files), (2, 2));
}

#[test]
fn places_names_and_defaults_are_as_in_the_file() {
    let text = format!(
        "# a comment\n---\napiVersion: banyan/v1\nkind: Cluster\nmetadata:\n  name: demo\n  labels: {{a: b}}\nspec:\n  recipients:\n    - {}\n---\n---\n~\n---\n# nothing\n...\n",
        super::secret().1
    );
    let loaded = load(&repo([("a.yaml", &text)]));
    assert_eq!(loaded.findings, []);
    let cluster = &loaded.documents().clusters[0];
    let at = |pos: banyan_core::Pos| (pos.line, pos.column);
    assert_eq!((at(cluster.pos), at(cluster.name.pos)), ((3, 1), (6, 9)));
    assert_eq!(at(cluster.spec.recipients[0].pos), (10, 7));
    assert_eq!(cluster.labels["a"], "b");
    assert_eq!(
        cluster.spec.control_range.value.to_string(),
        "10.200.0.0/16"
    );
    assert_eq!(cluster.spec.mesh_range.value.to_string(), "10.201.0.0/16");
    assert!(cluster.spec.require_sealed);
    assert_eq!(cluster.spec.guards, banyan_core::Guards::default());
}

#[test]
fn every_field_of_a_user_and_a_machine_arrives() {
    let text = format!(
        "
apiVersion: banyan/v1
kind: User
metadata: {{name: \"123\"}}
spec:
  roles: [admin, 'off', no]
  email: a@example.org
  disabled: false
  expires: 2030-01-01T00:00:00+02:00
---
apiVersion: banyan/v1
kind: Machine
metadata: {{name: m}}
spec:
  type: cli
  publicKey: {{plain: {KEY}}}
  endpoint: '[2001:db8::7]:51820'
  meshAddress: 10.201.0.7
  routes: [192.168.0.0/24, fd00::/64]
  expires: 2030-01-01T00:00:00.5Z
  protected: true
"
    );
    let loaded = load(&repo([("a.yaml", &text)]));
    assert_eq!(loaded.findings, []);
    let user = &loaded.documents().users[0];
    assert_eq!(user.name.value.as_str(), "123");
    let roles: Vec<&str> = user.spec.roles.iter().map(|r| r.value.as_str()).collect();
    assert_eq!(roles, ["admin", "off", "no"]);
    assert_eq!(
        user.spec.expires.as_ref().unwrap().value.to_string(),
        "2029-12-31T22:00:00Z"
    );
    let disabled = user.spec.disabled.as_ref().unwrap();
    assert_eq!(
        (disabled.value, disabled.pos.line, disabled.pos.column),
        (false, 8, 3)
    );
    let machine = &loaded.documents().machines[0].spec;
    assert_eq!(
        machine.public_key.value,
        Sealed::Plain(KEY.parse().unwrap())
    );
    assert_eq!(machine.public_key.pos.line, 16);
    assert_eq!(
        machine.endpoint.as_ref().unwrap().as_str(),
        "[2001:db8::7]:51820"
    );
    assert_eq!(machine.routes[1].value.to_string(), "fd00::/64");
    assert!(machine.protected);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let unix = machine("m", &sealed(Kind::Machine, "m", PUBLIC_KEY, KEY));
    let windows = format!("\u{feff}{}", unix.replace('\n', "\r\n"));
    let read = |text: &str| {
        load_with(
            &mut Warm::new(Some(identities())),
            &repo([("a.yaml", text)]),
        )
    };
    assert_eq!(read(&unix), read(&windows));
    assert_eq!(read(&unix).findings, []);
}

#[test]
fn what_is_not_utf8_or_too_large_is_a_finding_and_the_rest_loads() {
    let mut repo = repo([("good.yaml", &role("good"))]);
    repo.insert("bad.yaml".to_owned(), b"a: \xff".to_vec());
    repo.insert("big.yaml".to_owned(), vec![b'#'; crate::MAX_FILE_BYTES + 1]);
    repo.insert("just.yaml".to_owned(), vec![b'#'; crate::MAX_FILE_BYTES]);
    let loaded = load(&repo);
    insta::assert_snapshot!(shown(&repo, &loaded), @"
    error[not-utf8]: not UTF-8 from byte 3 on
     --> bad.yaml
      = help: save the file as UTF-8

    error[too-large]: the file is larger than 1048576 bytes
     --> big.yaml
      = help: split it, or exclude it in `.banyanignore`

    4 files, 1 document: 2 errors, 0 warnings
    ");
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_and_the_next_attempt_is_whole() {
    let files = repo([
        (".banyanignore", "c.yaml\n"),
        ("a.yaml", &role("a")),
        ("b.yaml", &role("b")),
    ]);
    let mut loader = Warm::new(None);
    let before = repo([("a.yaml", &role("a")), ("c.yaml", &role("c"))]);
    assert_eq!(load_with(&mut loader, &before).documents().roles.len(), 2);
    let mut after = before.clone();
    after.extend(files.clone());
    let failing = |path: &str, _| match path {
        ".banyanignore" => Ok(files[path].clone()),
        _ => Err(ReadError::new("the disk is gone")),
    };
    let LoadError::Read { path, source } = loader.load(&ids(&after), &failing).unwrap_err();
    assert_eq!(
        (path.as_str(), source.to_string().as_str()),
        ("b.yaml", "the disk is gone")
    );
    let fresh = load(&after);
    let again = load_with(&mut loader, &after);
    assert_eq!(
        (again.documents(), again.findings),
        (fresh.documents(), fresh.findings)
    );
    assert_eq!(again.parsed, 1);
}

#[test]
fn only_changed_files_are_read_again_and_what_is_gone_is_forgotten() {
    let mut loader = Warm::new(None);
    let mut files = repo([("a.yaml", &role("a")), ("b.yaml", &role("b"))]);
    assert_eq!(load_with(&mut loader, &files).parsed, 2);
    let asked = Mutex::new(Vec::new());
    let mut again = |files: &Repo| {
        asked.lock().unwrap().clear();
        let read = |path: &str, _| {
            asked.lock().unwrap().push(path.to_owned());
            Ok(files[path].clone())
        };
        let loaded = loader.load(&ids(files), &read).unwrap();
        assert_eq!(loaded.parsed, asked.lock().unwrap().len());
        (loaded, asked.lock().unwrap().clone())
    };
    assert_eq!(again(&files).1, [""; 0]);
    files.insert("b.yaml".to_owned(), role("c").into_bytes());
    assert_eq!(again(&files).1, ["b.yaml"]);
    // The same content at another path is not read again, but has its own path.
    let b = files.remove("b.yaml").unwrap();
    files.insert("moved.yaml".to_owned(), b.clone());
    let (loaded, read) = again(&files);
    assert_eq!(read, [""; 0]);
    assert_eq!(&*loaded.documents().roles[1].path, "moved.yaml");
    files.remove("moved.yaml");
    again(&files);
    files.insert("moved.yaml".to_owned(), b);
    assert_eq!(again(&files).1, ["moved.yaml"]);
}

#[test]
fn a_memory_stays_as_it_is_whatever_is_loaded_from_it() {
    let files = repo([("a.yaml", &role("a")), ("b.yaml", &role("b"))]);
    let mut passes = Warm::new(None);
    load_with(&mut passes, &files);
    let mut other = passes.clone();
    let few = repo([("a.yaml", &role("a")), ("new.yaml", &role("c"))]);
    assert_eq!(load_with(&mut other, &few).parsed, 1);
    assert_eq!(
        load_with(&mut other, &files).parsed,
        1,
        "b.yaml is forgotten"
    );
    assert_eq!(load_with(&mut passes, &files).parsed, 0);
}

#[test]
fn findings_of_moved_content_name_the_new_path() {
    let mut loader = Warm::new(None);
    load_with(&mut loader, &repo([("a.yaml", "x: 1\n")]));
    let moved = repo([("b.yaml", "x: 1\n")]);
    let loaded = load_with(&mut loader, &moved);
    assert_eq!(loaded.parsed, 0);
    assert_eq!(loaded.findings, load(&moved).findings);
}

#[test]
fn remembered_documents_are_shared_not_copied() {
    let mut loader = Warm::new(None);
    let files = repo([("a.yaml", &role("a"))]);
    let first = load_with(&mut loader, &files);
    let second = load_with(&mut loader, &files);
    assert!(std::sync::Arc::ptr_eq(
        &first.documents().roles[0],
        &second.documents().roles[0]
    ));
}

/// A small piece of a repo: sound, faulty or broken.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]".prop_map(|name| role(&name)),
        Just("x: 1\n".to_owned()),
        Just("x: [1\n".to_owned()),
        "[a-c]".prop_map(|name| format!("{}---\n{}", role(&name), role("z"))),
        Just(String::new()),
    ]
}

proptest! {
    #[test]
    fn what_is_remembered_is_what_a_fresh_loader_reads(
        commits in prop::collection::vec(
            prop::collection::btree_map("[a-d]{1,2}\\.yaml|\\.banyanignore", piece(), 0..8), 1..6)
    ) {
        let mut loader = Warm::new(None);
        for commit in commits {
            let repo: Repo = commit.into_iter().map(|(path, text)| {
                let text = if path.starts_with('.') { text.chars().take(1).collect() } else { text };
                (path, text.into_bytes())
            }).collect();
            let warm = load_with(&mut loader, &repo);
            let cold = load(&repo);
            prop_assert_eq!(&warm.documents(), &cold.documents());
            prop_assert_eq!(&warm.findings, &cold.findings);
            prop_assert_eq!((warm.closed, warm.files), (cold.closed, cold.files));
        }
    }

    #[test]
    fn neither_names_nor_threads_change_the_order(pieces in prop::collection::vec(piece(), 1..12)) {
        let repo: Repo = pieces.into_iter().enumerate()
            .map(|(n, text)| (format!("{n:02}.yaml"), text.into_bytes())).collect();
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let many = rayon::ThreadPoolBuilder::new().num_threads(7).build().unwrap();
        let loaded = one.install(|| load(&repo));
        prop_assert_eq!(&loaded, &many.install(|| load(&repo)));
        let places: Vec<_> = loaded.documents().roles.iter().map(|d| (d.path.clone(), d.pos)).collect();
        prop_assert!(places.is_sorted());
    }
}
