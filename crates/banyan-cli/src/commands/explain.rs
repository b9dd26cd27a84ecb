//! `banyan explain`: where an object comes from, when it changed, and what it implies.

use banyan_api::v1;
use banyan_core::{Kind, Name};
use jiff::Timestamp;
use serde::Serialize;

use super::schema::KindArg;
use crate::args::{OutputArgs, name};
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::shape::{self, Origin};
use crate::ui::{Paint, harmless, moment, past_moment};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  banyan explain user alice\n  banyan explain role viewer")]
pub(crate) struct Args {
    /// The kind of the object
    #[arg(value_enum, ignore_case = true)]
    kind: KindArg,
    /// The name of the object
    #[arg(value_parser = name)]
    name: Name,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let kind = Kind::from(args.kind);
    let request = v1::ExplainRequest {
        kind: kind.as_str().to_owned(),
        name: args.name.to_string(),
    };
    let what = format!("explain {kind} {}", args.name);
    let answer = engine.call(&what, SOON, |client| {
        let request = request.clone();
        async move { client.gitops().explain(request).await }
    })?;
    let explanation = Explanation {
        origin: Origin::new(answer.origin.as_ref()),
        since: shape::at(answer.since.as_ref()),
        expires: shape::at(answer.expires.as_ref()),
        locked_at: shape::at(answer.locked_at.as_ref()),
        locked_by: shape::some(answer.locked_by),
        lock_reason: shape::some(answer.lock_reason),
        kind: answer.kind,
        name: answer.name,
        generation: answer.generation,
        state: answer.state,
        implies: answer.implies,
    };
    context.ui.show(args.output.output, &explanation, |paint| {
        explanation.text(context.now, paint)
    })?;
    Ok(Exit::Done)
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation {
    kind: String,
    name: String,
    state: String,
    origin: Origin,
    generation: u64,
    since: Option<Timestamp>,
    implies: Vec<String>,
    expires: Option<Timestamp>,
    locked_at: Option<Timestamp>,
    locked_by: Option<String>,
    lock_reason: Option<String>,
}

impl Explanation {
    fn text(&self, now: Timestamp, paint: Paint) -> String {
        let head = paint.bold(&harmless(&format!("{} {}", self.kind, self.name)));
        let mut text = format!("{head}: {}\n", harmless(&self.state(now)));
        let mut line = |sentence: &str| text.push_str(&format!("  {}\n", harmless(sentence)));
        line(&self.origin.sentence());
        if let Some(since) = self.since {
            line(&format!(
                "last changed {}, generation {}",
                past_moment(since, now),
                self.generation
            ));
        }
        for implied in &self.implies {
            line(implied);
        }
        text
    }

    fn state(&self, now: Timestamp) -> String {
        match (self.state.as_str(), self.expires, self.locked_at) {
            ("locked", _, Some(at)) => {
                let by = self.locked_by.as_deref().unwrap_or("an unknown user");
                let why = self.lock_reason.as_ref().map(|why| format!(": {why}"));
                let why = why.unwrap_or_default();
                format!("locked by {by} {}{why}", past_moment(at, now))
            }
            ("expired", Some(at), _) => format!("expired {}", past_moment(at, now)),
            ("active", Some(at), _) => format!("active, expires {}", moment(at, now)),
            (state, ..) => state.replace('-', " "),
        }
    }
}
