//! The big repo: users and sealed machines, one document per file, two recipients; plus commits of one file each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use banyan_core::{FileMap, Kind, MachineType, Name, Recipient, SecretText};
use banyan_manifest::scaffold::{self, NewKey, NewMachine, NewUser};
use banyan_manifest::{Identities, PUBLIC_KEY, Payload, seal};
use banyan_testkit::git::TestRepo;
use banyan_wireguard::PrivateKey;
use rayon::prelude::*;

/// The branch that the engine follows.
const BRANCH: &str = "refs/heads/main";

pub(crate) struct BigRepo {
    pub(crate) git: TestRepo,
    /// Of the first commit.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// The sealed values of the first commit.
    pub(crate) armored: Vec<String>,
    identity: SecretText,
    recipients: BTreeSet<Recipient>,
    size: usize,
    /// The number of changes made.
    made: usize,
}

/// One file's change.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Edit {
    User,
    AddMachine,
    RemoveMachine,
}

impl Edit {
    /// `rounds` of each kind.
    pub(crate) fn rounds(rounds: usize) -> impl Iterator<Item = Self> {
        let one = [Self::User, Self::AddMachine, Self::RemoveMachine];
        std::iter::repeat_n(one, rounds).flatten()
    }
}

/// A commit whose objects are in the source, but on no branch yet.
pub(crate) struct Prepared {
    pub(crate) id: String,
    /// The reference that holds it.
    pub(crate) side: String,
}

impl BigRepo {
    pub(crate) fn make(size: usize) -> Result<Self> {
        let (_, identity, first) = Identities::generate();
        let (_, _, second) = Identities::generate();
        let remarks = ["the engine", "an operator"].map(str::to_owned);
        let named: Vec<_> = [first, second].into_iter().zip(remarks).collect();
        let recipients = named.iter().map(|(r, _)| r.clone()).collect();
        let machines: Vec<(String, String, String)> = (0..size)
            .into_par_iter()
            .map(|n| machine(n, &recipients))
            .collect::<Result<_>>()?;
        let mut files = BTreeMap::new();
        let cluster = scaffold::cluster(&"big".parse()?, &named, true);
        files.insert("cluster.yaml".to_owned(), cluster.into_bytes());
        for n in 0..size {
            let (path, text) = user(n, 0)?;
            files.insert(path, text.into_bytes());
        }
        let mut armored = Vec::with_capacity(size);
        for (path, text, sealed) in machines {
            files.insert(path, text.into_bytes());
            armored.push(sealed);
        }
        let entries = files
            .iter()
            .map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
        Ok(Self {
            git: TestRepo::with_files(entries, false)?,
            files,
            armored,
            identity,
            recipients,
            size,
            made: 0,
        })
    }

    /// The text of the identity file.
    pub(crate) fn identity(&self) -> &str {
        self.identity.expose()
    }

    pub(crate) fn identities(&self) -> Result<Identities> {
        Ok(Identities::from_text(self.identity())?)
    }

    /// The identity as a file.
    pub(crate) fn identity_file(&self) -> Result<PathBuf> {
        let file = self.git.dir().join("identity.txt");
        std::fs::write(&file, self.identity())?;
        Ok(file)
    }

    /// Each file's blob id.
    pub(crate) fn ids(&self) -> Result<FileMap> {
        (self.files.iter())
            .map(|(path, bytes)| {
                let id = banyan_git::blob_id(bytes)?;
                Ok((path.clone(), id))
            })
            .collect()
    }

    /// Commits changes one after the other, and copies their objects to the source without moving its branch.
    ///
    /// All changes are prepared beforehand: a large process that has just forked to run `git` pays for each page that
    /// it writes afterwards, which an engine never does.
    pub(crate) fn prepare(
        &mut self,
        edits: impl IntoIterator<Item = Edit>,
    ) -> Result<Vec<Prepared>> {
        edits
            .into_iter()
            .map(|edit| self.prepare_one(edit))
            .collect()
    }

    fn prepare_one(&mut self, edit: Edit) -> Result<Prepared> {
        self.made += 1;
        // Far apart, so that no two changes are neighbours.
        let at = self.made * 37 % self.size;
        match edit {
            Edit::User => {
                let (path, text) = user(at, self.made)?;
                self.write(&path, &text)?;
            }
            Edit::AddMachine => {
                let (path, text, _) = machine(self.size + self.made, &self.recipients)?;
                self.write(&path, &text)?;
            }
            Edit::RemoveMachine => {
                let path = machine_path(at);
                self.git.git(["update-index", "--force-remove", &path])?;
            }
        }
        let tree = self.git.git(["write-tree"])?;
        let parent = self.git.head()?;
        let message = format!("change {}", self.made);
        let id = self
            .git
            .git(["commit-tree", &tree, "-p", &parent, "-m", &message])?;
        self.git.git(["update-ref", "HEAD", &id])?;
        let side = format!("refs/bench/{}", self.made);
        self.git
            .git(["push", "--quiet", "origin", &format!("HEAD:{side}")])?;
        Ok(Prepared { id, side })
    }

    fn write(&self, path: &str, text: &str) -> Result<()> {
        let blob = banyan_testkit::git::git_input(
            &self.git.work(),
            ["hash-object", "-w", "--stdin"],
            text.as_bytes(),
        )?;
        let info = format!("100644,{blob},{path}");
        self.git
            .git(["update-index", "--add", "--cacheinfo", &info])?;
        Ok(())
    }

    /// Moves the source's branch, as the last step of a push does.
    pub(crate) fn publish(&self, commit: &Prepared) -> Result<()> {
        let file = self.git.path().join(BRANCH);
        let lock = file.with_extension("lock");
        std::fs::write(&lock, format!("{}\n", commit.id))?;
        std::fs::rename(&lock, &file).context("moving the branch")
    }
}

/// Path and document.
pub(crate) fn user(n: usize, edition: usize) -> Result<(String, String)> {
    let name: Name = format!("user-{n:05}").parse()?;
    // The first one is an admin, so that the lock-out guard accepts the repo.
    let role = match n {
        0 => "admin",
        _ if n.is_multiple_of(10) => "deployer",
        _ => "viewer",
    };
    let text = scaffold::user(&NewUser {
        email: Some(format!("{name}+{edition}@example.org")),
        roles: vec![role.parse()?],
        expires: None,
        name: name.clone(),
    });
    Ok((format!("users/{name}.yaml"), text))
}

fn machine_name(n: usize) -> String {
    format!("machine-{n:05}")
}

fn machine_path(n: usize) -> String {
    format!("machines/{}.yaml", machine_name(n))
}

/// Path, document and sealed value.
fn machine(n: usize, recipients: &BTreeSet<Recipient>) -> Result<(String, String, String)> {
    let name: Name = machine_name(n).parse()?;
    let key = PrivateKey::generate()?.public_key();
    let value = SecretText::new(key.to_string());
    let payload = Payload::new(Kind::Machine, name.clone(), PUBLIC_KEY, value, recipients);
    let armored = seal(&payload, recipients)?;
    let text = scaffold::machine(&NewMachine {
        name,
        machine_type: MachineType::Agent,
        key: NewKey::Sealed(armored.clone()),
        endpoint: None,
        mesh_address: None,
        routes: Vec::new(),
    });
    Ok((machine_path(n), text, armored))
}
