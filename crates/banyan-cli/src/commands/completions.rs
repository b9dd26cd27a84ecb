//! `banyan completions`: completions from the definition of the command line.

use clap_complete::Shell;

use crate::context::Context;
use crate::error::{Exit, Failure};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan completions bash > /etc/bash_completion.d/banyan")]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(
    args: &Args,
    program: &mut clap::Command,
    context: &Context,
) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, program, "banyan", &mut script);
    context.ui.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
