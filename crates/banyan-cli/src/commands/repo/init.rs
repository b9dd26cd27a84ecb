//! `banyan repo init`: creates a cluster repo that `banyan validate` accepts.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use banyan_core::{Name, Recipient};
use banyan_manifest::scaffold::{self, NewUser};

use crate::args::name;
use crate::cluster_repo::write_new;
use crate::commands::seal::recipient;
use crate::config;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::identity;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan repo init acorn --name acorn")]
pub(crate) struct Args {
    /// The folder of the new repo; it may exist, but must not contain a cluster
    dir: PathBuf,
    /// The name of the cluster
    #[arg(long, value_parser = name)]
    name: Name,
    /// A recipient that can open sealed values: the engine's, your own; may be repeated. Without one, a new identity is
    /// created for you
    #[arg(long, value_name = "RECIPIENT", value_parser = parse)]
    recipient: Vec<(Recipient, String)>,
    /// The name of the first user, who gets the role admin
    #[arg(long, value_name = "NAME", default_value = "admin", value_parser = name)]
    admin: Name,
    /// The file of the new identity [default: identities/<name>.txt beside your configuration]
    #[arg(long, value_name = "FILE", conflicts_with = "recipient")]
    identity_file: Option<PathBuf>,
}

/// A recipient, and the comment of an SSH key as a remark on its owner.
fn parse(text: &str) -> Result<(Recipient, String), String> {
    let remark: Vec<&str> = text.split_ascii_whitespace().skip(2).collect();
    Ok((recipient(text)?, remark.join(" ")))
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    refuse_existing(args)?;
    let recipients = recipients(args, context)?;
    for (path, text) in files(args, &recipients) {
        let file = args.dir.join(&path);
        write_new(&file, &text).map_err(|error| {
            Failure::refused(format!("cannot write {}", file.display())).because(&error)
        })?;
        context.ui.data(&format!("{}\n", file.display()))?;
    }
    let has_git = in_repository(&args.dir) || git_init(&args.dir);
    context.ui.say(&next_steps(&args.dir, has_git));
    Ok(Exit::Done)
}

const CLUSTER: &str = "cluster.yaml";
const IGNORE: &str = ".banyanignore";
const README: &str = "README.md";

fn admin_path(args: &Args) -> String {
    format!("users/{}.yaml", args.admin)
}

fn refuse_existing(args: &Args) -> Result<(), Failure> {
    let admin = admin_path(args);
    for path in [CLUSTER, IGNORE, README, &admin] {
        let file = args.dir.join(path);
        if file.symlink_metadata().is_ok() {
            return Err(Failure::refused(format!("{} exists already", file.display()))
                .hint("choose a new or empty folder; `banyan repo add-user` and `add-machine` extend a repo"));
        }
    }
    Ok(())
}

fn recipients(args: &Args, context: &Context) -> Result<Vec<(Recipient, String)>, Failure> {
    if !args.recipient.is_empty() {
        return Ok(args.recipient.clone());
    }
    let path = match (&args.identity_file, config::own_folder()) {
        (Some(path), _) => path.clone(),
        (None, Some(folder)) => folder.join(format!("identities/{}.txt", args.name)),
        (None, None) => {
            return Err(
                Failure::refused("there is no home folder for a new identity")
                    .hint("pass a path with --identity-file, or a recipient with --recipient"),
            );
        }
    };
    let recipient = identity::create(&path, context.now)?;
    let ui = &context.ui;
    ui.say(&format!(
        "Your new identity is in {}. Keep it safe and out of git: it opens sealed values.",
        path.display()
    ));
    ui.say(
        "Before an engine can follow the repo, add the engine's recipient to cluster.yaml, and seal existing values again.",
    );
    Ok(vec![(recipient, "operator".to_owned())])
}

fn files(args: &Args, recipients: &[(Recipient, String)]) -> Vec<(String, String)> {
    let admin = scaffold::user(&NewUser {
        name: args.admin.clone(),
        roles: "admin".parse().into_iter().collect(),
        email: None,
        expires: None,
    });
    vec![
        (
            CLUSTER.to_owned(),
            scaffold::cluster(&args.name, recipients, true),
        ),
        (admin_path(args), admin),
        (IGNORE.to_owned(), IGNORE_TEXT.to_owned()),
        (README.to_owned(), readme(&args.name)),
    ]
}

const IGNORE_TEXT: &str = "\
# YAML files that are not documents of this cluster, one pattern a line, as in .gitignore:
# charts/
";

fn readme(name: &Name) -> String {
    format!(
        "# {name}

Who may do what, and which machines are on the private network. A commit that is pushed here comes into force as a whole, or not
at all.

    banyan repo add-user alice --role deployer
    banyan repo add-machine worker-1 --public-key \"$(wg pubkey < private.key)\"
    banyan validate
    banyan plan

`cluster.yaml` describes the network as a whole; `users/` and `machines/` contain one document per file. Public keys are sealed
with age for the recipients that `cluster.yaml` names; `banyan seal` seals a value.
"
    )
}

/// Whether a folder is already in a git repository.
fn in_repository(dir: &Path) -> bool {
    // One that cannot be read is a repository, too.
    !matches!(
        banyan_git::Repo::discover(dir),
        Err(banyan_git::GitError::NotARepository { .. })
    )
}

/// Makes the folder a git repository, if the program `git` is available.
fn git_init(dir: &Path) -> bool {
    let status = Command::new("git")
        .args(["init", "--quiet", "--initial-branch=main", "--"])
        .arg(dir)
        // The user's default may be a format of references that cannot be read yet.
        .env("GIT_DEFAULT_REF_FORMAT", "files")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

fn next_steps(dir: &Path, has_git: bool) -> String {
    let dir = super::word(dir);
    let init = match has_git {
        true => String::new(),
        false => format!("  GIT_DEFAULT_REF_FORMAT=files git init -b main {dir}\n"),
    };
    format!(
        "Next:\n  banyan validate {dir}\n{init}  git -C {dir} add --all\n  git -C {dir} commit -m 'cluster: start'\n  git -C {dir} push -u ORIGIN main"
    )
}
