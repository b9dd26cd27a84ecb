//! `banyan user list`.

use banyan_api::v1;
use serde::Serialize;

use super::{User, table};
use crate::args::TableArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  banyan user list\n  banyan user list --output json")]
pub(crate) struct Args {
    #[command(flatten)]
    table: TableArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let answer = engine.call("list the users", SOON, |client| async move {
        client.users().list_users(v1::ListUsersRequest {}).await
    })?;
    let users = Users {
        generation: answer.generation,
        users: answer.users.into_iter().map(User::new).collect(),
    };
    context
        .ui
        .show_table(&args.table, &users, context.now, |layout| {
            table(&users.users, layout)
        })?;
    Ok(Exit::Done)
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Users {
    generation: u64,
    users: Vec<User>,
}
