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
mod show;
mod unlock;

use banyan_api::v1;
use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use crate::args::TableArgs;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::shape::{self, Origin};
use crate::ui::{Layout, Table};

#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  banyan user list")]
pub(crate) enum Command {
    /// List the users
    List(list::Args),
    Show(show::Args),
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
        Command::Show(args) => show::run(args, context),
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
    /// `active`, `disabled`, `locked` or `expired`.
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
    locked_at: Option<Timestamp>,
    locked_by: Option<String>,
    /// Whether the user is disabled, locked or not.
    disabled: bool,
}

impl User {
    fn new(user: v1::User) -> Self {
        Self {
            origin: Origin::new(user.origin.as_ref()),
            since: shape::at(user.since.as_ref()),
            expires: shape::at(user.expires.as_ref()),
            created: shape::at(user.created.as_ref()),
            locked_at: shape::at(user.locked_at.as_ref()),
            name: user.name,
            email: shape::some(user.email),
            roles: user.roles,
            state: user.state,
            id: shape::some(user.id),
            created_by: shape::some(user.created_by),
            login: shape::some(user.login),
            lock_reason: shape::some(user.lock_reason),
            sessions: user.sessions,
            locked_by: shape::some(user.locked_by),
            disabled: user.disabled,
        }
    }
}

fn table<'a>(users: impl IntoIterator<Item = &'a User>, layout: Layout) -> Table {
    let head = [
        "USERNAME",
        "ROLE",
        "CREATED",
        "CREATED BY",
        "STATUS",
        "ORIGIN",
    ];
    let mut table = Table::new(&head).wrapping(&["ROLE"]);
    for user in users {
        let created_by = user.created_by.as_deref().unwrap_or_default();
        table.row([
            user.name.clone(),
            user.roles.join(", "),
            layout.past(user.created),
            match layout.wide {
                true => created_by.to_owned(),
                false => shape::without_address(created_by),
            },
            shape::status(&user.state, user.expires, user.locked_at, layout),
            user.origin.place(),
        ]);
    }
    table
}

/// Shows a user after a change.
fn show(user: v1::User, args: &TableArgs, context: &Context) -> Result<Exit, Failure> {
    let user = User::new(user);
    context
        .ui
        .show_table(args, &user, context.now, |layout| table([&user], layout))?;
    Ok(Exit::Done)
}
