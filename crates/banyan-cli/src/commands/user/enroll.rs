//! `banyan user enroll`.

use banyan_api::v1;
use banyan_core::Name;
use serde::Serialize;

use super::enrolment::Enrolment;
use crate::args::OutputArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};

/// Make a one-time code with which a user sets a password
///
/// For a first password and for a forgotten one. An earlier code is good no more. What the user may do may be no more than
/// you may do.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The user's name
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
