//! The public HTTP server: the keys that verify tokens.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;

use crate::listen::tls::{Connection, Listener};

/// A JSON Web Key Set without keys.
pub(crate) const NO_KEYS: &str = r#"{"keys":[]}"#;

/// The time limit for the head of a request, including later requests on the same connection.
const HEAD: Duration = Duration::from_secs(10);

/// The time limit of a request.
const REQUEST: Duration = Duration::from_secs(30);

/// Maximum size of a request body, in bytes.
const BODY: usize = 64 * 1024;

/// Maximum size of a request head, in bytes.
const HEAD_SIZE: usize = 16 * 1024;

/// Serves `/.well-known/jwks.json` with the current value of `keys`.
pub(crate) fn router(keys: watch::Receiver<String>) -> Router {
    Router::new()
        .route("/.well-known/jwks.json", get(jwks))
        .with_state(keys)
}

async fn jwks(State(keys): State<watch::Receiver<String>>) -> impl IntoResponse {
    let text = keys.borrow().clone();
    let headers = [
        (header::CONTENT_TYPE, "application/jwk-set+json"),
        (header::CACHE_CONTROL, "public, max-age=300"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text)
}

/// Serves until cancelled; running requests are finished. Handlers get the peer's address from
/// `ConnectInfo<SocketAddr>`.
pub(crate) async fn serve(listener: Listener, router: Router, stop: CancellationToken) {
    let router = router
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn(in_time));
    let mut connections = listener.connections();
    let under_way = GracefulShutdown::new();
    loop {
        let connection = tokio::select! {
            () = stop.cancelled() => break,
            connection = connections.next() => connection,
        };
        match connection {
            Some(Ok(connection)) => begin(connection, &router, &under_way),
            Some(Err(_)) => {}
            None => break,
        }
    }
    drop(connections);
    under_way.shutdown().await;
}

fn begin(connection: Connection, router: &Router, under_way: &GracefulShutdown) {
    let router = match connection.peer() {
        Some(peer) => router
            .clone()
            .layer(Extension(ConnectInfo::<SocketAddr>(peer))),
        None => router.clone(),
    };
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_SIZE);
    let service = TowerToHyperService::new(router);
    let serving = builder.serve_connection(TokioIo::new(connection), service);
    let serving = under_way.watch(serving.into_owned());
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::debug!(%error, "a connection ended");
        }
    });
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

#[cfg(test)]
mod tests;
