//! The connection to the engine, and the errors if there is none.

pub(crate) mod signed_in;

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use banyan_api::{Client, ConnectError, Target, Unconnected};
use banyan_core::SecretText;
use tokio::runtime::{Builder, Runtime};
use tonic::{Response, Status};

use crate::error::{Exit, Failure, LOGIN, LOOK_AT_ENGINE};
use signed_in::{Cure, SignedIn};

/// The timeout of calls that the engine answers from memory.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The timeout of calls that take the engine work: a plan, a pass.
pub(crate) const WORK: Duration = Duration::from_secs(600);

/// A connection, and the runtime that drives it.
pub(crate) struct Engine {
    runtime: Runtime,
    client: Client,
    /// The login that calls are made with; `None` for the local socket.
    login: Option<SignedIn>,
}

impl Engine {
    pub(crate) fn connect(target: &Target) -> Result<Self, Failure> {
        Self::connect_within(target, SOON)
    }

    pub(crate) fn connect_within(target: &Target, within: Duration) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Failure::refused("cannot start talking to the engine").because(&e))?;
        let connecting = async { tokio::time::timeout(within, Client::connect(target)).await };
        match runtime.block_on(connecting) {
            Ok(Ok(client)) => Ok(Self {
                runtime,
                client,
                login: None,
            }),
            Ok(Err(error)) => Err(not_connected(target, &error)),
            Err(_) => Err(silent("connect", within)),
        }
    }

    /// The same connection, with a login.
    pub(crate) fn signed_in(self, login: Option<SignedIn>) -> Self {
        Self { login, ..self }
    }

    /// The login that calls are made with.
    pub(crate) fn login(&self) -> Option<&SignedIn> {
        self.login.as_ref()
    }

    /// The connection without a login.
    fn client(&self) -> &Client {
        &self.client
    }

    /// Makes a call and waits for the response. `what` completes "cannot …": `list the users`. If the engine denies the
    /// token, the call is repeated once with a new one.
    pub(crate) fn call<T, F>(
        &self,
        what: &str,
        within: Duration,
        call: impl Fn(Client) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let answer = match &self.login {
            None => self.once(what, within, &self.client, &call)?,
            Some(login) => self.call_as(login, what, within, &call)?,
        };
        answer.map_err(|status| Failure::from_status(what, &status))
    }

    fn call_as<T, F>(
        &self,
        login: &SignedIn,
        what: &str,
        within: Duration,
        call: &impl Fn(Client) -> F,
    ) -> Result<Result<T, Status>, Failure>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let token = match login.token() {
            (token, false) => token,
            (token, true) => login.renew(self, &token)?,
        };
        let answer = self.once(what, within, &self.with(&token)?, call)?;
        let Err(status) = answer else {
            return Ok(answer);
        };
        let another = match Cure::of(&status) {
            Cure::Refresh => Some(login.renew(self, &token)?),
            Cure::Reread => login.reread(&token)?,
            Cure::Nothing => None,
        };
        match another {
            Some(token) => self.once(what, within, &self.with(&token)?, call),
            None => Ok(Err(status)),
        }
    }

    fn with(&self, token: &SecretText) -> Result<Client, Failure> {
        let client = self.client.with_token(token);
        client.map_err(|error| Failure::new(Exit::NotAuthenticated, error.to_string()).hint(LOGIN))
    }

    /// Makes a call once, over this connection.
    fn once<T, F>(
        &self,
        what: &str,
        within: Duration,
        client: &Client,
        call: &impl Fn(Client) -> F,
    ) -> Result<Result<T, Status>, Failure>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        // The connection belongs to the runtime, so the call must start in it.
        let waiting = async { tokio::time::timeout(within, call(client.clone())).await };
        match self.runtime.block_on(waiting) {
            Ok(answer) => Ok(answer.map(Response::into_inner)),
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

fn not_connected(target: &Target, error: &ConnectError) -> Failure {
    let failure = Failure::new(Exit::OutOfReach, error.to_string());
    match (target, &error.why) {
        (Target::Socket(path), Unconnected::OutOfReach(cause)) => {
            no_socket(failure, path, cause.kind())
                .unwrap_or_else(|failure| failure.reason(cause.to_string()).hint(LOOK_AT_ENGINE))
        }
        (Target::Socket(_), why) => failure.reason(why.to_string()).hint(LOOK_AT_ENGINE),
        (Target::Tls { .. }, why) => not_that_engine(failure, why),
    }
}

/// Explains the common problems with the socket.
fn no_socket(failure: Failure, path: &Path, kind: ErrorKind) -> Result<Failure, Failure> {
    Ok(match kind {
        ErrorKind::NotFound => failure
            .reason(format!("there is no socket {}", path.display()))
            .hint("check whether the engine runs on this host: `systemctl status banyan-engine`")
            .hint("name its socket with `--socket`, BANYAN_SOCKET or `cli.socket`")
            .hint("name an engine on another host with `--engine`, BANYAN_ENGINE or `cli.engine_host`"),
        ErrorKind::PermissionDenied => failure
            .reason("permission denied: only root and the engine's own user may open the socket")
            .hint("run the command as root: `sudo banyan …`"),
        ErrorKind::ConnectionRefused => failure
            .reason("the socket exists, but nothing listens on it")
            .hint(LOOK_AT_ENGINE),
        _ => return Err(failure),
    })
}

/// Why no TLS connection to that engine was made, and the next step.
fn not_that_engine(failure: Failure, why: &Unconnected) -> Failure {
    let failure = match why {
        Unconnected::BadTrust(_) => failure.ending(Exit::Config),
        _ => failure,
    };
    let failure = failure.reason(why.to_string());
    match why {
        Unconnected::OutOfReach(_) | Unconnected::Silent => failure
            .hint("check the name and the port, and whether the engine runs there")
            .hint("by default an engine listens on loopback only; its `engine.listen` changes that"),
        Unconnected::NotTls | Unconnected::NotGrpc => failure.hint(
            "use the gRPC port (`engine.grpc_port`, 50051), not the port of HTTP or metrics",
        ),
        Unconnected::WrongPin { .. } => failure
            .hint("if the engine has a new key: `banyan-engine pin` on its host prints the new pin")
            .hint("otherwise another server answers in its place: find out which before you continue"),
        Unconnected::UnknownIssuer => failure
            .hint("on the engine's host run `banyan-engine pin`, then add `--engine-ca-pin sha256:…` (or `cli.engine_ca_pin`)")
            .hint("or name the authority that issued its certificate with `--engine-ca-file`"),
        Unconnected::WrongName { .. } => failure
            .hint("use a name that its certificate is valid for, or add this one to `engine.tls.names`")
            .hint("or pin the engine: `banyan-engine pin` on its host, then `--engine-ca-pin sha256:…`"),
        Unconnected::Expired | Unconnected::NotYetValid => failure
            .hint("renew the engine's certificate, and check the clocks: `timedatectl`"),
        Unconnected::BadTrust(_) => failure.hint("correct `--engine`, `--engine-ca-pin` or `--engine-ca-file`"),
        Unconnected::Tls(_) | Unconnected::Other(_) => failure.hint(LOOK_AT_ENGINE),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use banyan_api::Trust;

    use super::*;

    #[test]
    fn each_problem_with_an_engine_on_another_host_has_a_next_step() {
        let pin = |digit: &str| format!("sha256:{}", digit.repeat(64)).parse().unwrap();
        let target = Target::Tls {
            host: "engine.example.org".to_owned(),
            port: 50051,
            trust: Trust::System,
        };
        let refused = Arc::new(ErrorKind::ConnectionRefused.into());
        let wrong_pin = Unconnected::WrongPin {
            found: pin("a"),
            expected: pin("b"),
        };
        let wrong_name = Unconnected::WrongName { names: Vec::new() };
        for (why, exit, next) in [
            (Unconnected::OutOfReach(refused), 6, "the name and the port"),
            (Unconnected::Silent, 6, "the name and the port"),
            (Unconnected::NotTls, 6, "engine.grpc_port"),
            (Unconnected::NotGrpc, 6, "engine.grpc_port"),
            (wrong_pin, 6, "prints the new pin"),
            (Unconnected::UnknownIssuer, 6, "--engine-ca-pin sha256:…"),
            (wrong_name, 6, "engine.tls.names"),
            (Unconnected::Expired, 6, "renew"),
            (Unconnected::NotYetValid, 6, "clocks"),
            (Unconnected::BadTrust("x".to_owned()), 3, "--engine-ca-file"),
            (Unconnected::Other("x".to_owned()), 6, "banyan doctor"),
        ] {
            let error = ConnectError {
                target: target.to_string(),
                why,
            };
            let failure = not_connected(&target, &error);
            assert_eq!(failure.exit() as u8, exit, "{failure:?}");
            assert!(failure.hints().join("\n").contains(next), "{failure:?}");
            assert!(failure.in_one_line().contains("engine.example.org:50051"));
        }
    }
}
