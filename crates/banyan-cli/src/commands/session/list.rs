//! `banyan session list`.

use banyan_api::v1;
use banyan_core::Name;
use jiff::Timestamp;
use serde::Serialize;

use super::Session;
use crate::args::OutputArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::ui::{Table, moment};

/// List your sessions, or those of others
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Those of a user
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    user: Option<Name>,
    /// Those of everybody
    #[arg(long)]
    all: bool,
    /// Those that have ended, too
    #[arg(long)]
    ended: bool,
    #[command(flatten)]
    output: OutputArgs,
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
        // This host has no sessions of its own, so what it can mean is all.
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
    context.ui.show(args.output.output, &sessions, |paint| {
        sessions.table(context.now).text(paint)
    })?;
    Ok(Exit::Done)
}

impl Sessions {
    fn table(&self, now: Timestamp) -> Table {
        let head = [
            "ID",
            "USER",
            "CREATED",
            "REFRESHED",
            "EXPIRES",
            "FROM",
            "STATUS",
        ];
        let mut table = Table::new(&head);
        let shown = |at: Option<Timestamp>| at.map(|at| moment(at, now)).unwrap_or_default();
        for session in &self.sessions {
            table.row([
                session.id.clone(),
                session.user.clone(),
                shown(session.created),
                shown(session.refreshed),
                shown(session.expires),
                session.via.clone().unwrap_or_default(),
                session.status(now),
            ]);
        }
        table
    }
}
