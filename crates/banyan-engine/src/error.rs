//! How the program fails: what it was doing, why, what to try; and with which exit code.

use std::error::Error;
use std::path::PathBuf;

pub use banyan_store::report;

use crate::config::ConfigError;

/// The least that a configuration says.
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
    /// The configuration cannot be used. Exit code 3.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no configuration yet. Exit code 3.
    #[error("there is no configuration {}; the least that an engine needs is:\n\n{EXAMPLE}", .0.display())]
    NoConfig(PathBuf),
    /// Something that the engine needs could not be set up.
    #[error("cannot {doing}")]
    Setup {
        /// What it was about to do.
        doing: String,
        /// Why it could not.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A check found something wrong; what was said already.
    #[error("{0}")]
    Said(String),
    /// Another engine runs on this state.
    #[error("another engine is running on {}; stop it, or give this one a `state_dir` of its own", .0.display())]
    Running(PathBuf),
}

impl Failure {
    /// A failure to do something.
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
