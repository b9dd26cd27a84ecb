//! `banyan user disable`.

use banyan_api::v1;
use banyan_core::Name;

use super::show;
use crate::args::OutputArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};

/// Switch a user off; their logins end
///
/// For a user that git declares, set `disabled: true` there.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The user's name
    name: Name,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let user = engine.call(&format!("disable user {}", args.name), SOON, |client| {
        let name = args.name.to_string();
        async move {
            client
                .users()
                .disable_user(v1::DisableUserRequest { name })
                .await
        }
    })?;
    show(user, &args.output, context)
}
