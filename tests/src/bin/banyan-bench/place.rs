//! Where the measurements run: in network namespaces of their own where this host allows it, so that devices are real
//! and disturb nobody.

use std::fmt;
use std::process::{ExitCode, Stdio};

use anyhow::{Context as _, Result};
use banyan_testkit::netns::Host;
use banyan_wireguard::{Support, userspace_support};

/// Tells a process that it is the benchmark, inside already.
const INSIDE: &str = "BANYAN_BENCH_INSIDE";

/// The place that the measurements run in.
pub(crate) struct Place {
    /// Why there can be no userspace device, where there can be none.
    lacking: Option<String>,
}

pub(crate) enum Entered {
    Inside(Place),
    /// Another process did everything, and ended like this.
    Elsewhere(ExitCode),
}

impl Place {
    /// Runs this very program again inside a private host, if one can be made.
    pub(crate) fn enter() -> Result<Entered> {
        if std::env::var_os(INSIDE).is_some() {
            return Ok(Entered::Inside(Self { lacking: None }));
        }
        if let Support::Unavailable { reason, .. } = userspace_support() {
            return Ok(Entered::Inside(Self {
                lacking: Some(reason),
            }));
        }
        let host = match Host::new() {
            Ok(host) => host,
            Err(error) => {
                return Ok(Entered::Inside(Self {
                    lacking: Some(format!("{error:#}")),
                }));
            }
        };
        let mut again = host.command(std::env::current_exe()?);
        again.args(std::env::args_os().skip(1)).env(INSIDE, "1");
        let status = again
            .stdin(Stdio::null())
            .status()
            .context("starting the benchmark in a private host")?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Ok(Entered::Elsewhere(ExitCode::from(code.unwrap_or(1))))
    }

    /// What `wireguard:` of the configuration says here.
    pub(crate) fn wireguard(&self) -> &'static str {
        match self.lacking {
            None => "userspace",
            Some(_) => "none",
        }
    }

    /// Why there can be no userspace device.
    pub(crate) fn lacking(&self) -> Option<&str> {
        self.lacking.as_deref()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.lacking {
            None => f.write_str("userspace devices in a network namespace"),
            Some(reason) => write!(f, "no WireGuard devices: {reason}"),
        }
    }
}
