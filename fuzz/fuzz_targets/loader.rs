//! Any bytes as a file of a cluster repo and as its `.banyanignore`: loading and every output must end without a panic,
//! and say the same when they are asked again.
//!
//! Start it with the seeds: `cargo +nightly fuzz run loader fuzz/corpus/loader fuzz/seeds/loader`.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use banyan_manifest::render::{Report, github, json, sarif, text};
use banyan_core::BlobId;
use banyan_manifest::{Identities, Loader, Memory};
use libfuzzer_sys::fuzz_target;

static SECRET: LazyLock<banyan_core::SecretText> = LazyLock::new(|| Identities::generate().1);

fuzz_target!(|bytes: &[u8]| {
    let files = BTreeMap::from([
        (".banyanignore".to_owned(), BlobId::from_sha1([1; 20])),
        ("a/file.yaml".to_owned(), BlobId::from_sha1([2; 20])),
    ]);
    let read = |_: &str, _| Ok(bytes.to_vec());
    let identities = Identities::from_text(SECRET.expose()).expect("an identity just made");
    let loader = Loader::new(Some(identities));
    let nothing = Memory::default();
    let (first, memory) = loader.load(&nothing, &files, &read).expect("reading cannot fail");
    let (again, _) = loader.load(&memory, &files, &read).expect("reading cannot fail");
    assert_eq!(first.documents, again.documents);
    assert_eq!(first.findings, again.findings);
    let report = Report {
        findings: &first.findings,
        files: first.files,
        documents: 0,
        not_checked: first.closed,
    };
    let text_of = |_: &str| Some(String::from_utf8_lossy(bytes).into_owned());
    let _ = text(&report, &text_of, true);
    let _ = json(&report);
    let _ = github(&report, "");
    let _ = sarif(&report, "0", "");
});
