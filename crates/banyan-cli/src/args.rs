//! Options that several commands share.

use std::convert::Infallible;
use std::path::PathBuf;

use banyan_core::SecretText;
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::target::EngineHint;

/// Options of every command.
#[derive(Debug, Args)]
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
    /// An engine on another host, reached by TLS [env: BANYAN_ENGINE] [default: `cli.engine_host` and
    /// `cli.engine_port`; port 50051]
    #[arg(
        id = "engine_address",
        long = "engine",
        global = true,
        value_name = "HOST[:PORT]"
    )]
    engine: Option<String>,
    /// By what that engine is known, as `banyan-engine pin` prints it on its host [env: BANYAN_ENGINE_CA_PIN]
    /// [default: `cli.engine_ca_pin`]
    #[arg(
        long,
        global = true,
        value_name = "PIN",
        conflicts_with = "engine_ca_file"
    )]
    engine_ca_pin: Option<String>,
    /// The authority that its certificate comes from, in PEM [env: BANYAN_ENGINE_CA_FILE]
    /// [default: `cli.engine_ca_file`, or those that this system trusts]
    #[arg(long, global = true, value_name = "FILE")]
    engine_ca_file: Option<PathBuf>,
    /// When to colour; by itself on a terminal, unless NO_COLOR is set or TERM is dumb
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: ColorWhen,
}

impl Globals {
    /// What the command line says about the engine.
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

/// A value of the command line that nothing prints.
pub(crate) fn secret(text: &str) -> Result<SecretText, Infallible> {
    Ok(SecretText::new(text.to_owned()))
}

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    #[default]
    Auto,
    Always,
    Never,
}

/// The option of every command that lists or shows something.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Shape of the output; json and yaml are stable
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Output,
}

/// Shape of the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize)]
pub(crate) enum Output {
    #[default]
    Table,
    Json,
    Yaml,
}
