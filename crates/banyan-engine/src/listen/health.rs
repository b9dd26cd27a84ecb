//! Health and metrics over HTTP: `/healthz` (the process is running), `/readyz` (a commit is in force and the peers are
//! up to date), `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use banyan_state::{Leadership, State};
use banyan_wireguard::DeviceProblem;

use crate::ops::metrics::{Metrics, plain};

#[derive(Clone)]
pub(crate) struct Probe {
    pub(crate) state: Arc<State>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) problem: DeviceProblem,
    pub(crate) role: tokio::sync::watch::Receiver<Leadership>,
}

pub(crate) fn router(probe: Probe) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(probe)
}

async fn ready(Shared(probe): Shared<Probe>) -> (StatusCode, String) {
    match probe.why_not_ready() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

/// OpenMetrics for clients that ask for it, the plain text format of Prometheus for all others.
async fn metrics(Shared(probe): Shared<Probe>, headers: HeaderMap) -> impl IntoResponse {
    let view = probe.state.view();
    let age = probe.state.age().unwrap_or(Duration::MAX);
    let leads = probe.role.borrow().term().is_some();
    probe.metrics.engine(leads, age);
    let text = probe.metrics.render(view.in_force.generation(), &view);
    let accepts = headers.get_all(header::ACCEPT).iter();
    let mut accepts = accepts.filter_map(|value| value.to_str().ok());
    match accepts.any(|value| value.contains("application/openmetrics-text")) {
        true => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text)
        }
        false => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], plain(&text))
        }
    }
}

impl Probe {
    pub(crate) fn why_not_ready(&self) -> Option<String> {
        if self.state.view().in_force.applied.is_none() {
            return Some("no commit is in force yet".to_owned());
        }
        let problem = self.problem.borrow().clone();
        problem.map(|text| format!("the peers are not up to date: {text}"))
    }
}

/// Checks over TCP whether a running engine is serving.
///
/// # Errors
/// If it does not answer, or reports that it is not serving.
pub async fn healthcheck(config: &crate::config::Config) -> Result<(), crate::Failure> {
    use banyan_api::{Client, Target, Trust};
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::health_client::HealthClient;

    let host = match config.listen {
        address if address.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        address => address,
    };
    let address = std::net::SocketAddr::new(host, config.grpc_port);
    let failed = |why: Box<dyn std::error::Error + Send + Sync>| {
        crate::Failure::setup(format!("ask the engine at {address}"), why)
    };
    let target = Target::Tls {
        host: host.to_string(),
        port: config.grpc_port,
        trust: Trust::Pin(crate::listen::tls::pin_of(config).map_err(|e| failed(e.into()))?),
    };
    let client = Client::connect(&target).await;
    let client = client.map_err(|e| failed(e.into()))?;
    let answer = HealthClient::new(client.calls())
        .check(HealthCheckRequest::default())
        .await;
    match answer.map_err(|e| failed(e.into()))?.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        other => Err(failed(format!("it reports {}", other.as_str_name()).into())),
    }
}
