//! `banyan user …`.

mod add;
mod disable;
mod enable;
mod enroll;
mod enrolment;
mod list;
mod lock;
mod remove;
mod set_role;
mod unlock;

use banyan_api::v1;
use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use crate::args::OutputArgs;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::shape::{self, Origin};
use crate::ui::{Table, moment};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the users
    List(list::Args),
    Add(add::Args),
    SetRole(set_role::Args),
    Disable(disable::Args),
    Enable(enable::Args),
    Lock(lock::Args),
    Unlock(unlock::Args),
    Enroll(enroll::Args),
    Remove(remove::Args),
}

pub(crate) fn run(command: &Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::List(args) => list::run(args, context),
        Command::Add(args) => add::run(args, context),
        Command::SetRole(args) => set_role::run(args, context),
        Command::Disable(args) => disable::run(args, context),
        Command::Enable(args) => enable::run(args, context),
        Command::Lock(args) => lock::run(args, context),
        Command::Unlock(args) => unlock::run(args, context),
        Command::Enroll(args) => enroll::run(args, context),
        Command::Remove(args) => remove::run(args, context),
    }
}

/// The stable shape.
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
    id: Option<String>,
    created: Option<Timestamp>,
    created_by: Option<String>,
    /// How the user could log in.
    login: Option<String>,
    lock_reason: Option<String>,
    /// How many sessions are live.
    sessions: u32,
}

impl User {
    fn new(user: v1::User) -> Self {
        Self {
            origin: Origin::new(user.origin.as_ref()),
            since: shape::at(user.since.as_ref()),
            expires: shape::at(user.expires.as_ref()),
            created: shape::at(user.created.as_ref()),
            name: user.name,
            email: shape::some(user.email),
            roles: user.roles,
            state: user.state,
            id: shape::some(user.id),
            created_by: shape::some(user.created_by),
            login: shape::some(user.login),
            lock_reason: shape::some(user.lock_reason),
            sessions: user.sessions,
        }
    }
}

fn table<'a>(users: impl IntoIterator<Item = &'a User>, now: Timestamp) -> Table {
    let head = [
        "USERNAME",
        "ROLE",
        "CREATED",
        "CREATED BY",
        "STATUS",
        "ORIGIN",
    ];
    let mut table = Table::new(&head);
    for user in users {
        table.row([
            user.name.clone(),
            user.roles.join(", "),
            user.created.map(|at| moment(at, now)).unwrap_or_default(),
            user.created_by.clone().unwrap_or_default(),
            user.state.clone(),
            user.origin.place(),
        ]);
    }
    table
}

/// Shows a user after a change.
fn show(user: v1::User, output: &OutputArgs, context: &Context) -> Result<Exit, Failure> {
    let user = User::new(user);
    context.ui.show(output.output, &user, |paint| {
        table([&user], context.now).text(paint)
    })?;
    Ok(Exit::Done)
}
