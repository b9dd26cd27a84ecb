//! `banyan signing-key list`.

use banyan_api::v1;

use super::show;
use crate::args::TableArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};

/// List the keys whose tokens are accepted, the signing one first
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan signing-key list")]
pub(crate) struct Args {
    #[command(flatten)]
    table: TableArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let answer = engine.call("list the signing keys", SOON, |client| async move {
        let request = v1::ListSigningKeysRequest {};
        client.signing_keys().list_signing_keys(request).await
    })?;
    show(answer, &args.table, context)
}
