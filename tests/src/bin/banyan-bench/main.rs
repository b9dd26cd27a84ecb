//! The benchmark: measures against the performance targets, on generated repos, and reports whether they are met.
//!
//! It builds nothing: `cargo xtask bench` builds engine, command line and this program in the same profile first. See
//! `docs/performance.md` for what each row means.

mod big_repo;
mod cold;
mod commit;
mod drift;
mod engine;
mod etcd;
mod failover;
mod inside;
mod kept;
mod memory;
mod out;
mod peers;
mod people;
mod place;
mod plans;
mod role;
mod sample;
mod scale;
mod stages;
mod stale;
mod timed;
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
    /// Output format
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
    /// A commit of one file, the state in etcd
    CommitEtcd,
    /// A commit of one file beside a loop of plans
    Plans,
    /// A commit of one file by the size of the repo: 20,000 documents over 200
    Scale,
    /// The same: 200,000 documents over 200
    ScaleHuge,
    /// A commit that changes a role of all users
    Role,
    /// Reading everything for the first time
    Cold,
    /// `banyan validate --identity`
    Validate,
    /// The engine's memory
    Memory,
    /// Peers of a device
    Peers,
    /// Knowing who calls, and a flood of logins
    People,
    /// Looking after a device
    Drift,
    /// The leader killed
    Failover,
    /// How old what a second engine shows may be
    Stale,
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
    let (report, whole) = measure(&arguments, &place)?;
    if let Some(file) = &json {
        std::fs::write(file, report.json())?;
    }
    match arguments.output {
        Format::Text => out::print(&report.text()),
        Format::Json => out::print(&report.json()),
    }
    Ok(match whole {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The report, and whether everything could be measured: a failure costs only its own rows.
fn measure(arguments: &Arguments, place: &Place) -> Result<(Report, bool)> {
    let chosen: Vec<Which> = match arguments.rows.as_slice() {
        [] => Which::value_variants().to_vec(),
        rows => rows.to_vec(),
    };
    let size = if arguments.quick { 500 } else { 10_000 };
    let needs_repo = |which| {
        use Which::{Killed, Peers, Role, Scale, ScaleHuge};
        !matches!(which, Peers | Killed | Role | Scale | ScaleHuge)
    };
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
    let (mut rows, mut whole) = (Vec::new(), true);
    for which in chosen {
        out::progress(&format!("measuring {which:?}"));
        let measured = runtime.block_on(rows_of(which, arguments.quick, size, &mut repo, place));
        rows.extend(measured.unwrap_or_else(|error| {
            whole = false;
            out::complain(&error.context(format!("measuring {which:?}")));
            let why = "not measured: it failed, see above";
            vec![Row::untimed("failed", &format!("{which:?}"), why)]
        }));
    }
    let report = Report::new(rows, size, arguments.quick, place);
    Ok((report, whole))
}

async fn rows_of(
    which: Which,
    quick: bool,
    size: usize,
    repo: &mut Option<BigRepo>,
    place: &Place,
) -> Result<Vec<Row>> {
    match (which, repo) {
        (Which::Peers, _) => peers::measure(place, size).await,
        (Which::Killed, _) => Ok(vec![killed()]),
        (Which::Unchanged, Some(repo)) => unchanged::measure(repo).await,
        (Which::Scale, _) => scale::measure(quick).await,
        (Which::ScaleHuge, _) => scale::measure_huge(quick).await,
        (Which::Role, _) => role::measure(quick, size).await,
        (Which::Commit, Some(repo)) => commit::measure(repo, place, quick).await,
        (Which::CommitEtcd, Some(repo)) => commit::measure_etcd(repo, place, quick).await,
        (Which::Plans, Some(repo)) => plans::measure(repo, quick, size).await,
        (Which::Cold, Some(repo)) => cold::measure_load(repo),
        (Which::Validate, Some(repo)) => cold::measure_validate(repo),
        (Which::Memory, Some(repo)) => memory::measure(repo).await,
        (Which::People, Some(repo)) => people::measure(repo, quick).await,
        (Which::Drift, Some(repo)) => drift::measure(repo, place, size).await,
        (Which::Failover, Some(repo)) => failover::measure(repo, quick).await,
        (Which::Stale, Some(repo)) => stale::measure(repo, quick).await,
        (_, None) => bail!("{which:?} needs the repo"),
    }
}

/// Tests cover correctness, not speed.
fn killed() -> Row {
    let what =
        "killed at a random instant; power cut under the store: every acknowledged write is there";
    Row::untimed("killed", what, "see cargo xtask test")
}
