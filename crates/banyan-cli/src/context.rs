//! What every command is given.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::args::Globals;
use crate::config;
use crate::engine::Engine;
use crate::error::Failure;
use crate::ui::Ui;

/// Where the engine listens unless told otherwise.
const SOCKET: &str = "/run/banyan/engine.sock";

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

    /// The engine's socket: as the command line or the environment says, the configuration, or the default.
    pub(crate) fn socket(&self) -> Result<PathBuf, Failure> {
        let given = self.globals.socket.as_ref();
        if let Some(socket) = given.filter(|socket| !socket.as_os_str().is_empty()) {
            return Ok(socket.clone());
        }
        let configured = config::load()?.socket;
        Ok(configured.unwrap_or_else(|| SOCKET.into()))
    }

    /// A connection to the engine.
    pub(crate) fn engine(&self) -> Result<Engine, Failure> {
        Engine::connect(&self.socket()?)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the shell reads the clock, once, and passes it on"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
