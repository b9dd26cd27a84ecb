//! `banyan seal`: seals a value as an armored age file for the recipients of a cluster.

use std::collections::BTreeSet;
use std::path::PathBuf;

use banyan_core::{BlobId, FileMap, Kind, MachineType, Name, PublicKey, Recipient, SecretText};
use banyan_manifest::scaffold::{self, NewKey, NewMachine, NewUser};
use banyan_manifest::{Identities, Loader, PASSWORD_HASH, PUBLIC_KEY, Payload, parse_recipient};
use clap::ValueEnum;

use crate::args::name;
use crate::cluster_repo::ClusterRepo;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::secret_input;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  wg pubkey < private.key | banyan seal --kind machine --name web-1"
)]
pub(crate) struct Args {
    /// The kind of the document that the value is for
    #[arg(long, value_enum)]
    kind: SealedKind,
    /// The name of the document that the value is for
    #[arg(long, value_parser = name)]
    name: Name,
    /// The field that the value is for [default: publicKey of a machine, passwordHash of a user]
    #[arg(long, value_enum)]
    field: Option<SealedField>,
    /// A file with the value [default: standard input]
    #[arg(long, value_name = "FILE")]
    value_file: Option<PathBuf>,
    /// The folder of the cluster repo, whose Cluster names the recipients
    #[arg(long, value_name = "DIR", default_value = ".")]
    repo: PathBuf,
    /// Seal for this recipient instead of the Cluster's; may be repeated
    #[arg(long, value_name = "RECIPIENT", value_parser = recipient)]
    recipient: Vec<Recipient>,
    /// Print the lines for the manifest instead of the bare armored text
    #[arg(long)]
    manifest: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SealedKind {
    Machine,
    User,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SealedField {
    #[value(name = "publicKey")]
    PublicKey,
    #[value(name = "passwordHash")]
    PasswordHash,
}

/// Parses a recipient.
pub(crate) fn recipient(text: &str) -> Result<Recipient, String> {
    parse_recipient(text).map_err(|error| error.to_string())
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let (kind, field) = target(args)?;
    let recipients = match args.recipient.is_empty() {
        true => ClusterRepo::open(&args.repo)?.recipients()?,
        false => args.recipient.iter().cloned().collect(),
    };
    let value = secret_input::read(args.value_file.as_deref())?;
    judge(kind, &args.name, &value)?;
    let armored = sealed(kind, &args.name, field, value, &recipients)?;
    context.ui.data(&match args.manifest {
        true => format!("  {field}:\n{}", scaffold::sealed_block(&armored, 4)),
        false => format!("{}\n", armored.trim_end()),
    })?;
    Ok(Exit::Done)
}

fn target(args: &Args) -> Result<(Kind, &'static str), Failure> {
    let wrong = |field: &str, kind: &str| {
        Err(
            Failure::usage(format!("a {kind} has no field {field} that can be sealed"))
                .hint("leave out --field: each kind has one such field"),
        )
    };
    match (args.kind, args.field) {
        (SealedKind::Machine, None | Some(SealedField::PublicKey)) => {
            Ok((Kind::Machine, PUBLIC_KEY))
        }
        (SealedKind::User, None | Some(SealedField::PasswordHash)) => {
            Ok((Kind::User, PASSWORD_HASH))
        }
        (SealedKind::Machine, Some(_)) => wrong(PASSWORD_HASH, "machine"),
        (SealedKind::User, Some(_)) => wrong(PUBLIC_KEY, "user"),
    }
}

/// Seals a value for recipients.
pub(crate) fn sealed(
    kind: Kind,
    name: &Name,
    field: &str,
    value: SecretText,
    recipients: &BTreeSet<Recipient>,
) -> Result<String, Failure> {
    let payload = Payload::new(kind, name.clone(), field, value, recipients);
    banyan_manifest::seal(&payload, recipients).map_err(|error| {
        Failure::refused(format!("cannot seal the {field} of {kind} {name}")).because(&error)
    })
}

/// Refuses a value that `banyan validate` would refuse once it is opened: the same loader checks it, in a document that is
/// sealed for a temporary key.
fn judge(kind: Kind, name: &Name, value: &SecretText) -> Result<(), Failure> {
    let (identities, _, own) = Identities::generate();
    let own = BTreeSet::from([own]);
    let (field, empty) = match kind {
        Kind::User => (PASSWORD_HASH, user(name)),
        _ => (PUBLIC_KEY, String::new()),
    };
    let armored = sealed(kind, name, field, value.clone(), &own)?;
    let document = match kind {
        Kind::User => format!("{empty}  {field}:\n{}", scaffold::sealed_block(&armored, 4)),
        _ => machine(name, armored),
    };
    let files = FileMap::unit("value.yaml".into(), BlobId::from_sha1([0; 20]));
    let read = |_: &str, _| Ok(document.as_bytes().to_vec());
    let loaded = Loader::new(Some(identities)).load_once(&files, &read);
    let findings = loaded.map(|loaded| loaded.findings).unwrap_or_default();
    let Some(finding) = findings.into_iter().next() else {
        return Ok(());
    };
    let failure = Failure::refused(format!("this cannot be the {field} of {kind} {name}"))
        .reason(finding.message);
    Err(match finding.help {
        Some(help) => failure.hint(help),
        None => failure,
    })
}

fn user(name: &Name) -> String {
    scaffold::user(&NewUser {
        name: name.clone(),
        roles: Vec::new(),
        email: None,
        expires: None,
    })
}

fn machine(name: &Name, armored: String) -> String {
    scaffold::machine(&NewMachine {
        name: name.clone(),
        machine_type: MachineType::Agent,
        key: NewKey::Sealed(armored),
        endpoint: None,
        mesh_address: None,
        routes: Vec::new(),
    })
}

/// Seals a machine's key.
pub(crate) fn sealed_key(
    name: &Name,
    key: &PublicKey,
    recipients: &BTreeSet<Recipient>,
) -> Result<String, Failure> {
    let value = SecretText::new(key.to_string());
    sealed(Kind::Machine, name, PUBLIC_KEY, value, recipients)
}
