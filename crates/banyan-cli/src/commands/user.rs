//! `banyan user …`.

use banyan_api::v1;
use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use crate::args::OutputArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::shape::{self, Origin};
use crate::ui::{Table, moment};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the users
    List(ListArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(command: &Command, context: &Context) -> Result<Exit, Failure> {
    let Command::List(args) = command;
    let engine = context.engine()?;
    let mut users = engine.client().users();
    let answer = engine.wait("list the users", SOON, async move {
        users.list_users(v1::ListUsersRequest {}).await
    })?;
    let users = Users {
        generation: answer.generation,
        users: answer.users.into_iter().map(User::new).collect(),
    };
    context.ui.show(args.output.output, &users, |paint| {
        users.table(context.now).text(paint)
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

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct User {
    name: String,
    email: Option<String>,
    roles: Vec<String>,
    state: String,
    origin: Origin,
    since: Option<Timestamp>,
    expires: Option<Timestamp>,
}

impl User {
    fn new(user: v1::User) -> Self {
        Self {
            name: user.name,
            email: shape::some(user.email),
            roles: user.roles,
            state: user.state,
            origin: Origin::new(user.origin.as_ref()),
            since: shape::at(user.since.as_ref()),
            expires: shape::at(user.expires.as_ref()),
        }
    }
}

impl Users {
    fn table(&self, now: Timestamp) -> Table {
        let mut table = Table::new(&["USERNAME", "ROLES", "SINCE", "STATUS", "ORIGIN"]);
        for user in &self.users {
            table.row([
                user.name.clone(),
                user.roles.join(", "),
                user.since.map(|at| moment(at, now)).unwrap_or_default(),
                user.state.clone(),
                user.origin.place(),
            ]);
        }
        table
    }
}
