//! `banyan explain`: where an object comes from, since when, and what it implies.

use std::fmt::Write as _;

use banyan_api::v1;
use banyan_core::{Kind, Name};
use jiff::Timestamp;
use serde::Serialize;

use super::schema::KindArg;
use crate::args::OutputArgs;
use crate::context::Context;
use crate::engine::SOON;
use crate::error::{Exit, Failure};
use crate::shape::{self, Origin};
use crate::ui::{Paint, harmless, moment};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The kind of the object
    #[arg(value_enum, ignore_case = true)]
    kind: KindArg,
    /// The name of the object
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
}

impl Explanation {
    fn text(&self, now: Timestamp, paint: Paint) -> String {
        let head = paint.bold(&harmless(&format!("{} {}", self.kind, self.name)));
        let mut text = format!("{head}: {}\n", harmless(&self.state));
        let mut line = |sentence: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {}", harmless(sentence));
        };
        line(&self.origin.sentence());
        if let Some(since) = self.since {
            line(&format!(
                "is as it is since {}, generation {}",
                moment(since, now),
                self.generation
            ));
        }
        for implied in &self.implies {
            line(implied);
        }
        text
    }
}
