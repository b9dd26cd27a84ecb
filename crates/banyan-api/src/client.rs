//! The client: one connection, all services.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

use crate::v1::engine_service_client::EngineServiceClient;
use crate::v1::gitops_service_client::GitopsServiceClient;
use crate::v1::machine_service_client::MachineServiceClient;
use crate::v1::role_service_client::RoleServiceClient;
use crate::v1::user_service_client::UserServiceClient;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest answer taken, in bytes: enough for 100,000 machines.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// The engine could not be reached.
#[derive(Debug, thiserror::Error)]
#[error("no engine answers at {}", socket.display())]
pub struct ConnectError {
    /// Where it was looked for.
    pub socket: PathBuf,
    /// What happened.
    #[source]
    pub source: tonic::transport::Error,
}

/// A connection to an engine.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
}

impl Client {
    /// Connects to the engine's local socket.
    ///
    /// # Errors
    /// Nobody listens there, or this process may not open it.
    pub async fn connect(socket: &Path) -> Result<Self, ConnectError> {
        let path = socket.to_owned();
        let connector = tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        // The URI is a formality: the connector decides where the bytes go.
        let channel = Endpoint::from_static("http://engine.local")
            .connect_timeout(CONNECT_TIMEOUT)
            .connect_with_connector(connector)
            .await
            .map_err(|source| ConnectError {
                socket: socket.to_owned(),
                source,
            })?;
        Ok(Self { channel })
    }

    /// The reconciler.
    #[must_use]
    pub fn gitops(&self) -> GitopsServiceClient<Channel> {
        GitopsServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// Users.
    #[must_use]
    pub fn users(&self) -> UserServiceClient<Channel> {
        UserServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// Roles and permissions.
    #[must_use]
    pub fn roles(&self) -> RoleServiceClient<Channel> {
        RoleServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// Machines.
    #[must_use]
    pub fn machines(&self) -> MachineServiceClient<Channel> {
        MachineServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// The engine itself.
    #[must_use]
    pub fn engine(&self) -> EngineServiceClient<Channel> {
        EngineServiceClient::new(self.channel.clone())
    }
}
