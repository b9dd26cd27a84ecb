//! `banyan can-i`.

use banyan_api::v1;
use banyan_core::Permission;
use serde::Serialize;

use crate::args::OutputArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};

/// Ask whether you hold a permission
///
/// Exits with 0 if you do and with 5 if you do not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan can-i users:write")]
pub(crate) struct Args {
    /// `resource:action`, `resource:*` or `*`, as `banyan role permissions` lists them
    permission: Permission,
    #[command(flatten)]
    output: OutputArgs,
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    permission: String,
    allowed: bool,
    by_roles: Vec<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let permission = args.permission.to_string();
    let answer = engine.call("ask what you may do", SOON, |client| {
        let permission = permission.clone();
        async move {
            let request = v1::CanIRequest { permission };
            client.auth().can_i(request).await
        }
    })?;
    let answer = Answer {
        permission,
        allowed: answer.allowed,
        by_roles: answer.by_roles,
    };
    context
        .ui
        .show(args.output.output, &answer, |_| answer.text())?;
    Ok(match answer.allowed {
        true => Exit::Done,
        false => Exit::NotPermitted,
    })
}

impl Answer {
    fn text(&self) -> String {
        let roles = self.by_roles.join(", ");
        let roles = crate::ui::harmless(&roles);
        match (self.allowed, self.by_roles.as_slice()) {
            (false, _) => "no\n".to_owned(),
            (true, []) => "yes\n".to_owned(),
            (true, [_]) => format!("yes, by role {roles}\n"),
            (true, _) => format!("yes, by roles {roles}\n"),
        }
    }
}
