//! `banyan whoami`.

use banyan_api::v1;
use jiff::Timestamp;
use serde::Serialize;

use super::session::Session;
use crate::args::OutputArgs;
use crate::context::Context;
use crate::engine::{Engine, SOON};
use crate::error::{Exit, Failure};
use crate::shape::{self, Origin};
use crate::ui::{Lines, Paint, moment};

/// Show who you are to the engine, and your permissions
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan whoami")]
pub(crate) struct Args {
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let target = context.target()?;
    let engine = context.engine_at(&target)?;
    let identity = Identity::new(ask(&engine)?, target.to_string());
    context.ui.show(args.output.output, &identity, |paint| {
        identity.text(context.now, paint)
    })?;
    Ok(Exit::Done)
}

pub(crate) fn ask(engine: &Engine) -> Result<v1::Identity, Failure> {
    engine.call("ask who you are", SOON, |client| async move {
        client.auth().who_am_i(v1::WhoAmIRequest {}).await
    })
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    /// Address of the engine that answered.
    engine: String,
    kind: String,
    name: Option<String>,
    id: Option<String>,
    email: Option<String>,
    roles: Vec<String>,
    permissions: Vec<String>,
    origin: Option<Origin>,
    session: Option<Session>,
    token_expires: Option<Timestamp>,
}

impl Identity {
    fn new(identity: v1::Identity, engine: String) -> Self {
        Self {
            engine,
            kind: identity.kind,
            name: shape::some(identity.name),
            id: shape::some(identity.id),
            email: shape::some(identity.email),
            roles: identity.roles,
            permissions: identity.permissions,
            origin: identity.origin.map(|origin| Origin::new(Some(&origin))),
            session: identity.session.map(Session::new),
            token_expires: shape::at(identity.token_expires.as_ref()),
        }
    }

    fn text(&self, now: Timestamp, paint: Paint) -> String {
        let mut lines = Lines::new(11, paint);
        let mut line = |label: &str, value: &str| lines.add(label, value);
        match &self.name {
            Some(name) => line("user", name),
            None => line("user", "none: the host, over the engine's local socket"),
        }
        line("engine", &self.engine);
        if let Some(email) = &self.email {
            line("email", email);
        }
        if self.name.is_some() {
            line("roles", &self.roles.join(", "));
        }
        line("permissions", &self.permissions.join(", "));
        if let Some(origin) = &self.origin {
            line("origin", &origin.place());
        }
        if let Some(session) = &self.session {
            line("session", &session.line(now));
        }
        if let Some(expires) = self.token_expires {
            let expires = moment(expires, now);
            line(
                "token",
                &format!("expires {expires}; it is renewed by itself"),
            );
        }
        lines.text()
    }
}
