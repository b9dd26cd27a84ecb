//! `banyan validate`: the engine's check, on a plain folder.

use std::path::{Component, Path, PathBuf};

use banyan_core::{Finding, any_error, sort_findings};
use banyan_manifest::render::{self, Report};
use banyan_manifest::{Loaded, Loader, Memory};
use banyan_repo::{Folder, load};
use clap::ValueEnum;

use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::{identity, report};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  banyan validate\n  banyan validate --output github")]
pub(crate) struct Args {
    /// The folder of the cluster repo
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Format of the findings
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
    /// A file with identities that open sealed values; may be repeated
    #[arg(long, value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// Treat every sealed value that was not opened as an error
    #[arg(long)]
    require_unseal: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
    Github,
    Sarif,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let identities = identity::read(&args.identity)?;
    let folder = Folder::list(&args.dir)?;
    let loaded = load(&Loader::new(identities), &Memory::default(), &folder);
    let (loaded, _) = loaded.map_err(|error| Failure::cannot_load(&args.dir, &error))?;
    if loaded.files == 0 && loaded.findings.is_empty() {
        return Err(nothing_there(&args.dir));
    }
    warn_about_left_out(&folder, context);
    let findings = judge(args, &loaded, context);
    let report = report::of(&loaded, &findings);
    context
        .ui
        .data(&rendered(args, &report, &folder, context))?;
    Ok(match any_error(&findings) {
        true => Exit::Refused,
        false => Exit::Done,
    })
}

fn judge(args: &Args, loaded: &Loaded, context: &Context) -> Vec<Finding> {
    let found = loaded.findings.clone();
    let mut findings = match loaded.catalog.check(found, context.now) {
        Ok(checked) => checked.warnings().to_vec(),
        Err(findings) => findings,
    };
    if args.require_unseal && loaded.closed > 0 {
        let message = format!("{} not opened", report::sealed_values_were(loaded.closed));
        findings.push(
            Finding::whole(&"".into(), "not-opened", message)
                .help("pass the identity of one of the Cluster's recipients with --identity"),
        );
        sort_findings(&mut findings);
    }
    findings
}

fn rendered(args: &Args, report: &Report<'_>, folder: &Folder, context: &Context) -> String {
    let prefix = prefix(&args.dir);
    match args.output {
        Format::Text => {
            let colour = context.ui.paint().is_on();
            render::text(report, &|path| folder.text(path), colour)
        }
        Format::Json => render::json(report),
        Format::Github => render::github(report, &prefix),
        Format::Sarif => render::sarif(report, env!("CARGO_PKG_VERSION"), &prefix),
    }
}

/// The path from the working directory to the folder, for tools that start there; empty if the folder is outside.
fn prefix(dir: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let dir = dir.strip_prefix(&here).unwrap_or(dir);
    let mut prefix = String::new();
    for part in dir.components() {
        match part {
            Component::Normal(name) => {
                prefix.push_str(&name.to_string_lossy());
                prefix.push('/');
            }
            Component::CurDir => {}
            _ => return String::new(),
        }
    }
    prefix
}

fn warn_about_left_out(folder: &Folder, context: &Context) {
    let document = |path: &&String| path.ends_with(".yaml") || path.ends_with(".yml");
    for path in folder.left_out().iter().filter(document) {
        context.ui.note(&format!(
            "{path} is skipped: it is a link, or its name is not UTF-8"
        ));
    }
}

fn nothing_there(dir: &Path) -> Failure {
    Failure::refused(format!("there is no document in {}", dir.display()))
        .reason("documents are *.yaml and *.yml files outside hidden folders")
        .hint("name the folder of a cluster repo; `banyan repo init` creates a new one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_leads_from_here_to_the_folder() {
        let here = std::env::current_dir().unwrap();
        for (dir, expect) in [
            (".", ""),
            ("./cluster/a", "cluster/a/"),
            ("cluster/", "cluster/"),
            ("../elsewhere", ""),
            ("/elsewhere", ""),
            (here.join("b").to_str().unwrap(), "b/"),
        ] {
            assert_eq!(prefix(Path::new(dir)), expect, "{dir}");
        }
    }
}
