//! `banyan user show`.

use std::collections::BTreeMap;

use banyan_api::v1;
use banyan_core::Name;
use jiff::Timestamp;
use serde::Serialize;

use super::User;
use crate::args::{OutputArgs, name};
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::shape::{self, Origin};
use crate::ui::{Lines, Paint, moment, past_moment};

/// Show one user: state, roles, permissions and which role gives each, login, sessions
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan user show alice")]
pub(crate) struct Args {
    /// The user's name
    #[arg(value_parser = name)]
    name: Name,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let what = format!("show user {}", args.name);
    let shown = engine.call(&what, SOON, |client| {
        let name = args.name.to_string();
        async move { client.users().get_user(v1::GetUserRequest { name }).await }
    })?;
    let shown = Shown::new(shown);
    context.ui.show(args.output.output, &shown, |paint| {
        shown.text(context.now, paint)
    })?;
    Ok(Exit::Done)
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    generation: u64,
    #[serde(flatten)]
    user: User,
    grants: Vec<Grant>,
    permissions: Vec<Permission>,
    password: Option<Password>,
    code: Option<Code>,
    last_refreshed: Option<Timestamp>,
    last_via: Option<String>,
    hidden: Vec<Hidden>,
}

/// What a role gives.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Grant {
    role: String,
    permissions: Vec<String>,
    /// Nothing where no such role is in force.
    origin: Option<Origin>,
}

/// A permission, and the roles that give it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Permission {
    permission: String,
    by_roles: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Password {
    from: String,
    set: Option<Timestamp>,
}

/// A one-time code that is open.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Code {
    expires: Option<Timestamp>,
    by: String,
}

/// What the caller may not read.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Hidden {
    what: String,
    permission: String,
}

impl Shown {
    fn new(shown: v1::GetUserResponse) -> Self {
        let grants: Vec<Grant> = shown.grants.into_iter().map(Grant::new).collect();
        Self {
            generation: shown.generation,
            user: User::new(shown.user.unwrap_or_default()),
            permissions: permissions(&grants),
            grants,
            password: shown.password.map(|password| Password {
                set: shape::at(password.set.as_ref()),
                from: password.from,
            }),
            code: shown.code.map(|code| Code {
                expires: shape::at(code.expires.as_ref()),
                by: code.by,
            }),
            last_refreshed: shape::at(shown.last_refreshed.as_ref()),
            last_via: shape::some(shown.last_via),
            hidden: (shown.hidden.into_iter())
                .map(|hidden| Hidden {
                    what: hidden.what,
                    permission: hidden.permission,
                })
                .collect(),
        }
    }

    fn text(&self, now: Timestamp, paint: Paint) -> String {
        let mut lines = Lines::new(12, paint);
        let user = &self.user;
        lines.add("user", &user.name);
        lines.add("origin", &user.origin.long());
        lines.maybe("email", user.email.as_deref());
        lines.add("status", &self.status(now));
        let since = user.since.map(|at| past_moment(at, now));
        lines.maybe("changed", since.as_deref());
        lines.maybe("created", self.created(now).as_deref());
        lines.add("login", &self.login(now));
        lines.add("sessions", &self.sessions(now));
        for grant in &self.grants {
            lines.add("role", &grant.text());
        }
        if self.grants.is_empty() {
            lines.add("role", "none");
        }
        let label = match user.state.as_str() {
            "active" => "permission",
            _ => "would permit",
        };
        let width = self.permissions.iter().map(|p| p.permission.len()).max();
        for permission in &self.permissions {
            let (width, by) = (width.unwrap_or(0), permission.by_roles.join(", "));
            lines.add(label, &format!("{:width$}  by {by}", permission.permission));
        }
        lines.text()
    }

    /// The state with everything that bears on it: a locked user may be disabled and have expired as well.
    fn status(&self, now: Timestamp) -> String {
        let user = &self.user;
        let mut parts = Vec::new();
        match user.state.as_str() {
            "disabled" | "expired" => {}
            "locked" => parts.push(self.lock(now)),
            other => parts.push(other.to_owned()),
        }
        if user.disabled {
            parts.push("disabled".to_owned());
        }
        match user.expires {
            Some(at) if at <= now => parts.push(format!("expired {}", past_moment(at, now))),
            Some(at) => parts.push(format!("expires {}", moment(at, now))),
            None => {}
        }
        parts.join("; ")
    }

    fn lock(&self, now: Timestamp) -> String {
        let user = &self.user;
        let by = user.locked_by.as_ref().map(|by| format!(" by {by}"));
        let at = user
            .locked_at
            .map(|at| format!(" {}", past_moment(at, now)));
        let reason = user.lock_reason.as_ref().map(|why| format!(": {why}"));
        let parts = [by, at, reason].into_iter().flatten();
        std::iter::once("locked".to_owned()).chain(parts).collect()
    }

    fn created(&self, now: Timestamp) -> Option<String> {
        let at = self.user.created.map(|at| past_moment(at, now))?;
        Some(match &self.user.created_by {
            Some(by) => format!("{at} by {by}"),
            None => at,
        })
    }

    /// How the user can log in.
    fn login(&self, now: Timestamp) -> String {
        let password = self.password.as_ref().map(|password| match password.set {
            Some(at) => format!("password set {}", past_moment(at, now)),
            None => "password hash in git".to_owned(),
        });
        let code = self.code.as_ref().map(|code| {
            let until = code
                .expires
                .map(|at| format!(", expires {}", moment(at, now)));
            let until = until.unwrap_or_default();
            format!("one-time code open, made by {}{until}", code.by)
        });
        let ways: Vec<String> = [password, code].into_iter().flatten().collect();
        match ways.is_empty() {
            true => format!(
                "not possible: no password and no open one-time code; `banyan user enroll {}` makes one",
                self.user.name
            ),
            false => ways.join("; "),
        }
    }

    fn sessions(&self, now: Timestamp) -> String {
        let live = self.user.sessions;
        let hidden = self.hidden.iter().find(|hidden| hidden.what == "sessions");
        if let Some(hidden) = hidden {
            let takes = &hidden.permission;
            return format!("{live} live; last use not shown, which takes the permission {takes}");
        }
        match (self.last_refreshed, &self.last_via) {
            (Some(at), Some(via)) => {
                let last = past_moment(at, now);
                format!("{live} live, last refreshed {last} from {via}")
            }
            _ => format!("{live} live"),
        }
    }
}

impl Grant {
    fn new(grant: v1::Grant) -> Self {
        Self {
            role: grant.role,
            permissions: grant.permissions,
            origin: grant.origin.map(|origin| Origin::new(Some(&origin))),
        }
    }

    fn text(&self) -> String {
        match &self.origin {
            Some(origin) => format!("{}, {}", self.role, origin.long()),
            None => format!(
                "{}, which no document declares: it permits nothing",
                self.role
            ),
        }
    }
}

/// All permissions that roles give, by name.
fn permissions(grants: &[Grant]) -> Vec<Permission> {
    let mut all: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for grant in grants {
        for permission in &grant.permissions {
            all.entry(permission).or_default().push(grant.role.clone());
        }
    }
    let all = all.into_iter().map(|(permission, by_roles)| Permission {
        permission: permission.to_owned(),
        by_roles,
    });
    all.collect()
}
