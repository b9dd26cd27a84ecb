//! The client: one connection for all services.

mod error;
mod link;
mod target;

use std::time::Duration;

use banyan_core::SecretText;
use hyper_util::rt::TokioIo;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

pub use error::{ConnectError, Unconnected};
use link::{Dialer, Link};
pub use target::{Pin, PinError, Target, Trust};

use crate::v1::audit_service_client::AuditServiceClient;
use crate::v1::auth_service_client::AuthServiceClient;
use crate::v1::engine_service_client::EngineServiceClient;
use crate::v1::gitops_service_client::GitopsServiceClient;
use crate::v1::host_service_client::HostServiceClient;
use crate::v1::machine_service_client::MachineServiceClient;
use crate::v1::role_service_client::RoleServiceClient;
use crate::v1::session_service_client::SessionServiceClient;
use crate::v1::signing_key_service_client::SigningKeyServiceClient;
use crate::v1::user_service_client::UserServiceClient;

/// The maximum size of a response, in bytes: enough for 100,000 machines.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Interval of keepalive pings on an idle connection, also between calls.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// How long to wait for the answer to a ping.
const KEEPALIVE_WITHIN: Duration = Duration::from_secs(10);

/// The channel that calls use.
pub type Calls = InterceptedService<Channel, Bearer>;

/// A connection to an engine. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    bearer: Bearer,
}

/// Adds the token, if any, to each call. It is never printed.
#[derive(Debug, Clone, Default)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

/// A token with characters that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a token: it contains characters that a token cannot have")]
pub struct BadToken;

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

impl Client {
    /// Connects to an engine.
    ///
    /// # Errors
    /// If nothing listens there, access is denied, or what answers is not the expected engine.
    pub async fn connect(target: &Target) -> Result<Self, ConnectError> {
        let channel = channel(target).await;
        let channel = channel.map_err(|why| ConnectError {
            target: target.to_string(),
            why,
        })?;
        Ok(Self {
            channel,
            bearer: Bearer::default(),
        })
    }

    /// The same connection, with this access token on each call.
    ///
    /// # Errors
    /// If the token cannot be sent.
    pub fn with_token(&self, token: &SecretText) -> Result<Self, BadToken> {
        let text = zeroize::Zeroizing::new(format!("Bearer {}", token.expose()));
        let mut value = MetadataValue::try_from(text.as_str()).map_err(|_| BadToken)?;
        value.set_sensitive(true);
        Ok(Self {
            channel: self.channel.clone(),
            bearer: Bearer(Some(value)),
        })
    }

    /// The channel, for services that are not Banyan's (health, reflection).
    #[must_use]
    pub fn calls(&self) -> Calls {
        InterceptedService::new(self.channel.clone(), self.bearer.clone())
    }

    /// The reconciler.
    #[must_use]
    pub fn gitops(&self) -> GitopsServiceClient<Calls> {
        GitopsServiceClient::new(self.calls()).max_decoding_message_size(MAX_ANSWER)
    }

    /// Users.
    #[must_use]
    pub fn users(&self) -> UserServiceClient<Calls> {
        UserServiceClient::new(self.calls()).max_decoding_message_size(MAX_ANSWER)
    }

    /// Roles and permissions.
    #[must_use]
    pub fn roles(&self) -> RoleServiceClient<Calls> {
        RoleServiceClient::new(self.calls()).max_decoding_message_size(MAX_ANSWER)
    }

    /// Machines.
    #[must_use]
    pub fn machines(&self) -> MachineServiceClient<Calls> {
        MachineServiceClient::new(self.calls()).max_decoding_message_size(MAX_ANSWER)
    }

    /// Login, and the caller's own account.
    #[must_use]
    pub fn auth(&self) -> AuthServiceClient<Calls> {
        AuthServiceClient::new(self.calls())
    }

    /// Sessions.
    #[must_use]
    pub fn sessions(&self) -> SessionServiceClient<Calls> {
        SessionServiceClient::new(self.calls()).max_decoding_message_size(MAX_ANSWER)
    }

    /// The token signing keys.
    #[must_use]
    pub fn signing_keys(&self) -> SigningKeyServiceClient<Calls> {
        SigningKeyServiceClient::new(self.calls())
    }

    /// The audit log.
    #[must_use]
    pub fn audit(&self) -> AuditServiceClient<Calls> {
        AuditServiceClient::new(self.calls()).max_decoding_message_size(MAX_ANSWER)
    }

    /// Break-glass.
    #[must_use]
    pub fn host(&self) -> HostServiceClient<Calls> {
        HostServiceClient::new(self.calls())
    }

    /// The engine itself.
    #[must_use]
    pub fn engine(&self) -> EngineServiceClient<Calls> {
        EngineServiceClient::new(self.calls())
    }
}

/// The connector decides where the bytes go, also on each reconnect; the URI is a formality. Callers set the deadlines
/// of calls.
async fn channel(target: &Target) -> Result<Channel, Unconnected> {
    let connected = match target {
        Target::Socket(path) => {
            let path = path.clone();
            let connector = tower::service_fn(move |_| {
                let path = path.clone();
                async move { Link::to_socket(&path).await.map(TokioIo::new) }
            });
            let endpoint = endpoint("http://engine.local")?;
            endpoint.connect_with_connector(connector).await
        }
        Target::Tls { host, port, trust } => {
            let dialer = Dialer::new(host, *port, trust)?;
            let connector = tower::service_fn(move |_| {
                let dialer = dialer.clone();
                async move { dialer.dial().await.map(TokioIo::new) }
            });
            let origin = format!("https://{target}").parse();
            let origin =
                origin.map_err(|_| Unconnected::Other(format!("{target} is not an address")))?;
            let endpoint = endpoint(&format!("http://{target}"))?.origin(origin);
            endpoint.connect_with_connector(connector).await
        }
    };
    connected.map_err(|error| Unconnected::of(&error))
}

fn endpoint(uri: &str) -> Result<Endpoint, Unconnected> {
    let endpoint = Endpoint::from_shared(uri.to_owned());
    let endpoint = endpoint.map_err(|error| Unconnected::Other(error.to_string()))?;
    Ok(endpoint
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_WITHIN)
        .keep_alive_while_idle(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_put_on_each_call_and_never_shown() {
        let text = zeroize::Zeroizing::new("Bearer abc.def".to_owned());
        let mut value = MetadataValue::try_from(text.as_str()).unwrap();
        value.set_sensitive(true);
        let mut bearer = Bearer(Some(value));
        assert!(!format!("{bearer:?}").contains("abc"), "{bearer:?}");
        let request = bearer.call(Request::new(())).unwrap();
        let sent = request.metadata().get("authorization").unwrap();
        assert_eq!(sent.to_str().unwrap(), "Bearer abc.def");
        assert!(!format!("{request:?}").contains("abc"), "{request:?}");
        let without = Bearer::default().call(Request::new(())).unwrap();
        assert!(without.metadata().is_empty());
    }
}
