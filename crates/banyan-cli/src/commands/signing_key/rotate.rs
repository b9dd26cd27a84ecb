//! `banyan signing-key rotate`.

use banyan_api::v1;

use super::show;
use crate::args::TableArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};

/// Sign tokens with a new key
///
/// The new key signs once all verifiers have had time to fetch it. The old key is accepted until the last token that it
/// signed has expired, so nobody has to log in again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan signing-key rotate")]
pub(crate) struct Args {
    /// Accept no other key from now on: all sessions end. For when a key may have leaked
    #[arg(long)]
    revoke: bool,
    #[command(flatten)]
    table: TableArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let revoke = args.revoke;
    let answer = engine.call("rotate the signing key", SOON, |client| async move {
        let request = v1::RotateSigningKeyRequest { revoke };
        client.signing_keys().rotate_signing_key(request).await
    })?;
    if revoke {
        context
            .ui
            .note("all sessions have ended, including yours: all users have to log in again");
    }
    show(answer, &args.table, context)
}
