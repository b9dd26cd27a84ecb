//! `banyan role list`.

use banyan_api::v1;
use serde::Serialize;

use crate::args::TableArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::shape::Origin;
use crate::ui::{Layout, Table};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan role list")]
pub(crate) struct Args {
    #[command(flatten)]
    table: TableArgs,
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
    let now = context.now;
    context
        .ui
        .show_table(&args.table, &roles, now, |layout| roles.table(layout))?;
    Ok(Exit::Done)
}

/// How many holders of a role a table names without `--wide`.
const NAMED: usize = 3;

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
    fn table(&self, layout: Layout) -> Table {
        let table = Table::new(&["NAME", "PERMISSIONS", "HOLDERS", "ORIGIN"]);
        let mut table = table.wrapping(&["PERMISSIONS", "HOLDERS"]);
        for role in &self.roles {
            table.row([
                role.name.clone(),
                role.permissions.join(", "),
                match layout.wide {
                    true => role.holders.join(", "),
                    false => first(&role.holders),
                },
                role.origin.place(),
            ]);
        }
        table
    }
}

/// The first holders, and how many more there are: a role may have very many.
fn first(holders: &[String]) -> String {
    let named: Vec<&str> = holders.iter().take(NAMED).map(String::as_str).collect();
    let named = named.join(", ");
    match holders.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
