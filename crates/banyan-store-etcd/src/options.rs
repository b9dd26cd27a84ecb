//! The options of an etcd store, and their validation.

use std::fmt;
use std::time::Duration;

use banyan_store::StoreError;
use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};
use tonic::transport::Endpoint;
use zeroize::Zeroizing;

/// The connect timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The maximum prefix length: with it, the largest transaction still fits the server's default
/// limit.
const MAX_PREFIX_LEN: usize = 256;

/// Which servers to use, and how.
#[derive(Clone)]
pub struct EtcdOptions {
    /// The members' client addresses, `http://host:port` or `https://host:port`, all of one kind.
    /// They are used one at a time, in this order.
    pub endpoints: Vec<String>,
    /// The prefix of every key on the server; at most 256 bytes. Keys outside of it are never read
    /// or written.
    pub prefix: String,
    /// The user to log in as; `None` for no authentication.
    pub user: Option<Login>,
    /// Required for `https` endpoints, refused for `http` ones.
    pub tls: Option<Tls>,
    /// The time limit of an operation, including a second attempt.
    pub request_timeout: Duration,
    /// The buffer of a watcher that reads slowly.
    pub lag: Lag,
}

/// A user of the server and its password.
#[derive(Clone)]
pub struct Login {
    /// The user's name.
    pub name: String,
    /// Its password.
    pub password: Zeroizing<String>,
}

/// How to authenticate the servers, and ourselves to them.
#[derive(Clone)]
pub struct Tls {
    /// The certificate authorities, in PEM, one of which must have signed the servers' certificates. The system's trust
    /// store is not used.
    pub ca_pem: String,
    /// Our certificate and its private key, in PEM, if the servers require one.
    pub identity: Option<(String, Zeroizing<String>)>,
}

/// When a watcher counts as too slow. It then gets
/// [`WatchError::Compacted`](banyan_store::WatchError::Compacted).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// The maximum number of buffered transactions.
    pub batches: usize,
    /// How long it may take no transaction while the buffer is full.
    pub patience: Duration,
}

impl Default for Lag {
    fn default() -> Self {
        Self {
            batches: 1024,
            patience: Duration::from_secs(10),
        }
    }
}

impl EtcdOptions {
    /// These endpoints, with no key prefix, no user, no TLS and a timeout of 5 seconds.
    pub fn new(endpoints: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            prefix: String::new(),
            user: None,
            tls: None,
            request_timeout: Duration::from_secs(5),
            lag: Lag::default(),
        }
    }

    /// Checks everything that needs no server.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.endpoints.is_empty() {
            return Err(bad("endpoints", "empty; give at least one"));
        }
        if self.request_timeout.is_zero() {
            return Err(bad("request_timeout", "it is zero; give some seconds"));
        }
        if self.prefix.len() > MAX_PREFIX_LEN || self.prefix.contains('\0') {
            let reason = format!("it has a NUL character or more than {MAX_PREFIX_LEN} bytes");
            return Err(bad("prefix", reason));
        }
        if self.user.as_ref().is_some_and(|user| user.name.is_empty()) {
            return Err(bad("user", "the name is empty; name one, or give no user"));
        }
        if let Some(tls) = &self.tls {
            tls.check()?;
        }
        self.endpoints.iter().try_for_each(|url| self.usable(url))
    }

    fn usable(&self, url: &str) -> Result<(), StoreError> {
        let wrong = |why: &str| bad("endpoints", format!("{}: {why}", without_userinfo(url)));
        if url.contains('@') {
            return Err(wrong("put the user into its own option"));
        }
        let secure = url.starts_with("https://");
        if !secure && !url.starts_with("http://") {
            return Err(wrong("it must start with http:// or https://"));
        }
        if secure && self.tls.is_none() {
            return Err(wrong(
                "https needs the certificate authority that signed the server's certificate; the system's are not used",
            ));
        }
        if !secure && self.tls.is_some() {
            return Err(wrong("TLS is configured; use https, or drop TLS"));
        }
        let endpoint =
            Endpoint::from_shared(url.to_owned()).map_err(|_| wrong("it is not a URL"))?;
        let uri = endpoint.uri();
        if uri.host().is_none_or(str::is_empty) || uri.port_u16().is_none() {
            return Err(wrong("it needs a host and a port, as in http://host:2379"));
        }
        match &self.tls {
            None => Ok(()),
            Some(tls) => match endpoint.tls_config(tls.client_config()) {
                Ok(_) => Ok(()),
                // The cause is not shown: it may quote the input it failed to parse.
                Err(_) => Err(bad(
                    "tls",
                    "the certificate authority, the certificate or the key is not usable; check that the key belongs to the certificate, and that both certificates are X.509 of version 3 (`openssl x509 -text -noout -in …`)",
                )),
            },
        }
    }

    /// The options of one connection.
    pub(crate) fn connect_options(&self) -> ConnectOptions {
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_require_leader(true)
            .with_auto_token_refresh(true);
        if let Some(user) = &self.user {
            options = options.with_user(user.name.as_str(), user.password.as_str());
        }
        if let Some(tls) = &self.tls {
            options = options.with_tls(tls.client_config());
        }
        options
    }
}

impl Tls {
    fn check(&self) -> Result<(), StoreError> {
        let has = |pem: &str, what: &str| pem.contains("-----BEGIN ") && pem.contains(what);
        if !has(&self.ca_pem, "CERTIFICATE-----") {
            return Err(bad(
                "tls.ca_pem",
                "it has no certificate; give one in PEM, which starts with -----BEGIN CERTIFICATE-----",
            ));
        }
        match &self.identity {
            Some((cert, _)) if !has(cert, "CERTIFICATE-----") => {
                Err(bad("tls.identity", "the certificate is not in PEM"))
            }
            Some((_, key)) if !has(key, "PRIVATE KEY-----") => {
                Err(bad("tls.identity", "the private key is not in PEM"))
            }
            _ => Ok(()),
        }
    }

    fn client_config(&self) -> TlsOptions {
        let config = TlsOptions::new().ca_certificate(Certificate::from_pem(&self.ca_pem));
        match &self.identity {
            Some((cert, key)) => config.identity(Identity::from_pem(cert, key.as_str())),
            None => config,
        }
    }
}

fn bad(option: &'static str, reason: impl Into<String>) -> StoreError {
    StoreError::BadOption {
        option,
        reason: reason.into(),
    }
}

/// An address without its password, safe to print.
fn without_userinfo(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => url.to_owned(),
    }
}

/// Passwords and keys are not shown.
impl fmt::Debug for EtcdOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoints: Vec<String> = self.endpoints.iter().map(|e| without_userinfo(e)).collect();
        f.debug_struct("EtcdOptions")
            .field("endpoints", &endpoints)
            .field("prefix", &self.prefix)
            .field("user", &self.user.as_ref().map(|user| &user.name))
            .field("tls", &self.tls.is_some())
            .field("request_timeout", &self.request_timeout)
            .field("lag", &self.lag)
            .finish()
    }
}
