//! The context of a command: its output, its time, and the engine to talk to.

use std::path::PathBuf;
use std::time::Duration;

use banyan_api::Target;
use jiff::Timestamp;

use crate::args::Globals;
use crate::clock;
use crate::config::{self, CliConfig};
use crate::credentials::{Credentials, CredentialsFile, Login};
use crate::engine::signed_in::SignedIn;
use crate::engine::{Engine, SOON};
use crate::error::Failure;
use crate::target::{self, EngineHint};
use crate::ui::Ui;

/// The context of a command.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) ui: Ui,
    /// When the program was started. Commands that show the state at another time read the clock again.
    pub(crate) now: Timestamp,
    globals: Globals,
}

impl Context {
    pub(crate) fn new(globals: Globals) -> Self {
        Self {
            ui: Ui::new(globals.color),
            now: clock::now(),
            globals,
        }
    }

    /// The engine to talk to: from the command line, the environment, the last login, the configuration, or the default.
    pub(crate) fn target(&self) -> Result<Target, Failure> {
        target::choose(&self.places(kept)?)
    }

    /// The engine to log in at, and the file with its authority. Unusable credentials are ignored: they are about to be
    /// replaced.
    pub(crate) fn target_of_login(&self) -> Result<(Target, Option<PathBuf>), Failure> {
        let places = self.places(|| Ok(kept().unwrap_or_default()))?;
        Ok((target::choose(&places)?, target::ca_file(&places)))
    }

    /// The settings of the engine, highest precedence first.
    fn places(
        &self,
        kept: impl FnOnce() -> Result<Credentials, Failure>,
    ) -> Result<Vec<EngineHint>, Failure> {
        let (asked, environment) = (self.globals.engine(), EngineHint::environment());
        let named = |says: &&EngineHint| says.engine.is_some() || says.socket.is_some();
        let named = [&asked, &environment].into_iter().find(named);
        // If the socket is named, an invalid file must not get in the way.
        if let Some(says @ EngineHint { engine: None, .. }) = named {
            return Ok(vec![says.clone()]);
        }
        let [own, host] = config::load()?.map(CliConfig::into_says);
        let login = match named.and_then(|says| says.engine.as_ref()) {
            None => kept()?.current().map(Login::says),
            Some(engine) => {
                let port = [&environment, &own, &host]
                    .into_iter()
                    .find_map(|says| says.port);
                match target::address(engine, port) {
                    Some(address) => kept()?.at_address(&address).map(Login::says_trust),
                    None => None,
                }
            }
        };
        Ok(vec![
            asked,
            environment,
            login.unwrap_or_default(),
            own,
            host,
        ])
    }

    /// Connects to the engine, with the login there.
    pub(crate) fn engine(&self) -> Result<Engine, Failure> {
        self.engine_at(&self.target()?)
    }

    /// As [`Context::engine`], for a target that is already chosen.
    pub(crate) fn engine_at(&self, target: &Target) -> Result<Engine, Failure> {
        self.engine_within(target, SOON)
    }

    /// As [`Context::engine_at`], with a limit to how long connecting may take.
    pub(crate) fn engine_within(
        &self,
        target: &Target,
        within: Duration,
    ) -> Result<Engine, Failure> {
        let login = SignedIn::find(target)?;
        Ok(Engine::connect_within(target, within)?.signed_in(login))
    }
}

/// The stored logins; none if there is no place to store them.
fn kept() -> Result<Credentials, Failure> {
    match config::own_folder() {
        Some(_) => CredentialsFile::own()?.read(),
        None => Ok(Credentials::default()),
    }
}
