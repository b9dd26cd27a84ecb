//! `banyan role permissions`.

use banyan_api::v1;
use serde::Serialize;

use crate::args::TableArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::ui::Table;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan role permissions")]
pub(crate) struct Args {
    #[command(flatten)]
    table: TableArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let answer = engine.call("list the permissions", SOON, |client| async move {
        client
            .roles()
            .list_permissions(v1::ListPermissionsRequest {})
            .await
    })?;
    let permission = |permission: v1::Permission| Permission {
        name: permission.name,
        allows: permission.allows,
    };
    let permissions = Permissions {
        permissions: answer.permissions.into_iter().map(permission).collect(),
    };
    let now = context.now;
    context
        .ui
        .show_table(&args.table, &permissions, now, |_| permissions.table())?;
    Ok(Exit::Done)
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Permissions {
    permissions: Vec<Permission>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Permission {
    name: String,
    allows: String,
}

impl Permissions {
    fn table(&self) -> Table {
        let mut table = Table::new(&["PERMISSION", "ALLOWS TO"]).wrapping(&["ALLOWS TO"]);
        for permission in &self.permissions {
            table.row([permission.name.clone(), permission.allows.clone()]);
        }
        table
    }
}
