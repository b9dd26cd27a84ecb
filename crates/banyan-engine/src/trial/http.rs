//! Serves the trial's repo over HTTP: `git http-backend` (gitprotocol-http(5)) behind a small CGI server on loopback.
//!
//! Fetching is open, pushing needs the trial's password. The backend runs only hooks that the trial installed.

mod cgi;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use banyan_core::SecretText;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::seed::Trial;
use crate::Failure;

/// The user name for pushing.
pub(super) const USER: &str = "trial";
/// Maximum number of concurrent backends.
const MAX_BACKENDS: usize = 4;

/// A running server.
pub(super) struct Served {
    pub(super) address: SocketAddr,
    pub(super) task: JoinHandle<()>,
}

struct Shared {
    root: PathBuf,
    password: SecretText,
    backends: Semaphore,
}

/// Serves the trial's repo at `/cluster.git`.
pub(super) async fn serve(
    trial: &Trial,
    port: u16,
    stop: CancellationToken,
) -> Result<Served, Failure> {
    let setup = |error| Failure::setup("serve the trial's repo over HTTP", error);
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = match TcpListener::bind(loopback(port)).await {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            TcpListener::bind(loopback(0)).await.map_err(setup)?
        }
        bound => bound.map_err(setup)?,
    };
    let address = listener.local_addr().map_err(setup)?;
    let shared = Arc::new(Shared {
        root: trial.dir.clone(),
        password: trial.password.clone(),
        backends: Semaphore::new(MAX_BACKENDS),
    });
    let router = Router::new().fallback(answer).with_state(shared);
    let task = tokio::spawn(crate::listen::serve::http(listener, router, stop));
    Ok(Served { address, task })
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path();
    let query = request.uri().query().unwrap_or_default();
    let Some(inside) = path.strip_prefix("/cluster.git/") else {
        return (StatusCode::NOT_FOUND, "the repo is at /cluster.git\n").into_response();
    };
    let push = inside == "git-receive-pack" || query.contains("service=git-receive-pack");
    if push && !shared.may_push(request.headers()) {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"Banyan trial\"")];
        return (
            StatusCode::UNAUTHORIZED,
            challenge,
            "pushing needs the password that the trial printed\n",
        )
            .into_response();
    }
    let Ok(_permit) = shared.backends.acquire().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    match cgi::run(&shared.root, request, push.then_some(USER)).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(error = crate::report(&error), "git http-backend failed");
            (StatusCode::BAD_GATEWAY, Body::from(format!("{error}\n"))).into_response()
        }
    }
}

impl Shared {
    fn may_push(&self, headers: &HeaderMap) -> bool {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|v| v.to_str().ok());
        let given = given
            .and_then(|v| v.strip_prefix("Basic "))
            .and_then(|v| STANDARD.decode(v).ok());
        let wanted = format!("{USER}:{}", self.password.expose());
        given.is_some_and(|given| same(&given, wanted.as_bytes()))
    }
}

/// Compares in constant time.
fn same(a: &[u8], b: &[u8]) -> bool {
    bool::from(subtle::ConstantTimeEq::ct_eq(a, b))
}
