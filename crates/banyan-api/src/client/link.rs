//! The transport of a connection: the local socket, or TLS to a known engine.

use std::io;
use std::path::Path;
use std::pin::Pin as Pinned;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, OtherError,
    RootCertStore, SignatureScheme,
};

use super::error::{NotPinned, Unconnected};
use super::target::{Pin, Trust};

/// The time limit for connecting, and again for the TLS handshake.
const WITHIN: Duration = Duration::from_secs(5);

/// HTTP/2, which gRPC requires.
const H2: &[u8] = b"h2";

/// An open transport.
pub(super) enum Link {
    Socket(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Link {
    pub(super) async fn to_socket(path: &Path) -> Result<Self, Unconnected> {
        let connecting = tokio::time::timeout(WITHIN, UnixStream::connect(path)).await;
        let connected = connecting.map_err(|_| Unconnected::Silent)?;
        connected.map(Self::Socket).map_err(out_of_reach)
    }
}

fn out_of_reach(error: io::Error) -> Unconnected {
    Unconnected::OutOfReach(Arc::new(error))
}

/// How to reach an engine over TLS; validated once, used for each connection.
#[derive(Clone)]
pub(super) struct Dialer {
    host: String,
    port: u16,
    name: ServerName<'static>,
    connector: TlsConnector,
}

impl Dialer {
    pub(super) fn new(host: &str, port: u16, trust: &Trust) -> Result<Self, Unconnected> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            Unconnected::BadTrust(format!("{host:?} is neither a name nor an address"))
        })?;
        let provider = Arc::new(ring::default_provider());
        let mut config = config(provider, trust)?;
        config.alpn_protocols = vec![H2.to_vec()];
        Ok(Self {
            host: host.to_owned(),
            port,
            name,
            connector: Arc::new(config).into(),
        })
    }

    pub(super) async fn dial(self) -> Result<Link, Unconnected> {
        let reaching = TcpStream::connect((self.host.as_str(), self.port));
        let reached = tokio::time::timeout(WITHIN, reaching).await;
        let tcp = reached
            .map_err(|_| Unconnected::Silent)?
            .map_err(out_of_reach)?;
        tcp.set_nodelay(true).map_err(out_of_reach)?;
        let handshake = self.connector.connect(self.name, tcp);
        let shaken = tokio::time::timeout(WITHIN, handshake).await;
        let tls = shaken
            .map_err(|_| Unconnected::Silent)?
            .map_err(Unconnected::of_handshake)?;
        match tls.get_ref().1.alpn_protocol() {
            Some(H2) => Ok(Link::Tls(Box::new(tls))),
            _ => Err(Unconnected::NotGrpc),
        }
    }
}

fn config(provider: Arc<CryptoProvider>, trust: &Trust) -> Result<ClientConfig, Unconnected> {
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(Unconnected::Tls)?;
    let config = match trust {
        Trust::Pin(pin) => {
            let verifier = PinVerifier {
                pin: *pin,
                algorithms,
            };
            let dangerous = builder.dangerous();
            dangerous.with_custom_certificate_verifier(Arc::new(verifier))
        }
        Trust::Ca(pem) => builder.with_root_certificates(given(pem)?),
        Trust::System => builder.with_root_certificates(system()?),
    };
    Ok(config.with_no_client_auth())
}

fn given(pem: &[u8]) -> Result<RootCertStore, Unconnected> {
    let wrong = |why: String| Unconnected::BadTrust(format!("the CA file is unusable: {why}"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| wrong(error.to_string()))?;
    }
    match roots.is_empty() {
        true => Err(wrong("it contains no PEM certificate".to_owned())),
        false => Ok(roots),
    }
}

/// Unreadable certificates are skipped, as is usual; without any, the server cannot be trusted.
fn system() -> Result<RootCertStore, Unconnected> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    match roots.is_empty() {
        true => Err(Unconnected::UnknownIssuer),
        false => Ok(roots),
    }
}

/// Accepts exactly the pinned key and ignores the rest of the certificate. The handshake signature, which is still
/// verified, proves that the other end holds the key.
#[derive(Debug)]
struct PinVerifier {
    pin: Pin,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let found = Pin::of(end_entity)?;
        if found == self.pin {
            return Ok(ServerCertVerified::assertion());
        }
        let expected = self.pin;
        let why = OtherError(Arc::new(NotPinned { found, expected }));
        Err(CertificateError::Other(why).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl AsyncRead for Link {
    fn poll_read(
        self: Pinned<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Socket(stream) => Pinned::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pinned::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        self: Pinned<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Socket(stream) => Pinned::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pinned::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pinned<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Socket(stream) => Pinned::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pinned::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pinned<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Socket(stream) => Pinned::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pinned::new(stream).poll_shutdown(cx),
        }
    }
}
