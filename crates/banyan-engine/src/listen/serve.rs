//! The listeners: the same services on the local socket and over TLS, each behind the gate.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use banyan_api::v1;
use banyan_api::v1::audit_service_server::AuditServiceServer;
use banyan_api::v1::auth_service_server::AuthServiceServer;
use banyan_api::v1::engine_service_server::EngineServiceServer;
use banyan_api::v1::gitops_service_server::GitopsServiceServer;
use banyan_api::v1::host_service_server::HostServiceServer;
use banyan_api::v1::machine_service_server::MachineServiceServer;
use banyan_api::v1::role_service_server::RoleServiceServer;
use banyan_api::v1::session_service_server::SessionServiceServer;
use banyan_api::v1::signing_key_service_server::SigningKeyServiceServer;
use banyan_api::v1::user_service_server::UserServiceServer;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::Failure;
use crate::access::GateLayer;
use crate::listen::tls::Listener;
use crate::services::Services;

/// A connection whose peer does not answer a keepalive ping for this long is closed.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// Maximum number of concurrent calls on one connection.
const MAX_CALLS: u32 = 64;
/// Maximum size of messages that unauthenticated callers can send, in bytes.
const SMALL: usize = 64 * 1024;
/// Length of the preface an HTTP/2 client starts with, in bytes.
const PREFACE: usize = 24;
/// The time limit for sending it; after that, keepalive pings detect a dead peer.
const GREETING: Duration = Duration::from_secs(10);

/// The local socket, removed when dropped.
pub(crate) struct Socket {
    listener: Option<UnixListener>,
    path: PathBuf,
}

impl Socket {
    /// Binds the socket with mode 0600 from the start: it is created in a private directory and then moved into place.
    pub(crate) async fn bind(path: &Path) -> Result<Self, Failure> {
        let doing = || format!("listen on {}", path.display());
        if UnixStream::connect(path).await.is_ok() {
            return Err(Failure::setup(
                doing(),
                "another engine is listening there; stop it, or set engine.socket",
            ));
        }
        let listener = bind_private(path).map_err(|error| Failure::setup(doing(), error))?;
        Ok(Self {
            listener: Some(listener),
            path: path.to_owned(),
        })
    }
}

fn bind_private(path: &Path) -> std::io::Result<UnixListener> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder)?;
    let private = folder.join(format!(".banyan-{}", std::process::id()));
    // A killed engine may have left its socket behind, and in a container the next one has the same process id.
    let _ = std::fs::remove_file(private.join("s"));
    let _ = std::fs::remove_dir(&private);
    std::fs::DirBuilder::new().mode(0o700).create(&private)?;
    let draft = private.join("s");
    let bound = UnixListener::bind(&draft).and_then(|listener| {
        std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&draft, path)?;
        Ok(listener)
    });
    let _ = std::fs::remove_file(&draft);
    std::fs::remove_dir(&private)?;
    bound
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// All services, to be wrapped by the gate.
///
/// # Errors
/// If the API descriptors cannot be read.
pub(crate) fn routes(services: Services, health: HealthReporter) -> Result<Routes, Failure> {
    let unreadable = |error| Failure::setup("read the API descriptors", error);
    let health = tonic_health::server::HealthService::from_health_reporter(health);
    let health = tonic_health::pb::health_server::HealthServer::new(health);
    Ok(Routes::new(health)
        .add_service(reflection().build_v1().map_err(unreadable)?)
        .add_service(reflection().build_v1alpha().map_err(unreadable)?)
        .add_service(AuditServiceServer::new(services.audit))
        .add_service(AuthServiceServer::new(services.auth).max_decoding_message_size(SMALL))
        .add_service(EngineServiceServer::new(services.engine))
        .add_service(GitopsServiceServer::new(services.gitops))
        .add_service(HostServiceServer::new(services.host))
        .add_service(MachineServiceServer::new(services.machines))
        .add_service(RoleServiceServer::new(services.roles))
        .add_service(SessionServiceServer::new(services.sessions))
        .add_service(SigningKeyServiceServer::new(services.signing_keys))
        .add_service(UserServiceServer::new(services.users))
        .prepare())
}

/// Serves on the local socket until cancelled; running calls are finished.
pub(crate) async fn local(
    mut socket: Socket,
    services: Routes,
    gate: GateLayer,
    health: HealthReporter,
    stop: CancellationToken,
) {
    let Some(listener) = socket.listener.take() else {
        return;
    };
    health.set_service_status("", ServingStatus::Serving).await;
    let served = Server::builder()
        .layer(gate)
        .add_routes(services)
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), stop.cancelled())
        .await;
    log_end("the local socket", served);
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(v1::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

fn log_end<E: std::error::Error>(what: &str, result: Result<(), E>) {
    if let Err(error) = result {
        tracing::error!(error = crate::report(&error), "{what} stopped serving");
    }
}

/// Binds a TCP port; 0 lets the system choose.
pub(crate) async fn tcp(address: IpAddr, port: u16, key: &str) -> Result<TcpListener, Failure> {
    let address = SocketAddr::new(address, port);
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| Failure::setup(format!("listen on {address} ({key})"), error))
}

/// Serves these services over TCP.
pub(crate) async fn public(
    listener: Listener,
    services: Routes,
    gate: GateLayer,
    stop: CancellationToken,
) {
    let connections = listener
        .connections()
        .map(|connection| connection.map(|connection| connection.greeted(PREFACE, GREETING)));
    let served = Server::builder()
        .concurrency_limit_per_connection(MAX_CALLS as usize)
        .max_concurrent_streams(MAX_CALLS)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .layer(gate)
        .add_routes(services)
        .serve_with_incoming_shutdown(connections, stop.cancelled())
        .await;
    log_end("gRPC over TCP", served);
}

/// Serves health and metrics over HTTP.
pub(crate) async fn http(listener: TcpListener, router: axum::Router, stop: CancellationToken) {
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await;
    log_end("metrics and health", served);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_bound_over_what_a_killed_engine_of_the_same_process_id_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sock");
        let private = folder
            .path()
            .join(format!(".banyan-{}", std::process::id()));
        std::fs::create_dir(&private).unwrap();
        drop(std::os::unix::net::UnixListener::bind(private.join("s")).unwrap());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let socket = Socket::bind(&path).await.unwrap();
        UnixStream::connect(&path).await.unwrap();
        assert!(!private.exists());
        drop(socket);
        assert!(!path.exists());
    }
}
