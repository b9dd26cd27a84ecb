//! `banyan user enroll`.

use banyan_api::v1;
use banyan_core::Name;
use serde::Serialize;

use super::enrolment::Enrolment;
use crate::args::{OutputArgs, name};
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};

/// Make a one-time code with which a user sets a password
///
/// For a first password or a forgotten one. It replaces an earlier code. You cannot make a code for a user who holds
/// permissions that you do not hold.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan user enroll bob")]
pub(crate) struct Args {
    /// The user's name
    #[arg(value_parser = name)]
    name: Name,
    #[command(flatten)]
    output: OutputArgs,
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Enrolled {
    name: String,
    #[serde(flatten)]
    enrolment: Enrolment,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let target = context.target()?;
    let engine = context.engine_at(&target)?;
    let name = args.name.to_string();
    let enrolment = engine.call(&format!("enroll user {name}"), SOON, |client| {
        let name = name.clone();
        async move {
            client
                .users()
                .enroll_user(v1::EnrollUserRequest { name })
                .await
        }
    })?;
    let enrolled = Enrolled {
        name,
        enrolment: Enrolment::new(enrolment),
    };
    context.ui.show(args.output.output, &enrolled, |_| {
        let enrolment = &enrolled.enrolment;
        enrolment.text(&enrolled.name, &target, context.now)
    })?;
    Ok(Exit::Done)
}
