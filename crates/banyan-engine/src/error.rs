//! Errors of the program: what it was doing, the cause, what to try, and the exit code.

use std::error::Error;
use std::path::PathBuf;

pub use banyan_store::report;

use crate::config::ConfigError;

/// A minimal configuration.
const EXAMPLE: &str = "\
engine:
  state_dir: /var/lib/banyan/engine
  age_identity_file: /etc/banyan/engine.age
  gitops:
    url: /srv/git/cluster.git
    branch: main";

/// Why the program ends.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is invalid. Exit code 3.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration is missing. Exit code 3.
    #[error("there is no configuration {}; a minimal one is:\n\n{EXAMPLE}", .0.display())]
    NoConfig(PathBuf),
    /// Something the engine needs could not be set up.
    #[error("cannot {doing}")]
    Setup {
        /// What was attempted.
        doing: String,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A check found a problem, in words.
    #[error("{0}")]
    Said(String),
    /// Another engine is running on this state.
    #[error("another engine is running on {}; stop it, or give this one its own `state_dir`", .0.display())]
    Running(PathBuf),
}

impl Failure {
    /// An error while doing something.
    pub fn setup(
        doing: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Setup {
            doing: doing.into(),
            source: source.into(),
        }
    }

    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::NoConfig(_) => 3,
            _ => 1,
        }
    }
}
