//! `banyan user add`.

use banyan_api::{timestamp, v1};
use banyan_core::{Name, SecretText};
use jiff::Timestamp;
use serde::Serialize;

use super::enrolment::Enrolment;
use super::{User, table};
use crate::args::{TableArgs, name};
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::prompt::Prompt;
use crate::secret_input;

/// Add a user that git does not declare
///
/// Asks for a password of at least 12 characters; with `--enroll` the user chooses one. You cannot grant permissions that
/// you do not hold.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  banyan user add bob --role deployer --enroll\n  banyan user add guest --expires 2030-12-31T23:59:59Z"
)]
pub(crate) struct Args {
    /// The user's name: 1 to 63 of a-z, 0-9 and -
    #[arg(value_parser = name)]
    name: Name,
    /// A role; may be repeated [default: viewer]
    #[arg(long, value_name = "ROLE", value_parser = name)]
    role: Vec<Name>,
    /// The user's email address
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// When access ends, like 2027-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires: Option<Timestamp>,
    /// Read the password from standard input
    #[arg(long, conflicts_with = "enroll")]
    password_stdin: bool,
    /// Make a one-time code with which the user sets a password
    #[arg(long)]
    enroll: bool,
    #[command(flatten)]
    table: TableArgs,
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Added {
    user: User,
    enrolment: Option<Enrolment>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let target = context.target()?;
    let engine = context.engine_at(&target)?;
    let password = password(args, context)?;
    let answer = engine.call(&format!("add user {}", args.name), SOON, |client| {
        let request = request(args, password.as_ref());
        async move { client.users().add_user(request).await }
    })?;
    let added = Added {
        user: User::new(answer.user.unwrap_or_default()),
        enrolment: answer.enrolment.map(Enrolment::new),
    };
    let layout = context.ui.layout(args.table.wide, context.now);
    context.ui.show(args.table.output.output, &added, |_| {
        let mut text = layout.text(&table([&added.user], layout));
        if let Some(enrolment) = &added.enrolment {
            text.push('\n');
            text.push_str(&enrolment.text(args.name.as_str(), &target, context.now));
        }
        text
    })?;
    Ok(Exit::Done)
}

/// The password; `None` if a code is made instead.
fn password(args: &Args, context: &Context) -> Result<Option<SecretText>, Failure> {
    if args.enroll {
        return Ok(None);
    }
    if args.password_stdin {
        let [password] = secret_input::passwords()?;
        return Ok(Some(password));
    }
    let prompt = Prompt::open(
        "a password",
        "`--password-stdin`, or let the user choose one with `--enroll`",
    )?;
    context
        .ui
        .note("with `--enroll` the user chooses the password, with a one-time code");
    prompt
        .new_secret(&format!("Password for {}", args.name))
        .map(Some)
}

fn request(args: &Args, password: Option<&SecretText>) -> v1::AddUserRequest {
    v1::AddUserRequest {
        name: args.name.to_string(),
        email: args.email.clone().unwrap_or_default(),
        roles: args.role.iter().map(Name::to_string).collect(),
        password: password.map(|p| p.expose().to_owned()).unwrap_or_default(),
        expires: args.expires.map(timestamp),
    }
}
