//! `banyan user set-role`.

use banyan_api::v1;
use banyan_core::Name;

use super::show;
use crate::args::{TableArgs, name};
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};

/// Replace the roles of a user
///
/// You cannot grant permissions that you do not hold. For a user that git declares, change the user's document instead.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan user set-role bob viewer deployer")]
pub(crate) struct Args {
    /// The user's name
    #[arg(value_parser = name)]
    name: Name,
    /// All roles that the user will have
    #[arg(value_name = "ROLE", required = true, value_parser = name)]
    roles: Vec<Name>,
    #[command(flatten)]
    table: TableArgs,
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
    show(user, &args.table, context)
}
