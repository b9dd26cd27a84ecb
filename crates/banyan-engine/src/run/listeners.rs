//! The listeners, and what each serves.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tracing::info;

use super::Reached;
use crate::Failure;
use crate::access::{GateLayer, KeyringCache};
use crate::config::Config;
use crate::listen::health::{Probe, router};
use crate::listen::serve::{self, Socket};
use crate::listen::tls::{Certificate, Limits, Listener};
use crate::listen::{jwks, web};
use crate::ops::metrics::Metrics;
use crate::services::Services;

/// The listeners.
pub(super) struct Listeners {
    pub(super) socket: Socket,
    pub(super) grpc: Listener,
    pub(super) web: Listener,
    pub(super) metrics: TcpListener,
}

/// The services of the listeners.
pub(super) struct Served {
    pub(super) services: Services,
    pub(super) gate: GateLayer,
    pub(super) keys: Arc<KeyringCache>,
    pub(super) probe: Probe,
}

impl Listeners {
    /// Serves gRPC on the socket and over TLS, the published keys, and metrics, each in one of the tasks that it returns.
    pub(super) fn serve(
        self,
        served: Served,
        stop: &CancellationToken,
    ) -> Result<JoinSet<()>, Failure> {
        let mut tasks = JoinSet::new();
        let Served {
            services,
            gate,
            keys,
            probe,
        } = served;
        let (health, _) = tonic_health::server::health_reporter();
        let routes = serve::routes(services, health.clone())?;
        tasks.spawn(serve::local(
            self.socket,
            routes.clone(),
            gate.clone(),
            health.clone(),
            stop.clone(),
        ));
        tasks.spawn(serve::public(self.grpc, routes, gate, stop.clone()));
        let (published, jwks) = watch::channel(web::NO_KEYS.to_owned());
        let state = Arc::clone(&probe.state);
        tasks.spawn(jwks::publish(state, keys, published, stop.clone()));
        tasks.spawn(web::serve(self.web, web::router(jwks), stop.clone()));
        tasks.spawn(serve::http(self.metrics, router(probe), stop.clone()));
        tasks.spawn(not_serving_when(stop.clone(), health));
        Ok(tasks)
    }
}

/// The listeners for gRPC and for HTTP, with the engine's certificate; HTTP on loopback is without TLS.
pub(super) async fn listen(
    config: &Config,
    metrics: &Arc<Metrics>,
) -> Result<(Listener, Listener, Reached), Failure> {
    let certificate = Certificate::open(config)?;
    let grpc = serve::tcp(config.listen, config.grpc_port, "engine.grpc_port").await?;
    let web = serve::tcp(config.listen, config.http_port, "engine.http.port").await?;
    let at = |listener: &TcpListener| {
        let address = listener.local_addr();
        address.map_err(|error| Failure::setup("listen", error))
    };
    let reached = Reached {
        grpc: at(&grpc)?,
        pin: certificate.pin().to_string(),
    };
    info!(grpc = %reached.grpc, http = %at(&web)?, pin = %reached.pin, "the engine listens");
    let mut limits = Limits::here();
    limits.exempt.clone_from(&config.auth.trusted_proxies);
    let metrics = || Arc::clone(metrics);
    let grpc = Listener::tls(grpc, &certificate, &[b"h2"], limits.clone(), metrics())?;
    let web = match config.listen.is_loopback() {
        true => Listener::plain(web, limits, metrics()),
        false => Listener::tls(web, &certificate, &[b"http/1.1"], limits, metrics())?,
    };
    Ok((grpc, web, reached))
}

async fn not_serving_when(stop: CancellationToken, health: tonic_health::server::HealthReporter) {
    stop.cancelled().await;
    health
        .set_service_status("", ServingStatus::NotServing)
        .await;
}
