//! `banyan doctor`: finds what is wrong, and says what to do about it.

mod check;

use serde::Serialize;

use crate::args::OutputArgs;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::ui::{Paint, harmless};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan doctor")]
pub(crate) struct Args {
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let checks = Checks {
        checks: check::all(context),
    };
    context
        .ui
        .show(args.output.output, &checks, |paint| checks.text(paint))?;
    let failed = checks.checks.iter().any(|c| c.result == Grade::Fail);
    Ok(if failed { Exit::Refused } else { Exit::Done })
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Checks {
    checks: Vec<Check>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Grade {
    Ok,
    Warn,
    Fail,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    check: &'static str,
    result: Grade,
    detail: String,
    help: Option<String>,
}

impl Checks {
    fn text(&self, paint: Paint) -> String {
        let mut text = String::new();
        for check in &self.checks {
            let grade = match check.result {
                Grade::Ok => paint.green("ok  "),
                Grade::Warn => paint.yellow("warn"),
                Grade::Fail => paint.red("fail"),
            };
            let line = format!("{:10} {}", check.check, harmless(&check.detail));
            text.push_str(&format!("{grade}  {line}\n"));
            if let Some(help) = &check.help {
                text.push_str(&format!("      {:10} try: {}\n", "", harmless(help)));
            }
        }
        text
    }
}
