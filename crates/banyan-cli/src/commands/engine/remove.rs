//! `banyan engine remove`.

use banyan_api::v1;

use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};

/// Remove an engine that is gone for good
///
/// The engine must not be running. Once it is removed, a commit may take its recipient out of the Cluster document. An
/// engine that is started again joins again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan engine remove engine-2")]
pub(crate) struct Args {
    /// Its name, as `banyan engine list` shows it
    name: String,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let what = format!("remove engine {}", args.name);
    let name = &args.name;
    engine.call(&what, SOON, |client| {
        let request = v1::RemoveEngineRequest { name: name.clone() };
        async move { client.engine().remove_engine(request).await }
    })?;
    context.ui.say(&format!(
        "Engine {} is removed. Take its recipient out of the Cluster document, and seal again what it could open.",
        args.name
    ));
    Ok(Exit::Done)
}
