//! What the tests share: a repo in memory, and identities made for them.

mod bad;
mod example;
mod ignoring;
mod interop;
mod limits;
mod loading;
mod made;
mod never_panics;
mod rendering;
mod schemas;
mod sealed;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use banyan_core::{BlobId, FileMap, Kind, Recipient, SecretText};
use sha2::{Digest as _, Sha256};

use crate::render::{Report, text};
use crate::{Identities, LoadError, Loaded, Loader, Memory, Payload, Read, ReadError, seal};

/// Files by path.
pub(crate) type Repo = BTreeMap<String, Vec<u8>>;

pub(crate) fn repo<const N: usize>(files: [(&str, &str); N]) -> Repo {
    files
        .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
        .into()
}

pub(crate) fn blob(bytes: &[u8]) -> BlobId {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    BlobId::from_sha1(digest[..20].try_into().unwrap())
}

pub(crate) fn ids(repo: &Repo) -> FileMap {
    repo.iter()
        .map(|(p, b)| (std::sync::Arc::from(p.as_str()), blob(b)))
        .collect()
}

/// A loader with its memory of the last load.
#[derive(Clone)]
pub(crate) struct Warm {
    loader: std::sync::Arc<Loader>,
    memory: Memory,
}

impl Warm {
    pub(crate) fn new(identities: Option<Identities>) -> Self {
        Self {
            loader: Loader::new(identities).into(),
            memory: Memory::default(),
        }
    }

    pub(crate) fn load(&mut self, files: &FileMap, read: &Read<'_>) -> Result<Loaded, LoadError> {
        let (loaded, memory) = self.loader.load(&self.memory, files, read)?;
        self.memory = memory;
        Ok(loaded)
    }
}

pub(crate) fn load_with(loader: &mut Warm, repo: &Repo) -> Loaded {
    let read = |path: &str, _| {
        let bytes = repo.get(path).cloned();
        bytes.ok_or_else(|| ReadError::new("no such file"))
    };
    loader.load(&ids(repo), &read).unwrap()
}

/// Loads without an identity.
pub(crate) fn load(repo: &Repo) -> Loaded {
    load_with(&mut Warm::new(None), repo)
}

pub(crate) fn shown(repo: &Repo, loaded: &Loaded) -> String {
    let documents = &loaded.documents();
    let report = Report {
        findings: &loaded.findings,
        files: loaded.files,
        documents: documents.clusters.len()
            + documents.roles.len()
            + documents.users.len()
            + documents.machines.len(),
        not_checked: loaded.closed,
    };
    let text_of = |path: &str| Some(String::from_utf8_lossy(repo.get(path)?).into_owned());
    text(&report, &text_of, false)
}

/// What loading one file says, as people see it.
pub(crate) fn say(text: &str) -> String {
    let repo = repo([("a.yaml", text)]);
    shown(&repo, &load(&repo))
}

/// An identity that is the same all through a test process.
pub(crate) fn secret() -> &'static (SecretText, Recipient) {
    static ONE: OnceLock<(SecretText, Recipient)> = OnceLock::new();
    ONE.get_or_init(|| {
        let (_, text, recipient) = Identities::generate();
        (text, recipient)
    })
}

pub(crate) fn identities() -> Identities {
    Identities::from_text(secret().0.expose()).unwrap()
}

pub(crate) fn recipients() -> BTreeSet<Recipient> {
    BTreeSet::from([secret().1.clone()])
}

pub(crate) const KEY: &str = "y/xUY4hUb/bH2i5OVLMPtS3fdGcKQ3eaKTkBVqZqZEc=";

pub(crate) fn sealed(kind: Kind, name: &str, field: &str, value: &str) -> String {
    let value = SecretText::new(value.to_owned());
    let payload = Payload::new(kind, name.parse().unwrap(), field, value, &recipients());
    seal(&payload, &recipients()).unwrap()
}

/// A machine whose key is this armored text.
pub(crate) fn machine(name: &str, armored: &str) -> String {
    let block = crate::scaffold::sealed_block(armored, 4);
    format!(
        "apiVersion: banyan/v1\nkind: Machine\nmetadata: {{name: {name}}}\nspec:\n  type: agent\n  publicKey:\n{block}"
    )
}
