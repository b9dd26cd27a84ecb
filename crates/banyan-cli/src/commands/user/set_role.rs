//! `banyan user set-role`.

use banyan_api::v1;
use banyan_core::Name;

use super::show;
use crate::args::OutputArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};

/// Replace the roles of a user
///
/// What the new ones give beyond the present ones may be no more than you may do. The roles of a user that git declares
/// are changed there.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The user's name
    name: Name,
    /// All roles that the user has from now on
    #[arg(value_name = "ROLE", required = true)]
    roles: Vec<Name>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let what = format!("set the roles of user {}", args.name);
    let user = engine.call(&what, SOON, |client| {
        let request = v1::SetRolesRequest {
            name: args.name.to_string(),
            roles: args.roles.iter().map(Name::to_string).collect(),
        };
        async move { client.users().set_roles(request).await }
    })?;
    show(user, &args.output, context)
}
