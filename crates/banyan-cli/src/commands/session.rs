//! `banyan session …`: who is logged in.

mod list;
mod revoke;

use banyan_api::v1;
use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::shape;
use crate::ui::{Layout, moment, past_moment};

#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  banyan session list")]
pub(crate) enum Command {
    List(list::Args),
    Revoke(revoke::Args),
}

pub(crate) fn run(command: &Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::List(args) => list::run(args, context),
        Command::Revoke(args) => revoke::run(args, context),
    }
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session {
    id: String,
    user: String,
    created: Option<Timestamp>,
    refreshed: Option<Timestamp>,
    expires: Option<Timestamp>,
    /// Where it was last refreshed from.
    via: Option<String>,
    /// `active` or `ended`.
    state: &'static str,
    ended: Option<Timestamp>,
    ended_because: Option<String>,
    /// Whether the call is made with it.
    current: bool,
}

impl Session {
    pub(crate) fn new(session: v1::Session) -> Self {
        Self {
            created: shape::at(session.created.as_ref()),
            refreshed: shape::at(session.refreshed.as_ref()),
            expires: shape::at(session.expires.as_ref()),
            ended: shape::at(session.ended.as_ref()),
            state: if session.ended.is_some() {
                "ended"
            } else {
                "active"
            },
            id: session.id,
            user: session.user,
            via: shape::some(session.via),
            ended_because: shape::some(session.ended_because),
            current: session.current,
        }
    }

    /// The session in a line, for its owner.
    pub(crate) fn line(&self, now: Timestamp) -> String {
        let since = self
            .created
            .map(|at| format!(", since {}", past_moment(at, now)));
        let expires = self
            .expires
            .map(|at| format!(", until {}", moment(at, now)));
        let (since, expires) = (since.unwrap_or_default(), expires.unwrap_or_default());
        format!("{}{since}{expires}", self.id)
    }

    fn status(&self, layout: Layout) -> String {
        match (self.ended, self.current) {
            (Some(at), _) => {
                let why = self.ended_because.as_deref();
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                format!("ended {}{why}", layout.past(Some(at)))
            }
            (None, true) => "this one".to_owned(),
            (None, false) => self.state.to_owned(),
        }
    }
}
