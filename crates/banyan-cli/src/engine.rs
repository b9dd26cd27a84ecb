//! The connection to the engine, and what is said when there is none.

use std::error::Error as StdError;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use banyan_api::{Client, ConnectError};
use tokio::runtime::{Builder, Runtime};
use tonic::{Response, Status};

use crate::error::{Exit, Failure, LOOK_AT_ENGINE};

/// For what the engine answers from memory.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// For what the engine has to work on: a plan, a pass.
pub(crate) const WORK: Duration = Duration::from_secs(600);

/// A connection, and the thread that serves it.
pub(crate) struct Engine {
    runtime: Runtime,
    client: Client,
}

impl Engine {
    pub(crate) fn connect(socket: &Path) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Failure::refused("cannot start talking to the engine").because(&e))?;
        let connecting = async { tokio::time::timeout(SOON, Client::connect(socket)).await };
        match runtime.block_on(connecting) {
            Ok(Ok(client)) => Ok(Self { runtime, client }),
            Ok(Err(error)) => Err(out_of_reach(socket, &error)),
            Err(_) => Err(silent("connect", SOON)),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for an answer. `what` is what was asked for: `list the users`.
    pub(crate) fn wait<T>(
        &self,
        what: &str,
        within: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failure> {
        let waiting = async { tokio::time::timeout(within, call).await };
        match self.runtime.block_on(waiting) {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(Failure::from_status(what, &status)),
            Err(_) => Err(silent(what, within)),
        }
    }
}

fn silent(what: &str, within: Duration) -> Failure {
    Failure::new(Exit::OutOfReach, format!("cannot {what}"))
        .reason(format!(
            "the engine did not answer within {} s",
            within.as_secs()
        ))
        .hint(LOOK_AT_ENGINE)
}

fn out_of_reach(socket: &Path, error: &ConnectError) -> Failure {
    let failure = Failure::new(Exit::OutOfReach, error.to_string());
    let cause = root(&error.source);
    let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
    match kind {
        Some(ErrorKind::NotFound) => failure
            .reason(format!("there is no socket {}", socket.display()))
            .hint("see whether the engine runs on this host: `systemctl status banyan-engine`")
            .hint("name its socket with `--socket`, BANYAN_SOCKET or `cli.socket`"),
        Some(ErrorKind::PermissionDenied) => failure
            .reason("you may not open the socket: it is for root and the engine's own user")
            .hint("run the command as root: `sudo banyan …`"),
        Some(ErrorKind::ConnectionRefused) => failure
            .reason("the socket is there, but nobody listens on it")
            .hint(LOOK_AT_ENGINE),
        _ => failure.reason(cause.to_string()).hint(LOOK_AT_ENGINE),
    }
}

/// The innermost cause: the layers above it say nothing that people could use.
fn root<'e>(error: &'e (dyn StdError + 'static)) -> &'e (dyn StdError + 'static) {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause
}
