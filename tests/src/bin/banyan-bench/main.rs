//! The benchmark: measures what the targets name, on repos that it generates, and says whether they are met.
//!
//! It builds nothing: `cargo xtask bench` builds engine, command line and this program in the same profile first. See
//! `docs/performance.md` for what each row means.

mod big_repo;
mod cold;
mod commit;
mod engine;
mod memory;
mod out;
mod peers;
mod place;
mod sample;
mod stages;
mod unchanged;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, ValueEnum};

use big_repo::BigRepo;
use out::{Report, Row};
use place::Place;

/// Measures Banyan against its targets.
#[derive(Parser)]
#[command(name = "banyan-bench", version, about)]
struct Arguments {
    /// Only these rows
    #[arg(long, value_delimiter = ',', value_enum, value_name = "ROW,…")]
    rows: Vec<Which>,
    /// A repo a twentieth of the size: for trying out, not for figures
    #[arg(long)]
    quick: bool,
    /// Write the figures to a file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// What is printed
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// A pass over an unchanged branch
    Unchanged,
    /// A commit of one file
    Commit,
    /// Reading everything for the first time
    Cold,
    /// `banyan validate --identity`
    Validate,
    /// The engine's memory
    Memory,
    /// Peers of a device
    Peers,
    /// Engines killed at random
    Killed,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            out::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: Arguments) -> Result<ExitCode> {
    let json = arguments.json.take().map(std::path::absolute).transpose()?;
    let place = match Place::enter()? {
        place::Entered::Inside(place) => place,
        place::Entered::Elsewhere(code) => return Ok(code),
    };
    let report = measure(&arguments, &place)?;
    if let Some(file) = &json {
        std::fs::write(file, report.json())?;
    }
    match arguments.output {
        Format::Text => out::print(&report.text()),
        Format::Json => out::print(&report.json()),
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(arguments: &Arguments, place: &Place) -> Result<Report> {
    let chosen: Vec<Which> = match arguments.rows.as_slice() {
        [] => Which::value_variants().to_vec(),
        rows => rows.to_vec(),
    };
    let size = if arguments.quick { 500 } else { 10_000 };
    let needs_repo = |which| !matches!(which, Which::Peers | Which::Killed);
    let mut repo = match chosen.iter().copied().any(needs_repo) {
        true => {
            out::progress(&format!(
                "making a repo of {size} users and {size} sealed machines"
            ));
            Some(BigRepo::make(size)?)
        }
        false => None,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let mut rows = Vec::new();
    for which in chosen {
        out::progress(&format!("measuring {which:?}"));
        rows.extend(match (which, &mut repo) {
            (Which::Peers, _) => runtime.block_on(peers::measure(place, size))?,
            (Which::Killed, _) => vec![killed()],
            (Which::Unchanged, Some(repo)) => runtime.block_on(unchanged::measure(repo))?,
            (Which::Commit, Some(repo)) => runtime.block_on(commit::measure(repo, place))?,
            (Which::Cold, Some(repo)) => cold::measure_load(repo)?,
            (Which::Validate, Some(repo)) => cold::measure_validate(repo)?,
            (Which::Memory, Some(repo)) => runtime.block_on(memory::measure(repo))?,
            (_, None) => bail!("{which:?} needs the repo"),
        });
    }
    Ok(Report::new(rows, size, arguments.quick, place))
}

/// Correctness, not speed: the tests do it.
fn killed() -> Row {
    let what =
        "killed at a random instant; power cut under the store: every acknowledged write is there";
    Row::untimed("killed", what, "see cargo xtask test")
}
