//! A cluster repo to which new documents are added.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use banyan_core::{BlobId, Document, FileMap, Finding, Kind, Name, Recipient, any_error};
use banyan_manifest::{Loaded, Loader, Memory, ReadError};
use banyan_repo::{Folder, Tree, load};
use jiff::Timestamp;

use crate::error::Failure;

/// A folder with a cluster repo in it.
pub(crate) struct ClusterRepo {
    root: PathBuf,
    folder: Folder,
    loaded: Loaded,
}

impl ClusterRepo {
    pub(crate) fn open(root: &Path) -> Result<Self, Failure> {
        let folder = Folder::list(root)?;
        let loaded = loaded(root, &folder)?;
        Ok(Self {
            root: root.to_owned(),
            folder,
            loaded,
        })
    }

    /// The recipients of the one `Cluster`.
    pub(crate) fn recipients(&self) -> Result<BTreeSet<Recipient>, Failure> {
        let mut clusters = self.loaded.catalog.clusters();
        let (Some(cluster), None) = (clusters.next(), clusters.next()) else {
            return Err(self.no_cluster());
        };
        Ok((cluster.spec.recipients.iter())
            .map(|recipient| recipient.value.clone())
            .collect())
    }

    fn no_cluster(&self) -> Failure {
        let root = self.root.display();
        let what = match self.loaded.catalog.clusters().count() {
            0 => format!("there is no valid Cluster document in {root}"),
            number => format!("there are {number} Cluster documents in {root}"),
        };
        Failure::refused(what)
            .hint(
                "name the folder of the cluster repo with `--repo`; `banyan repo init` creates one",
            )
            .hint("`banyan validate` says what is wrong with the existing documents")
    }

    /// Where a document of this kind and name is declared, as `file:line`.
    pub(crate) fn declared(&self, kind: Kind, name: &Name) -> Option<String> {
        let documents = self.loaded.documents();
        match kind {
            Kind::Cluster => place(&documents.clusters, name),
            Kind::Role => place(&documents.roles, name),
            Kind::User => place(&documents.users, name),
            Kind::Machine => place(&documents.machines, name),
        }
    }

    /// Writes a new document into a file of its own, unless it would cause an error in the repo. Returns the file's path
    /// relative to the root.
    pub(crate) fn add(
        &self,
        kind: Kind,
        name: &Name,
        text: &str,
        now: Timestamp,
    ) -> Result<String, Failure> {
        if let Some(place) = self.declared(kind, name) {
            return Err(
                Failure::refused(format!("{kind} {name} is already declared at {place}"))
                    .hint("edit that document, or choose another name"),
            );
        }
        let path = format!("{kind}s/{name}.yaml");
        if let Some(finding) = self.first_error(&path, text, now)? {
            return Err(bad_document(kind, name, &finding));
        }
        let file = self.root.join(&path);
        write_new(&file, text).map_err(|error| {
            Failure::refused(format!("cannot write {}", file.display())).because(&error)
        })?;
        Ok(path)
    }

    /// The first error of the new document, by itself or together with the others.
    fn first_error(
        &self,
        path: &str,
        text: &str,
        now: Timestamp,
    ) -> Result<Option<Finding>, Failure> {
        let mut files = self.folder.files().clone();
        files.insert(path.into(), BlobId::from_sha1([0xff; 20]));
        let folder = &self.folder;
        let with = WithNew {
            folder,
            files,
            path,
            text,
        };
        let loaded = loaded(&self.root, &with)?;
        let findings = match loaded.catalog.check(loaded.findings, now) {
            Ok(_) => return Ok(None),
            Err(findings) => findings,
        };
        let mut of_file = findings
            .into_iter()
            .filter(|finding| *finding.path == *path);
        Ok(of_file.find(|finding| any_error(std::slice::from_ref(finding))))
    }
}

fn loaded(root: &Path, tree: &dyn Tree) -> Result<Loaded, Failure> {
    let loaded = load(&Loader::new(None), &Memory::default(), tree);
    let (loaded, _) = loaded.map_err(|error| Failure::cannot_load(root, &error))?;
    Ok(loaded)
}

/// The folder as it would be with the new document.
struct WithNew<'a> {
    folder: &'a Folder,
    files: FileMap,
    path: &'a str,
    text: &'a str,
}

impl Tree for WithNew<'_> {
    fn files(&self) -> &FileMap {
        &self.files
    }

    fn read(&self, path: &str, blob: BlobId) -> Result<Vec<u8>, ReadError> {
        match path == self.path {
            true => Ok(self.text.as_bytes().to_vec()),
            false => self.folder.read(path, blob),
        }
    }
}

fn bad_document(kind: Kind, name: &Name, finding: &Finding) -> Failure {
    let failure =
        Failure::refused(format!("{kind} {name} cannot be added")).reason(&finding.message);
    match &finding.help {
        Some(help) => failure.hint(help),
        None => failure,
    }
}

fn place<T>(documents: &[std::sync::Arc<Document<T>>], name: &Name) -> Option<String> {
    let found = documents.iter().find(|d| d.name.value == *name)?;
    Some(format!("{}:{}", found.path, found.pos.line))
}

/// Writes a file that must not exist yet, and creates its folders.
pub(crate) fn write_new(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}
