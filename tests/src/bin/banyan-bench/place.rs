//! Where the measurements run: in their own network namespaces if this host allows it, so that devices are real and
//! isolated.

use std::fmt;
use std::process::{ExitCode, Stdio};

use anyhow::{Context as _, Result};
use banyan_testkit::netns::Host;
use banyan_wireguard::{Support, userspace_support};

/// Marks a process as the benchmark already running inside.
const INSIDE: &str = "BANYAN_BENCH_INSIDE";

/// The environment that the measurements run in.
pub(crate) struct Place {
    /// Why a userspace device is impossible, if it is.
    lacking: Option<String>,
}

pub(crate) enum Entered {
    Inside(Place),
    /// Another process ran everything and exited with this status.
    Elsewhere(ExitCode),
}

impl Place {
    /// Re-executes this program inside a private host, if one can be created.
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

    /// A place without devices.
    pub(crate) fn without(why: &str) -> Self {
        Self {
            lacking: Some(why.to_owned()),
        }
    }

    /// The value of `wireguard:` in the configuration here.
    pub(crate) fn wireguard(&self) -> &'static str {
        match self.lacking {
            None => "userspace",
            Some(_) => "none",
        }
    }

    /// Why a userspace device is impossible.
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
