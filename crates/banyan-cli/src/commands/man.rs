//! `banyan man`: man pages from the definition of the command line.

use std::fs;
use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::error::{Exit, Failure};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  banyan man | man -l -\n  banyan man /usr/local/share/man/man1"
)]
pub(crate) struct Args {
    /// A folder for the pages of all commands; without it, the page of `banyan` itself is printed
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, program: clap::Command, context: &Context) -> Result<Exit, Failure> {
    match &args.dir {
        Some(dir) => write(program, dir)?,
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(program)
                .render(&mut page)
                .map_err(|e| Failure::refused("cannot make the man page").because(&e))?;
            context.ui.data(&String::from_utf8_lossy(&page))?;
        }
    }
    Ok(Exit::Done)
}

fn write(program: clap::Command, dir: &Path) -> Result<(), Failure> {
    fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(program, dir))
        .map_err(|error| {
            let what = format!("cannot write man pages to {}", dir.display());
            Failure::refused(what).because(&error)
        })
}
