//! Options that several commands share.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use banyan_core::{Name, NameError, SecretText};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::target::EngineHint;

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// The engine's local socket [env: BANYAN_SOCKET] [default: `cli.socket` of the configuration, or
    /// /run/banyan/engine.sock]
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        conflicts_with = "engine_address"
    )]
    socket: Option<PathBuf>,
    /// An engine on another host, reached over TLS [env: BANYAN_ENGINE] [default: `cli.engine_host` and
    /// `cli.engine_port`; port 50051]
    #[arg(
        id = "engine_address",
        long = "engine",
        global = true,
        value_name = "HOST[:PORT]"
    )]
    engine: Option<String>,
    /// The pin of that engine, as `banyan-engine pin` prints it on its host [env: BANYAN_ENGINE_CA_PIN]
    /// [default: `cli.engine_ca_pin`]
    #[arg(
        long,
        global = true,
        value_name = "PIN",
        conflicts_with = "engine_ca_file"
    )]
    engine_ca_pin: Option<String>,
    /// The authority that issued its certificate, in PEM [env: BANYAN_ENGINE_CA_FILE]
    /// [default: `cli.engine_ca_file`, or the authorities that the system trusts]
    #[arg(long, global = true, value_name = "FILE")]
    engine_ca_file: Option<PathBuf>,
    /// When to use colour; auto: on a terminal, unless NO_COLOR is set or TERM is dumb
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: ColorWhen,
}

impl Globals {
    /// The settings of the engine on the command line.
    pub(crate) fn engine(&self) -> EngineHint {
        let given = |path: &PathBuf| !path.as_os_str().is_empty();
        EngineHint {
            socket: self.socket.clone().filter(given),
            engine: self.engine.clone(),
            port: None,
            pin: self.engine_ca_pin.clone(),
            ca_file: self.engine_ca_file.clone(),
            in_file: false,
        }
    }
}

/// A secret on the command line: nothing prints it.
pub(crate) fn secret(text: &str) -> Result<SecretText, Infallible> {
    Ok(SecretText::new(text.to_owned()))
}

/// When to use colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    #[default]
    Auto,
    Always,
    Never,
}

/// A name of a user, role or machine. Names are lower-case, so capitals that a person types mean the same.
pub(crate) fn name(text: &str) -> Result<Name, NameError> {
    text.to_ascii_lowercase().parse()
}

/// The options of every command that prints a table.
#[derive(Debug, Args)]
pub(crate) struct TableArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Show absolute times and all columns, and cut nothing
    #[arg(long)]
    pub(crate) wide: bool,
}

/// The option of commands whose answer is worth watching.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Keep watching, every 2 seconds by default: on a terminal redraw on a change, otherwise print each change (one line
    /// each with `--output json`)
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2",
        value_parser = interval
    )]
    pub(crate) watch: Option<Duration>,
}

/// How long to wait between two calls.
fn interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds".to_owned())?;
    match (0.1..=3600.0).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err("from 0.1 to 3600 seconds".to_owned()),
    }
}

/// The option of every command that lists or shows something.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Format of the output; json and yaml are stable
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Output,
}

/// Format of the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize)]
pub(crate) enum Output {
    #[default]
    Table,
    Json,
    Yaml,
}
