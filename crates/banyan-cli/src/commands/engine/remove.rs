//! `banyan engine remove`.

use banyan_api::v1;

use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};

/// Remove an engine that is gone for good
///
/// It must not run. A commit may then take its recipient out of the Cluster, which is refused as long as it belongs to
/// the cluster. An engine that is started again belongs to it again.
#[derive(Debug, clap::Args)]
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
        "Engine {} is removed. Its recipient may go from the Cluster; seal anew what it was able to open.",
        args.name
    ));
    Ok(Exit::Done)
}
