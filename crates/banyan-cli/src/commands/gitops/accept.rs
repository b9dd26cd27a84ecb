//! `banyan gitops accept`: accepts rewritten history, an old commit, or what follows a restored backup.

use banyan_api::v1;

use super::status::{Status, ask};
use crate::args::OutputArgs;
use crate::context::Context;
use crate::engine::WORK;
use crate::error::{Exit, Failure};

/// Accept a commit that does not descend from the one in force
///
/// For a branch whose history was rewritten on purpose, for a branch that was reset, and after a backup was restored.
/// First find out who pushed it, and check with `banyan plan` what it takes back. The commit must be the branch's head or
/// in its history. Guards apply as for any commit.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan gitops accept 0123456789ab")]
pub(crate) struct Args {
    /// The commit: 12 or more digits of its id, as `banyan gitops status` shows it
    #[arg(value_name = "COMMIT", value_parser = commit)]
    commit: String,
    #[command(flatten)]
    output: OutputArgs,
}

/// Refuses what cannot be a commit id without asking the engine.
fn commit(text: &str) -> Result<String, String> {
    let fits = (12..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    match fits {
        true => Ok(text.to_owned()),
        false => Err("a commit is named by 12 to 64 hexadecimal digits".to_owned()),
    }
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let before = ask(&engine)?.generation;
    let request = v1::AcceptRequest {
        commit: args.commit.clone(),
    };
    let what = format!("accept commit {}", args.commit);
    let status = engine.call(&what, WORK, |client| {
        let request = request.clone();
        async move { client.gitops().accept(request).await }
    })?;
    let shape = Status::new(&status);
    context.ui.note(&outcome(&shape, before));
    context.ui.show(args.output.output, &shape, |paint| {
        shape.text(context.now, paint)
    })?;
    let bad = shape.is_refused() || shape.has_failed();
    Ok(if bad { Exit::Refused } else { Exit::Done })
}

/// The outcome in a sentence.
fn outcome(after: &Status, before: u64) -> String {
    if after.is_refused() {
        return "the commit is accepted, but the branch's head is refused because of the findings below"
            .to_owned();
    }
    if after.has_failed() {
        return "the commit is accepted, and comes into force once the repo can be read".to_owned();
    }
    match after.generation() {
        now if now == before => {
            format!("the commit is accepted; generation {now} is in force as before")
        }
        now => format!("the commit is accepted; generation {now} is in force after {before}"),
    }
}
