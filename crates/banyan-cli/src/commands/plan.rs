//! `banyan plan`: what a tree would change, compared with the live engine or between two revisions.

mod live;
mod offline;

use std::path::PathBuf;

use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::ui::{Paint, harmless};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  banyan plan\n  banyan plan --from main --to HEAD --detailed-exitcode"
)]
pub(crate) struct Args {
    /// A folder, or a revision of the current git repository; a folder takes precedence
    #[arg(value_name = "DIR|REV", default_value = ".", conflicts_with_all = ["from", "to"])]
    target: String,
    /// Without an engine: the old revision
    #[arg(long, value_name = "REV", requires = "to")]
    from: Option<String>,
    /// Without an engine: the new revision
    #[arg(long, value_name = "REV", requires = "from")]
    to: Option<String>,
    /// The git repository of the revisions
    #[arg(long, value_name = "DIR", default_value = ".")]
    repo: PathBuf,
    /// The folder of the cluster repo in the git repository
    #[arg(long, value_name = "PATH")]
    subdir: Option<String>,
    /// With --from: a file with identities that open sealed values; may be repeated
    #[arg(long, value_name = "FILE", requires = "from")]
    identity: Vec<PathBuf>,
    /// Exit with 10 if something would change, with 0 if nothing would
    #[arg(long)]
    detailed_exitcode: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let outcome = match (&args.from, &args.to) {
        (Some(from), Some(to)) => offline::run(args, from, to, context)?,
        _ => live::run(args, context)?,
    };
    let Outcome::Planned { text, changes } = outcome else {
        return Ok(Exit::Refused);
    };
    context.ui.data(&decorated(&text, context.ui.paint()))?;
    Ok(match changes && args.detailed_exitcode {
        true => Exit::Changes,
        false => Exit::Done,
    })
}

/// The outcome of planning.
enum Outcome {
    Planned {
        text: String,
        changes: bool,
    },
    /// Refused; the reasons were printed.
    Refused,
}

fn decorated(text: &str, paint: Paint) -> String {
    let mut out = String::new();
    for line in harmless(text).lines() {
        out.push_str(&match line.get(..2) {
            Some("+ ") => paint.green(line),
            Some("- ") => paint.red(line),
            Some("~ ") => paint.yellow(line),
            _ => line.to_owned(),
        });
        out.push('\n');
    }
    out
}
