//! `banyan schema`.

use banyan_core::Kind;
use clap::ValueEnum;

use crate::context::Context;
use crate::error::{Exit, Failure};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan schema machine")]
pub(crate) struct Args {
    /// The kind of document [default: all kinds]
    #[arg(value_enum, ignore_case = true)]
    kind: Option<KindArg>,
}

/// A kind on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    Cluster,
    Role,
    User,
    Machine,
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Cluster => Self::Cluster,
            KindArg::Role => Self::Role,
            KindArg::User => Self::User,
            KindArg::Machine => Self::Machine,
        }
    }
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let schema = match args.kind {
        Some(kind) => banyan_manifest::schema(kind.into()),
        None => banyan_manifest::any_schema(),
    };
    context.ui.data(&format!("{schema:#}\n"))?;
    Ok(Exit::Done)
}
