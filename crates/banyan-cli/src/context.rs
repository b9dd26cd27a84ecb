//! What every command is given.

use banyan_api::Target;
use jiff::Timestamp;

use crate::args::Globals;
use crate::config::{self, CliConfig};
use crate::engine::Engine;
use crate::error::Failure;
use crate::target::{self, Says};
use crate::ui::Ui;

/// What every command is given.
pub(crate) struct Context {
    pub(crate) ui: Ui,
    /// When the program was started: the one reading of the clock.
    pub(crate) now: Timestamp,
    globals: Globals,
}

impl Context {
    pub(crate) fn new(globals: Globals) -> Self {
        Self {
            ui: Ui::new(globals.color),
            now: now(),
            globals,
        }
    }

    /// The engine that is meant: as the command line or the environment says, the configuration, or the default.
    pub(crate) fn target(&self) -> Result<Target, Failure> {
        let (asked, environment) = (self.globals.engine(), Says::environment());
        // Whoever says all on the command line is not stopped by a file that is wrong.
        if asked.socket.is_some() {
            return target::choose(&[asked]);
        }
        let [own, host] = config::load()?.map(CliConfig::into_says);
        target::choose(&[asked, environment, own, host])
    }

    /// A connection to the engine.
    pub(crate) fn engine(&self) -> Result<Engine, Failure> {
        Engine::connect(&self.target()?)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the shell reads the clock, once, and passes it on"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
