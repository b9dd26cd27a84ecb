//! `banyan gitops sync`: requests a pass.

use banyan_api::v1;

use super::status::Status;
use crate::args::OutputArgs;
use crate::context::Context;
use crate::engine::{SOON, WORK};
use crate::error::{Exit, Failure};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan gitops sync --wait")]
pub(crate) struct Args {
    /// Wait until the pass is done; exit code 1 if the newest commit is refused or cannot be read
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let request = v1::SyncRequest { wait: args.wait };
    let within = if args.wait { WORK } else { SOON };
    let status = engine.call("sync", within, |client| async move {
        client.gitops().sync(request).await
    })?;
    let shape = Status::new(&status);
    if !args.wait {
        context
            .ui
            .note("a pass is requested; `--wait` waits for its result");
    }
    context.ui.show(args.output.output, &shape, |paint| {
        shape.text(context.now, paint)
    })?;
    let bad = shape.is_refused() || shape.has_failed();
    Ok(if args.wait && bad {
        Exit::Refused
    } else {
        Exit::Done
    })
}
