//! The initial content of a trial: keys, a repo with demo users and machines, a password for pushing over HTTP.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use banyan_core::{Kind, MachineType, Name, Recipient, SecretText};
use banyan_manifest::scaffold::{self, NewKey, NewMachine};
use banyan_manifest::{Identities, PUBLIC_KEY, Payload, recipients_digest, seal};
use banyan_wireguard::PrivateKey;

use super::git;
use crate::Failure;
use crate::private_file::{make_private_dir, write_secret};

macro_rules! example {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../examples/cluster-repo/", $path)))),*]
    };
}

/// The example's users and roles, copied unchanged. Keys are generated.
const PEOPLE: &[(&str, &str)] = example![
    ".banyanignore",
    "roles/on-call.yaml",
    "users/admins.yaml",
    "users/dana.yaml",
    "users/kim.yaml",
    "users/victor.yaml",
];

/// The example's machines.
const MACHINES: &[(&str, MachineType)] = &[
    ("alice-laptop", MachineType::Cli),
    ("db-1", MachineType::Agent),
    ("gateway", MachineType::Agent),
    ("web-1", MachineType::Agent),
];

/// The directory of a trial and its content.
pub(super) struct Trial {
    pub(super) dir: PathBuf,
    /// The bare repo to push to.
    pub(super) repo: PathBuf,
    pub(super) engine_identity: PathBuf,
    /// The password for pushing over HTTP.
    pub(super) password: SecretText,
    /// The directory with the private keys of the demo machines.
    pub(super) machine_keys: PathBuf,
    /// Whether the user's git makes clones in a format that `banyan` cannot read yet, unless told otherwise.
    pub(super) clones_need_files: bool,
}

impl Trial {
    /// Opens the trial in a directory, or creates it.
    pub(super) async fn prepare(dir: &Path) -> Result<Self, Failure> {
        let keys = dir.join("keys");
        let trial = Self {
            dir: dir.to_owned(),
            repo: dir.join("cluster.git"),
            engine_identity: keys.join("engine-identity.txt"),
            password: password(&dir.join("password"))?,
            machine_keys: keys.join("machines"),
            clones_need_files: git::makes_reftables(&dir.join("probe.git")).await,
        };
        make_private_dir(&trial.machine_keys)?;
        if !trial.repo.exists() {
            trial.seed(&keys).await?;
        }
        Ok(trial)
    }

    /// Creates keys and repo. The repo is moved into place last, so that an interrupted setup starts over.
    async fn seed(&self, keys: &Path) -> Result<(), Failure> {
        let engine = identity(&self.engine_identity)?;
        let operator = identity(&keys.join("operator-identity.txt"))?;
        let recipients = vec![
            (engine, "the engine".to_owned()),
            (operator, "you".to_owned()),
        ];
        let draft = self.dir.join("draft");
        let _ = std::fs::remove_dir_all(&draft);
        let work = draft.join("work");
        self.write_files(&work, &recipients)?;
        git::run(&work, &["init", "--quiet", "--initial-branch=main", "."]).await?;
        git::commit(&work, "Start with a small team").await?;
        let bare = draft.join("cluster.git");
        git::run(
            &self.dir,
            &[
                "clone",
                "--quiet",
                "--bare",
                "--no-hardlinks",
                &text(&work),
                &text(&bare),
            ],
        )
        .await?;
        git::run(&bare, &["remote", "remove", "origin"]).await?;
        let doing = "put the trial's repo into place";
        std::fs::rename(&bare, &self.repo).map_err(|e| Failure::setup(doing, e))?;
        std::fs::remove_dir_all(&draft).map_err(|e| Failure::setup(doing, e))
    }

    fn write_files(&self, work: &Path, recipients: &[(Recipient, String)]) -> Result<(), Failure> {
        let cluster = scaffold::cluster(&demo_name("trial")?, recipients, true);
        write(&work.join("cluster.yaml"), &cluster)?;
        for (path, content) in PEOPLE {
            write(&work.join(path), content)?;
        }
        let recipients: BTreeSet<Recipient> = recipients.iter().map(|(r, _)| r.clone()).collect();
        for (name, machine_type) in MACHINES {
            let document = self.machine(name, *machine_type, &recipients)?;
            write(&work.join(format!("machines/{name}.yaml")), &document)?;
        }
        Ok(())
    }

    /// A new machine: saves its private key in the trial's directory and returns its document.
    pub(super) fn machine(
        &self,
        name: &str,
        machine_type: MachineType,
        recipients: &BTreeSet<Recipient>,
    ) -> Result<String, Failure> {
        let name = demo_name(name)?;
        let doing = || format!("create the demo machine {name}");
        let key = PrivateKey::generate().map_err(|e| Failure::setup(doing(), e))?;
        let kept = self.machine_keys.join(format!("{name}.key"));
        let _ = std::fs::remove_file(&kept);
        write_secret(&kept, &key.to_base64()).map_err(|e| Failure::setup(doing(), e))?;
        let payload = Payload {
            kind: Kind::Machine,
            name: name.clone(),
            field: PUBLIC_KEY.to_owned(),
            recipients: recipients_digest(recipients),
            value: SecretText::new(key.public_key().to_string()),
        };
        let sealed = seal(&payload, recipients).map_err(|e| Failure::setup(doing(), e))?;
        Ok(scaffold::machine(&NewMachine {
            name,
            machine_type,
            key: NewKey::Sealed(sealed),
            endpoint: None,
            mesh_address: None,
            routes: Vec::new(),
        }))
    }

    /// The recipients the trial's repo seals for.
    pub(super) fn recipients(&self) -> Result<BTreeSet<Recipient>, Failure> {
        let mut recipients = BTreeSet::new();
        for file in ["engine-identity.txt", "operator-identity.txt"] {
            recipients.insert(identity(&self.dir.join("keys").join(file))?);
        }
        Ok(recipients)
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn demo_name(name: &str) -> Result<Name, Failure> {
    name.parse()
        .map_err(|e| Failure::setup(format!("name a demo object {name}"), e))
}

fn write(path: &Path, content: &str) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(path);
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(path, content));
    written.map_err(|error| Failure::setup(format!("write {}", path.display()), error))
}

/// The recipient of the identity in a file, which is created if missing.
fn identity(path: &Path) -> Result<Recipient, Failure> {
    let doing = || format!("use the age identity {}", path.display());
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let text = SecretText::new(text);
            let identities =
                Identities::from_text(text.expose()).map_err(|e| Failure::setup(doing(), e))?;
            let first = identities.recipients().first().cloned();
            first.ok_or_else(|| Failure::setup(doing(), "it contains no identity"))
        }
        Err(_) => {
            let (_, secret, recipient) = Identities::generate();
            write_secret(path, secret.expose()).map_err(|e| Failure::setup(doing(), e))?;
            Ok(recipient)
        }
    }
}

/// The password in a file, which is created if missing.
fn password(path: &Path) -> Result<SecretText, Failure> {
    let doing = || format!("use the password {}", path.display());
    if let Ok(text) = std::fs::read_to_string(path) {
        return Ok(SecretText::new(text.trim().to_owned()));
    }
    let mut bytes = [0; 15];
    getrandom::fill(&mut bytes).map_err(|e| Failure::setup(doing(), e))?;
    let text = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, bytes);
    write_secret(path, &text).map_err(|e| Failure::setup(doing(), e))?;
    Ok(SecretText::new(text))
}
