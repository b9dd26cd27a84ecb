//! `banyan role list`.

use banyan_api::v1;
use serde::Serialize;

use crate::args::OutputArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::shape::Origin;
use crate::ui::Table;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let answer = engine.call("list the roles", SOON, |client| async move {
        client.roles().list_roles(v1::ListRolesRequest {}).await
    })?;
    let roles = Roles {
        generation: answer.generation,
        roles: answer.roles.into_iter().map(Role::new).collect(),
    };
    context.ui.show(args.output.output, &roles, |paint| {
        roles.table().text(paint)
    })?;
    Ok(Exit::Done)
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Roles {
    generation: u64,
    roles: Vec<Role>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Role {
    name: String,
    permissions: Vec<String>,
    holders: Vec<String>,
    origin: Origin,
}

impl Role {
    fn new(role: v1::Role) -> Self {
        Self {
            origin: Origin::new(role.origin.as_ref()),
            name: role.name,
            permissions: role.permissions,
            holders: role.holders,
        }
    }
}

impl Roles {
    fn table(&self) -> Table {
        let mut table = Table::new(&["NAME", "PERMISSIONS", "HOLDERS", "ORIGIN"]);
        for role in &self.roles {
            table.row([
                role.name.clone(),
                role.permissions.join(", "),
                role.holders.join(", "),
                role.origin.place(),
            ]);
        }
        table
    }
}
