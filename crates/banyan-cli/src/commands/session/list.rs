//! `banyan session list`.

use banyan_api::v1;
use banyan_core::Name;
use serde::Serialize;

use super::Session;
use crate::args::{TableArgs, name};
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::ui::{Layout, Table};

/// List your sessions, or those of others
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  banyan session list\n  banyan session list --user alice --ended"
)]
pub(crate) struct Args {
    /// The sessions of this user
    #[arg(long, value_name = "NAME", value_parser = name, conflicts_with = "all")]
    user: Option<Name>,
    /// The sessions of all users
    #[arg(long)]
    all: bool,
    /// Include sessions that have ended
    #[arg(long)]
    ended: bool,
    #[command(flatten)]
    table: TableArgs,
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sessions {
    sessions: Vec<Session>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let request = v1::ListSessionsRequest {
        user: args.user.as_ref().map(Name::to_string).unwrap_or_default(),
        // The host has no sessions of its own, so it can only mean all.
        all: args.all || (args.user.is_none() && engine.login().is_none()),
        ended: args.ended,
    };
    let answer = engine.call("list the sessions", SOON, |client| {
        let request = request.clone();
        async move { client.sessions().list_sessions(request).await }
    })?;
    let sessions = Sessions {
        sessions: answer.sessions.into_iter().map(Session::new).collect(),
    };
    let now = context.now;
    context
        .ui
        .show_table(&args.table, &sessions, now, |layout| sessions.table(layout))?;
    Ok(Exit::Done)
}

impl Sessions {
    fn table(&self, layout: Layout) -> Table {
        let head = [
            "ID",
            "USER",
            "CREATED",
            "REFRESHED",
            "EXPIRES",
            "FROM",
            "STATUS",
        ];
        let table = Table::new(&head).extra(&["CREATED", "EXPIRES"]);
        let mut table = table.whole(&["ID"]).wrapping(&["STATUS"]);
        for session in &self.sessions {
            table.row([
                session.id.clone(),
                session.user.clone(),
                layout.past(session.created),
                layout.past(session.refreshed),
                layout.moment(session.expires),
                session.via.clone().unwrap_or_default(),
                session.status(layout),
            ]);
        }
        table
    }
}
