//! `banyan signing-key rotate`.

use banyan_api::v1;

use super::show;
use crate::args::OutputArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};

/// Sign tokens with a new key
///
/// It signs once whoever verifies tokens has had time to fetch it; the old key is accepted until the last token that it
/// signed has expired. Nobody notices.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Accept no other key from now on: all sessions end. For when others may know a key
    #[arg(long)]
    revoke: bool,
    #[command(flatten)]
    output: OutputArgs,
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
            .note("all sessions have ended, yours too: everybody has to log in again");
    }
    show(answer, &args.output, context)
}
