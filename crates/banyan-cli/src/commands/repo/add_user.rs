//! `banyan repo add-user`.

use std::path::PathBuf;

use banyan_core::{Kind, Name};
use banyan_manifest::scaffold::{self, NewUser};
use jiff::Timestamp;

use super::written;
use crate::args::name;
use crate::cluster_repo::ClusterRepo;
use crate::context::Context;
use crate::error::{Exit, Failure};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan repo add-user alice --role deployer")]
pub(crate) struct Args {
    /// The user's name
    #[arg(value_parser = name)]
    name: Name,
    /// A role of the user; may be repeated
    #[arg(long, value_name = "ROLE", default_value = "viewer", value_parser = name)]
    role: Vec<Name>,
    /// The user's email address
    #[arg(long)]
    email: Option<String>,
    /// When access ends, for example 2030-12-31T23:59:59Z
    #[arg(long, value_name = "TIME")]
    expires: Option<Timestamp>,
    /// The folder of the cluster repo
    #[arg(long, value_name = "DIR", default_value = ".")]
    repo: PathBuf,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let repo = ClusterRepo::open(&args.repo)?;
    // Without a cluster there is nothing to add a user to.
    repo.recipients()?;
    let text = scaffold::user(&NewUser {
        name: args.name.clone(),
        roles: args.role.clone(),
        email: args.email.clone(),
        expires: args.expires,
    });
    let path = repo.add(Kind::User, &args.name, &text, context.now)?;
    written(
        context,
        &args.repo,
        &path,
        &format!("users: add {}", args.name),
    )
}
