//! A cluster to test with: a repo with its own keys, and a real `banyan-engine run` on it, here or in a private host.
//!
//! Failures panic at the caller's line, with the engine's log. Knows nothing about the individual tests.

mod archives;
mod ask;
mod documents;
mod engines;
mod people;
mod process;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use banyan_api::v1::GitopsStatus;
use banyan_core::{PublicKey, Recipient, SecretText};
use banyan_manifest::Identities;
use banyan_testkit::etcd;
use banyan_testkit::git::TestRepo;
use banyan_testkit::netns::Host;
use banyan_wireguard::PrivateKey;
use tokio::runtime::Runtime;

pub(crate) use archives::Backup;
pub(crate) use documents::{machine_for, name, user};
pub(crate) use people::{LoggedIn, PASSWORD, denied, new_user, refused};
pub(crate) use process::{program, text};

/// The general time limit, on a loaded machine. Only failing tests wait that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How the cluster under test differs from the default one.
pub(crate) struct Options {
    /// Machines of the first commit, `m1` and on.
    pub(crate) machines: usize,
    /// Whether the first commit is made; without it the repo is empty.
    pub(crate) seed: bool,
    /// `engine.wireguard`.
    pub(crate) wireguard: &'static str,
    /// Where the engine runs.
    pub(crate) host: Host,
    /// The folder of the repo that is the cluster repo's root.
    pub(crate) subdir: Option<&'static str>,
    /// `engine.gitops.poll`: long, so that anything seen sooner was seen by the watcher.
    pub(crate) poll: &'static str,
    /// `engine.grpc_port` and `engine.metrics_port`; on a private host they are always free.
    pub(crate) ports: (u16, u16),
    /// More lines of section `engine:`.
    pub(crate) more: &'static str,
    /// `engine.wg_port`.
    pub(crate) wg_port: u16,
    /// `engine.store_backend`; on etcd, a server of the cluster's own is started.
    pub(crate) store: Store,
    /// `engine.name`.
    pub(crate) name: &'static str,
    /// `engine.etcd.endpoints`, where they are not the servers' own addresses.
    pub(crate) endpoints: Option<Vec<String>>,
    /// `engine.etcd.prefix`.
    pub(crate) prefix: &'static str,
    /// `RUST_LOG` of the engine.
    pub(crate) log: Option<&'static str>,
    /// The repo's object format.
    pub(crate) object_format: &'static str,
}

/// Where the engine keeps its state.
#[derive(Clone)]
pub(crate) enum Store {
    /// In a file.
    Embedded,
    /// In an etcd server of the cluster's own.
    Etcd,
    /// In etcd servers that are there.
    At(Servers),
}

/// Real etcd servers.
pub(crate) type Servers = Rc<RefCell<etcd::Cluster>>;

impl Options {
    /// The etcd servers for the state; starts them if they are the cluster's own.
    #[track_caller]
    fn servers(&self) -> Option<Servers> {
        match &self.store {
            Store::Embedded => None,
            Store::Etcd => {
                let servers = etcd::Options {
                    nodes: 1,
                    host: Some(self.host.clone()).filter(|host| !host.is_here()),
                    ..etcd::Options::default()
                };
                let servers = etcd::Cluster::with(&servers).unwrap();
                Some(Rc::new(RefCell::new(servers)))
            }
            Store::At(servers) => Some(Rc::clone(servers)),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            machines: 3,
            seed: true,
            wireguard: "none",
            host: Host::here(),
            subdir: None,
            poll: "1h",
            ports: (0, 0),
            more: "  http: {port: 0}\n",
            wg_port: 0,
            store: crate::STORE,
            name: "engine-1",
            endpoints: None,
            prefix: "banyan/",
            log: None,
            object_format: "sha1",
        }
    }
}

/// A repo, its keys, and an engine. Dropping it kills the engine and deletes the directories.
pub(crate) struct Cluster {
    pub(crate) repo: Rc<TestRepo>,
    /// The host of the engine's own files.
    place: PathBuf,
    pub(crate) servers: Option<Servers>,
    options: Options,
    identity: SecretText,
    recipients: BTreeSet<Recipient>,
    machine_keys: BTreeMap<String, PrivateKey>,
    engine_key: PrivateKey,
    engine: Option<Child>,
    runtime: Runtime,
}

impl Cluster {
    /// The ordinary cluster, its engine started and its first commit in force.
    #[track_caller]
    pub(crate) fn started() -> Self {
        Self::started_with(Options::default())
    }

    /// [`Self::started`] with differences.
    #[track_caller]
    pub(crate) fn started_with(options: Options) -> Self {
        let mut cluster = Self::new(options);
        cluster.start();
        cluster
    }

    /// A cluster without a running engine.
    #[track_caller]
    pub(crate) fn new(options: Options) -> Self {
        let (_, identity, recipient) = Identities::generate();
        let servers = options.servers();
        let repo = Rc::new(TestRepo::with_format(options.object_format).unwrap());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let mut cluster = Self {
            place: repo.dir().to_owned(),
            repo,
            servers,
            options,
            identity,
            recipients: BTreeSet::from([recipient]),
            machine_keys: BTreeMap::new(),
            engine_key: PrivateKey::generate().unwrap(),
            engine: None,
            runtime: runtime.unwrap(),
        };
        cluster.write_keys().unwrap();
        cluster.write_config().unwrap();
        if cluster.options.seed {
            cluster.seed();
        }
        cluster
    }

    /// Another engine on the same repo and store, with its own key; not started yet.
    #[track_caller]
    pub(crate) fn another(&self, name: &'static str, host: Host) -> Self {
        self.another_by(name, host, self.options.endpoints.clone())
    }

    /// Like [`Self::another`], with the store at these addresses.
    #[track_caller]
    pub(crate) fn another_by(
        &self,
        name: &'static str,
        host: Host,
        endpoints: Option<Vec<String>>,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let place = self.repo.dir().join(name);
        fs::create_dir(&place).unwrap();
        let another = Self {
            place,
            repo: Rc::clone(&self.repo),
            servers: self.servers.clone(),
            options: Options {
                host,
                name,
                seed: false,
                wireguard: self.options.wireguard,
                poll: self.options.poll,
                store: self.options.store.clone(),
                endpoints,
                prefix: self.options.prefix,
                ..Options::default()
            },
            identity: self.identity.clone(),
            recipients: self.recipients.clone(),
            machine_keys: BTreeMap::new(),
            engine_key: PrivateKey::generate().unwrap(),
            engine: None,
            runtime: runtime.unwrap(),
        };
        another.write_keys().unwrap();
        another.write_config().unwrap();
        another
    }

    /// Changes the configuration; a running engine does not see it. Etcd servers stay once started, and keep their
    /// names.
    #[track_caller]
    pub(crate) fn reconfigure(&mut self, change: impl FnOnce(&mut Options)) {
        change(&mut self.options);
        if self.servers.is_none() {
            self.servers = self.options.servers();
        }
        self.write_config().unwrap();
    }

    fn seed(&mut self) {
        self.write("cluster.yaml", &self.cluster_document());
        for (name, role) in [("alice", "admin"), ("bob", "admin"), ("victor", "viewer")] {
            self.write(&format!("users/{name}.yaml"), &user(name, &[role]));
        }
        for number in 1..=self.options.machines {
            let name = format!("m{number}");
            let document = self.new_machine(&name);
            self.write(&format!("machines/{name}.yaml"), &document);
        }
        self.push("Start");
    }

    /// All secrets of the cluster, as text: none of them may appear outside of its files.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let keys = self.machine_keys.values().chain([&self.engine_key]);
        let mut secrets: Vec<_> = keys.map(|key| key.to_base64().to_string()).collect();
        secrets.push(self.identity.expose().to_owned());
        secrets
    }

    /// The engine's public key.
    pub(crate) fn engine_key(&self) -> PublicKey {
        self.engine_key.public_key()
    }

    // The repo. Paths are relative to the cluster repo, whatever directory of the git repo that is.

    /// Writes a file and stages it.
    #[track_caller]
    pub(crate) fn write(&self, path: &str, content: &str) {
        self.repo.write(&self.in_repo(path), content).unwrap();
    }

    /// Removes a file or directory and stages that.
    #[track_caller]
    pub(crate) fn remove(&self, path: &str) {
        self.repo.remove(&self.in_repo(path)).unwrap();
    }

    /// The text of a file.
    #[track_caller]
    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.repo.work().join(self.in_repo(path))).unwrap()
    }

    /// Commits the staged changes and pushes; returns the commit.
    #[track_caller]
    pub(crate) fn push(&self, message: &str) -> String {
        let commit = self.repo.commit(&format!("{message}\n")).unwrap();
        self.repo.push().unwrap();
        commit
    }

    /// Commits and pushes the staged changes, and waits, without requesting a pass, until they are in force.
    #[track_caller]
    pub(crate) fn apply(&self, message: &str) -> GitopsStatus {
        let commit = self.push(message);
        let status = self.await_decision(&commit);
        assert_eq!(status.state, "in-force", "{status:#?}");
        status
    }

    fn in_repo(&self, path: &str) -> String {
        let subdir = self.options.subdir;
        subdir.map_or_else(|| path.to_owned(), |folder| format!("{folder}/{path}"))
    }

    // Paths.

    /// The directory that contains everything.
    pub(crate) fn dir(&self) -> &Path {
        &self.place
    }

    /// `engine.state_dir`.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.dir().join("state")
    }

    /// The local gRPC socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir().join("engine.sock")
    }

    /// The configuration file.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.dir().join("banyan.yaml")
    }

    fn log_file(&self) -> PathBuf {
        self.dir().join("engine.log")
    }

    /// The engine's whole log, of all its runs.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// The host the engine runs on.
    pub(crate) fn host(&self) -> &Host {
        &self.options.host
    }

    /// The store section of the configuration.
    fn store_config(&self) -> String {
        let Some(servers) = &self.servers else {
            return String::new();
        };
        let endpoints = self.options.endpoints.clone();
        let endpoints = endpoints.unwrap_or_else(|| servers.borrow().endpoints());
        let backend = match self.options.store {
            Store::Embedded => "embedded",
            Store::Etcd | Store::At(_) => "etcd",
        };
        let Options { name, prefix, .. } = &self.options;
        format!(
            "  name: {name}\n  store_backend: {backend}\n  \
             etcd:\n    endpoints: {endpoints:?}\n    prefix: {prefix}\n"
        )
    }

    /// A value that changes with every write to the store.
    #[track_caller]
    pub(crate) fn store_mark(&self) -> String {
        match self.servers.as_ref().filter(|_| self.is_on_etcd()) {
            Some(servers) => {
                let got = servers.borrow().done(&["get", "x", "--write-out=fields"]);
                let got = got.unwrap();
                let revision = got.lines().find(|line| line.contains("Revision"));
                revision.unwrap().to_owned()
            }
            None => {
                let file = fs::metadata(self.state_dir().join("store.redb"));
                format!("{:?}", file.unwrap().modified().unwrap())
            }
        }
    }

    /// Whether the configuration names etcd as the store.
    pub(crate) fn is_on_etcd(&self) -> bool {
        !matches!(self.options.store, Store::Embedded)
    }

    /// The files of the age identity and of the WireGuard key.
    fn key_files(&self) -> (PathBuf, PathBuf) {
        let keys = self.dir().join("keys");
        (keys.join("age.txt"), keys.join("wg_private_key"))
    }

    fn write_keys(&self) -> Result<()> {
        let (identity, key) = self.key_files();
        fs::DirBuilder::new()
            .mode(0o700)
            .create(self.dir().join("keys"))?;
        secret_file(&identity, self.identity.expose())?;
        secret_file(&key, &self.engine_key.to_base64())
    }

    fn write_config(&self) -> Result<()> {
        let (identity, key) = self.key_files();
        let options = &self.options;
        let subdir = options
            .subdir
            .map_or_else(String::new, |s| format!("    subdir: {s}\n"));
        let store = self.store_config();
        let text = format!(
            "engine:\n  state_dir: {}\n  socket: {}\n  grpc_port: {}\n  metrics_port: {}\n  wg_port: {}\n  wireguard: {}\n  \
             age_identity_file: {}\n  wg_private_key_file: {}\n  \
             gitops:\n    url: {}\n    poll: {}\n{subdir}{store}{}",
            self.state_dir().display(),
            self.socket().display(),
            options.ports.0,
            options.ports.1,
            options.wg_port,
            options.wireguard,
            identity.display(),
            key.display(),
            self.repo.path().display(),
            options.poll,
            options.more,
        );
        Ok(fs::write(self.config_file(), text)?)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut child) = self.engine.take() {
            let _gone = process::kill(&child, "KILL");
            let _status = child.wait();
        }
        if std::thread::panicking() {
            let name = self.options.name;
            eprintln!("--- the log of {name} ---\n{}---", self.log());
        }
    }
}

fn secret_file(path: &Path, content: &str) -> Result<()> {
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    Ok(file.write_all(content.as_bytes())?)
}
