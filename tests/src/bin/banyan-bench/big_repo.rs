//! Generated repos: users and sealed machines, one document per file, two recipients; plus commits of one file each.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use banyan_core::{FileMap, Kind, MachineType, Name, Permission, Recipient, SecretText};
use banyan_manifest::scaffold::{self, NewKey, NewMachine, NewUser};
use banyan_manifest::{Identities, PUBLIC_KEY, Payload, seal};
use banyan_testkit::git::{DATE, TestRepo, git_input};
use banyan_wireguard::PrivateKey;
use rayon::prelude::*;

/// The branch that the engine follows.
const BRANCH: &str = "refs/heads/main";
/// The most files in a folder of [`Layout::Folders`].
const FOLDER: usize = 1_000;
/// The role that all users of some repos have.
pub(crate) const STAFF: &str = "staff";
/// Lifts the guard on removals for a commit that removes one machine: repeated, they would be many of a small repo.
const ALLOW_ONE: &str = "Banyan-Allow-Removals: machine=1";

/// The size and form of a repo.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// The number of users, and of machines.
    pub(crate) size: usize,
    pub(crate) layout: Layout,
    /// Whether all users have the role [`STAFF`] beside their own.
    pub(crate) staff: bool,
}

/// Where the files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One folder of users and one of machines.
    Flat,
    /// Folders of at most [`FOLDER`] files. The control range has room for every machine.
    Folders,
}

pub(crate) struct BigRepo {
    pub(crate) git: TestRepo,
    /// Of the first commit.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// The sealed values of the first commit.
    pub(crate) armored: Vec<String>,
    identity: SecretText,
    recipients: BTreeSet<Recipient>,
    shape: Shape,
    /// The number of changes made, of those that removed a machine, and of those of the role.
    made: usize,
    removed: usize,
    roles: usize,
    /// The newest commit.
    tip: String,
}

/// One file's change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edit {
    User,
    AddMachine,
    RemoveMachine,
    /// The role [`STAFF`] gains or loses a permission.
    Role,
}

impl Edit {
    /// `rounds` of each kind that concerns one object.
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
    /// The big repo: this many users and as many machines, two folders.
    pub(crate) fn make(size: usize) -> Result<Self> {
        Self::of(Shape {
            size,
            layout: Layout::Flat,
            staff: false,
        })
    }

    pub(crate) fn of(shape: Shape) -> Result<Self> {
        let (_, identity, first) = Identities::generate();
        let (_, _, second) = Identities::generate();
        let remarks = ["the engine", "an operator"].map(str::to_owned);
        let named: Vec<_> = [first, second].into_iter().zip(remarks).collect();
        let recipients = named.iter().map(|(r, _)| r.clone()).collect();
        let machines: Vec<(Vec<u8>, String)> = (0..shape.size)
            .into_par_iter()
            .map(|n| {
                let (text, sealed) = machine(n, &recipients)?;
                Ok((text.into_bytes(), sealed))
            })
            .collect::<Result<_>>()?;
        let mut files = BTreeMap::new();
        files.insert("cluster.yaml".to_owned(), shape.cluster(&named)?);
        if shape.staff {
            let (path, text) = staff(0)?;
            files.insert(path, text.into_bytes());
        }
        for n in 0..shape.size {
            let (path, text) = shape.user(n, 0)?;
            files.insert(path, text.into_bytes());
        }
        let mut armored = Vec::with_capacity(shape.size);
        for (n, (text, sealed)) in machines.into_iter().enumerate() {
            files.insert(shape.machine_path(n), text);
            armored.push(sealed);
        }
        let entries = files
            .iter()
            .map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
        let git = TestRepo::with_files(entries, false)?;
        Ok(Self {
            tip: git.head()?,
            git,
            files,
            armored,
            identity,
            recipients,
            shape,
            made: 0,
            removed: 0,
            roles: 0,
        })
    }

    /// The files of a tree like this one in which every user is changed and machines are added: what a large plan uploads.
    pub(crate) fn altered(&self, added: usize) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut files = self.files.clone();
        for n in 0..self.shape.size {
            let (path, text) = self.shape.user(n, usize::MAX)?;
            files.insert(path, text.into_bytes());
        }
        // Beyond those that commits add.
        let first = self.shape.size * 2;
        let machines: Vec<(String, Vec<u8>)> = (first..first + added)
            .into_par_iter()
            .map(|n| {
                let (text, _) = machine(n, &self.recipients)?;
                Ok((self.shape.machine_path(n), text.into_bytes()))
            })
            .collect::<Result<_>>()?;
        files.extend(machines);
        Ok(files)
    }

    /// Drops the copy of the files in memory, for repos that are only read from git.
    pub(crate) fn drop_files(&mut self) {
        self.files = BTreeMap::new();
        self.armored = Vec::new();
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

    /// Commits changes one after the other in the source, without moving its branch.
    ///
    /// All changes are prepared beforehand: a large process that has just forked to run `git` pays for each page that
    /// it writes afterwards, which an engine never does. The objects are loose, as after a small push.
    pub(crate) fn prepare(
        &mut self,
        edits: impl IntoIterator<Item = Edit>,
    ) -> Result<Vec<Prepared>> {
        let (mut stream, mut sides) = (Vec::new(), Vec::new());
        let mut parent = self.tip.clone();
        for (n, edit) in edits.into_iter().enumerate() {
            let mark = format!(":{}", n + 1);
            sides.push(self.write_commit(&mut stream, edit, &parent, &mark)?);
            parent = mark;
        }
        for n in 1..=sides.len() {
            writeln!(stream, "get-mark :{n}")?;
        }
        let loose = "fastimport.unpackLimit=1000000";
        let import = ["-c", loose, "fast-import", "--quiet"];
        let ids = git_input(&self.git.path(), import, &stream)?;
        let ids: Vec<&str> = ids.lines().collect();
        ensure!(
            ids.len() == sides.len(),
            "git named {} of {} commits",
            ids.len(),
            sides.len()
        );
        if let Some(last) = ids.last() {
            self.tip = (*last).to_owned();
        }
        let commits = ids.into_iter().zip(sides);
        Ok(commits
            .map(|(id, side)| Prepared {
                id: id.to_owned(),
                side,
            })
            .collect())
    }

    /// Writes the commit of an edit for `git fast-import`; returns the reference that will hold it.
    fn write_commit(
        &mut self,
        stream: &mut Vec<u8>,
        edit: Edit,
        parent: &str,
        mark: &str,
    ) -> Result<String> {
        self.made += 1;
        let side = format!("refs/bench/{}", self.made);
        let mut message = format!("change {}\n", self.made);
        if edit == Edit::RemoveMachine {
            message.push_str(&format!("\n{ALLOW_ONE}\n"));
        }
        write!(
            stream,
            "commit {side}\nmark {mark}\ncommitter Test <test@example.org> {DATE}\ndata {}\n{message}from {parent}\n",
            message.len()
        )?;
        match self.edited(edit)? {
            (path, Some(text)) => {
                write!(
                    stream,
                    "M 100644 inline {path}\ndata {}\n{text}\n",
                    text.len()
                )?;
            }
            (path, None) => writeln!(stream, "D {path}")?,
        }
        Ok(side)
    }

    /// The path that an edit changes and its new content, `None` to remove it.
    fn edited(&mut self, edit: Edit) -> Result<(String, Option<String>)> {
        let Shape { size, .. } = self.shape;
        // Far apart, so that no two changes are neighbours. 37 has no factor in common with a size: no machine comes twice.
        match edit {
            Edit::User => {
                let (path, text) = self.shape.user(self.made * 37 % size, self.made)?;
                Ok((path, Some(text)))
            }
            Edit::AddMachine => {
                let n = size + self.made;
                let (text, _) = machine(n, &self.recipients)?;
                Ok((self.shape.machine_path(n), Some(text)))
            }
            Edit::RemoveMachine => {
                ensure!(self.removed < size, "all {size} machines are removed");
                self.removed += 1;
                Ok((self.shape.machine_path(self.removed * 37 % size), None))
            }
            Edit::Role => {
                ensure!(self.shape.staff, "the repo has no role {STAFF}");
                self.roles += 1;
                let (path, text) = staff(self.roles)?;
                Ok((path, Some(text)))
            }
        }
    }

    /// Moves the source's branch, as the last step of a push does.
    pub(crate) fn publish(&self, commit: &Prepared) -> Result<()> {
        let file = self.git.path().join(BRANCH);
        let lock = file.with_extension("lock");
        std::fs::write(&lock, format!("{}\n", commit.id))?;
        std::fs::rename(&lock, &file).context("moving the branch")
    }
}

impl Shape {
    fn cluster(self, recipients: &[(Recipient, String)]) -> Result<Vec<u8>> {
        let text = scaffold::cluster(&"big".parse()?, recipients, true);
        let text = match self.layout {
            Layout::Flat => text,
            Layout::Folders => {
                // Most of 100,000 machines would compete for the 65,000 addresses of the usual range.
                let text = text.replace("10.200.0.0/16", "10.128.0.0/9");
                text.replace("10.201.0.0/16", "10.0.0.0/9")
            }
        };
        Ok(text.into_bytes())
    }

    /// Path and document.
    fn user(self, n: usize, edition: usize) -> Result<(String, String)> {
        let name = user_name(n)?;
        // The first one is an admin, so that the lock-out guard accepts the repo.
        let role = match n {
            0 => "admin",
            _ if n.is_multiple_of(10) => "deployer",
            _ => "viewer",
        };
        let mut roles = vec![role.parse()?];
        if self.staff {
            roles.push(STAFF.parse()?);
        }
        let text = scaffold::user(&NewUser {
            email: Some(format!("{name}+{edition}@example.org")),
            roles,
            expires: None,
            name: name.clone(),
        });
        Ok((self.layout.path("users", n, name.as_str()), text))
    }

    fn machine_path(self, n: usize) -> String {
        self.layout.path("machines", n, &machine_name(n))
    }
}

impl Layout {
    fn path(self, kind: &str, n: usize, name: &str) -> String {
        match self {
            Self::Flat => format!("{kind}/{name}.yaml"),
            Self::Folders => format!("{kind}/{:03}/{name}.yaml", n / FOLDER),
        }
    }
}

/// Path and document of a user of the big repo.
pub(crate) fn user(n: usize, edition: usize) -> Result<(String, String)> {
    let shape = Shape {
        size: 0,
        layout: Layout::Flat,
        staff: false,
    };
    shape.user(n, edition)
}

fn user_name(n: usize) -> Result<Name> {
    Ok(format!("user-{n:05}").parse()?)
}

fn machine_name(n: usize) -> String {
    format!("machine-{n:05}")
}

/// Path and document of the role [`STAFF`], whose permissions differ between an even edition and an odd one.
fn staff(edition: usize) -> Result<(String, String)> {
    let permissions = match edition.is_multiple_of(2) {
        true => &["logs:read", "machines:read"][..],
        false => &["logs:read"],
    };
    let permissions: Vec<Permission> = permissions
        .iter()
        .map(|permission| permission.parse())
        .collect::<Result<_, _>>()?;
    let text = scaffold::role(&STAFF.parse()?, &permissions);
    Ok((format!("roles/{STAFF}.yaml"), text))
}

/// Document and sealed value.
fn machine(n: usize, recipients: &BTreeSet<Recipient>) -> Result<(String, String)> {
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
    Ok((text, armored))
}
