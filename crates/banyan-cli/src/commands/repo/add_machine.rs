//! `banyan repo add-machine`.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use banyan_core::{Endpoint, Kind, MachineType, Name, PublicKey};
use banyan_manifest::scaffold::{self, NewKey, NewMachine};
use clap::ValueEnum;
use ipnet::IpNet;

use super::written;
use crate::args::name;
use crate::cluster_repo::ClusterRepo;
use crate::commands::seal::sealed_key;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::secret_input;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  banyan repo add-machine web-1 --public-key \"$(wg pubkey < private.key)\""
)]
pub(crate) struct Args {
    /// The machine's name
    #[arg(value_parser = name)]
    name: Name,
    /// The machine's WireGuard public key as `wg pubkey` prints it, or - to read it from standard input
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    public_key: String,
    /// What runs on the machine
    #[arg(long = "type", value_enum, default_value_t, value_name = "TYPE")]
    machine_type: TypeArg,
    /// Where the machine can be reached, as host:port
    #[arg(long)]
    endpoint: Option<Endpoint>,
    /// A fixed address in the mesh
    #[arg(long, value_name = "IP")]
    mesh_address: Option<Ipv4Addr>,
    /// A subnet behind the machine; may be repeated
    #[arg(long, value_name = "CIDR")]
    route: Vec<IpNet>,
    /// The folder of the cluster repo
    #[arg(long, value_name = "DIR", default_value = ".")]
    repo: PathBuf,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum TypeArg {
    /// A node with an agent
    #[default]
    Agent,
    /// A person's computer
    Cli,
}

impl From<TypeArg> for MachineType {
    fn from(argument: TypeArg) -> Self {
        match argument {
            TypeArg::Agent => Self::Agent,
            TypeArg::Cli => Self::Cli,
        }
    }
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let repo = ClusterRepo::open(&args.repo)?;
    let recipients = repo.recipients()?;
    let armored = sealed_key(&args.name, &key(args)?, &recipients)?;
    let text = scaffold::machine(&NewMachine {
        name: args.name.clone(),
        machine_type: args.machine_type.into(),
        key: NewKey::Sealed(armored),
        endpoint: args.endpoint.clone(),
        mesh_address: args.mesh_address,
        routes: args.route.clone(),
    });
    let path = repo.add(Kind::Machine, &args.name, &text, context.now)?;
    let message = format!("machines: add {}", args.name);
    written(context, &args.repo, &path, &message)
}

fn key(args: &Args) -> Result<PublicKey, Failure> {
    let parsed = match args.public_key.as_str() {
        "-" => secret_input::read(None)?.expose().parse::<PublicKey>(),
        key => key.parse(),
    };
    parsed.map_err(|error| {
        Failure::refused(format!(
            "this cannot be the public key of machine {}",
            args.name
        ))
        .because(&error)
        .hint("use the line that `wg pubkey` prints")
    })
}
