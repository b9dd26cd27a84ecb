//! Structured logs: text or JSON, to standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts logging at `info` and above; `RUST_LOG` overrides the filter.
pub fn start(format: LogFormat, default: &str) {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| default.to_owned());
    let filter = EnvFilter::new(format!("{},{filter}", banyan_wireguard::LOG_DIRECTIVES));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(std::io::stderr);
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match format {
        LogFormat::Json => logs.json().init(),
        LogFormat::Text => logs.with_ansi(colour).init(),
    }
}
