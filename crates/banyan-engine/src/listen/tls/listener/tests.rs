use std::path::Path;

use banyan_api::{Client, Target, Trust, Unconnected};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_stream::StreamExt as _;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::config::Config;
use crate::listen::tls::made::{Authority, GOOD, config, given};
use crate::listen::{serve, tls};

/// gRPC over TLS, with health.
struct Served {
    address: SocketAddr,
    metrics: Arc<Metrics>,
    _stop: DropGuard,
}

async fn listener(address: &str, config: &Config) -> (SocketAddr, Arc<Metrics>, Listener) {
    let tcp = TcpListener::bind(address).await.unwrap();
    let address = tcp.local_addr().unwrap();
    let certificate = Certificate::open(config).unwrap();
    let limits = Limits {
        handshakes: 64,
        connections: 500,
        from_one: 16,
        exempt: Vec::new(),
    };
    let metrics = Arc::new(Metrics::new());
    let counted = Arc::clone(&metrics);
    let listener = Listener::tls(tcp, &certificate, &[b"h2"], limits, counted).unwrap();
    (address, metrics, listener)
}

async fn serve_at(address: &str, config: &Config) -> Served {
    let (address, metrics, listener) = listener(address, config).await;
    let (health, _) = tonic_health::server::health_reporter();
    let stop = CancellationToken::new();
    let health = tonic_health::server::HealthService::from_health_reporter(health);
    let health = tonic_health::pb::health_server::HealthServer::new(health);
    let routes = tonic::service::Routes::new(health);
    let gate = crate::access::tests::layer().await;
    tokio::spawn(serve::public(listener, routes, gate, stop.clone()));
    Served {
        address,
        metrics,
        _stop: stop.drop_guard(),
    }
}

async fn serve_own(folder: &Path) -> (Served, Config) {
    let config = config(folder, "");
    (serve_at("127.0.0.1:0", &config).await, config)
}

fn target(host: &str, address: SocketAddr, trust: Trust) -> Target {
    Target::Tls {
        host: host.to_owned(),
        port: address.port(),
        trust,
    }
}

/// Connects and makes a call.
async fn call(target: &Target) -> Result<(), Unconnected> {
    let client = Client::connect(target).await.map_err(|error| error.why)?;
    let mut health = HealthClient::new(client.calls());
    health.check(HealthCheckRequest::default()).await.unwrap();
    Ok(())
}

fn refused(metrics: &Metrics, why: &str) -> String {
    let text = metrics.render(banyan_core::Generation(0), &banyan_state::View::default());
    let line = format!("banyan_refused_connections_total{{why=\"{why}\"}} ");
    let count = text.lines().find_map(|text| text.strip_prefix(&line));
    count.unwrap_or("0").to_owned()
}

#[tokio::test]
async fn only_the_pinned_engine_is_accepted() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (served, config) = serve_own(folder.path()).await;
    let pin = tls::pin(&config).unwrap();
    assert_eq!(tls::pin_of(&config).unwrap(), pin);
    call(&target("127.0.0.1", served.address, Trust::Pin(pin)))
        .await
        .unwrap();
    let wrong = tls::pin(&self::config(other.path(), "")).unwrap();
    let error = call(&target("127.0.0.1", served.address, Trust::Pin(wrong))).await;
    let Err(Unconnected::WrongPin { found, expected }) = error else {
        panic!("{error:?}");
    };
    assert_eq!((found, expected), (pin, wrong));
    let error = call(&target("127.0.0.1", served.address, Trust::System)).await;
    assert!(
        matches!(error, Err(Unconnected::UnknownIssuer)),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_engines_own_certificate_may_be_given_as_the_authority() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "");
    let served = serve_at("127.0.0.1:0", &config).await;
    let pem = std::fs::read(folder.path().join("state/tls/cert.pem")).unwrap();
    for name in ["localhost", "127.0.0.1"] {
        let trust = Trust::Ca(pem.clone());
        call(&target(name, served.address, trust)).await.unwrap();
    }
    let elsewhere = serve_at("127.0.0.2:0", &config).await;
    let error = call(&target("127.0.0.2", elsewhere.address, Trust::Ca(pem))).await;
    let Err(Unconnected::WrongName { names }) = error else {
        panic!("{error:?}");
    };
    assert!(
        names.iter().any(|name| name.contains("localhost")),
        "{names:?}"
    );
}

#[tokio::test]
async fn with_an_authority_only_its_certificates_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (cert, key) = authority.write(folder.path(), "good", GOOD);
    let served = serve_at("127.0.0.1:0", &given(folder.path(), &cert, &key)).await;
    let by = |authority: &Authority| Trust::Ca(authority.pem());
    let at = served.address;
    call(&target("localhost", at, by(&authority)))
        .await
        .unwrap();
    let error = call(&target("localhost", at, by(&stranger))).await;
    assert!(
        matches!(error, Err(Unconnected::UnknownIssuer)),
        "{error:?}"
    );
    let error = call(&target("127.0.0.1", at, by(&authority))).await;
    assert!(
        matches!(error, Err(Unconnected::WrongName { .. })),
        "{error:?}"
    );
    for trust in [Trust::Ca(b"nonsense".to_vec()), Trust::Ca(Vec::new())] {
        let error = call(&target("localhost", at, trust)).await;
        assert!(matches!(error, Err(Unconnected::BadTrust(_))), "{error:?}");
    }
}

#[tokio::test]
async fn an_expired_certificate_is_served_and_refused_unless_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    for (years, early) in [((2001, 2002), false), ((2100, 2101), true)] {
        let (cert, key) = authority.write(folder.path(), "bad", years);
        let config = given(folder.path(), &cert, &key);
        let served = serve_at("127.0.0.1:0", &config).await;
        let error = call(&target(
            "localhost",
            served.address,
            Trust::Ca(authority.pem()),
        ))
        .await;
        match early {
            true => assert!(matches!(error, Err(Unconnected::NotYetValid)), "{error:?}"),
            false => assert!(matches!(error, Err(Unconnected::Expired)), "{error:?}"),
        }
        let pin = tls::pin(&config).unwrap();
        call(&target("localhost", served.address, Trust::Pin(pin)))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_client_without_tls_is_refused_and_the_next_one_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let (served, config) = serve_own(folder.path()).await;
    for nonsense in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &[0; 400],
        &[0x16, 3, 1, 255, 255],
    ] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(nonsense).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // The connection is closed, or reset if some data was unread.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    let pin = tls::pin(&config).unwrap();
    call(&target("127.0.0.1", served.address, Trust::Pin(pin)))
        .await
        .unwrap();
    assert_eq!(refused(&served.metrics, "handshake"), "3");
}

#[tokio::test]
async fn three_hundred_silent_connections_do_not_keep_a_good_one_out() {
    let folder = tempfile::tempdir().unwrap();
    let (served, config) = serve_own(folder.path()).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(served.address).await.unwrap());
    }
    let pin = tls::pin(&config).unwrap();
    call(&target("127.0.0.1", served.address, Trust::Pin(pin)))
        .await
        .unwrap();
    assert_eq!(
        refused(&served.metrics, "displaced"),
        "237",
        "64 are left, of 301"
    );
}

#[tokio::test]
async fn one_address_cannot_exceed_its_limit() {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let limits = Limits {
        handshakes: 8,
        connections: 2,
        from_one: 1,
        exempt: Vec::new(),
    };
    let metrics = Arc::new(Metrics::new());
    let mut taken = Listener::plain(tcp, limits, Arc::clone(&metrics)).connections();
    let _clients = [
        TcpStream::connect(address).await.unwrap(),
        TcpStream::connect(address).await.unwrap(),
    ];
    let first = taken.next().await.unwrap().unwrap();
    let _second = taken.next().await.unwrap().unwrap();
    let mut third = TcpStream::connect(address).await.unwrap();
    assert_eq!(
        third.read(&mut [0]).await.unwrap(),
        0,
        "the connection is closed"
    );
    assert_eq!(refused(&metrics, "full"), "1");
    drop(first);
    let _fourth = TcpStream::connect(address).await.unwrap();
    taken.next().await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn half_a_handshake_is_cut_after_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let (served, _) = serve_own(folder.path()).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    // The header of a record whose body never follows.
    stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).await.unwrap();
    let begun = tokio::time::Instant::now();
    let _ = stream.read(&mut [0; 64]).await;
    assert!(begun.elapsed() >= HANDSHAKE, "{:?}", begun.elapsed());
    assert!(begun.elapsed() < 2 * HANDSHAKE, "{:?}", begun.elapsed());
    assert_eq!(refused(&served.metrics, "silent"), "1");
}

/// A TLS client that trusts the engine's own certificate.
fn connector(folder: &Path) -> TlsConnector {
    let pem = CertificateDer::from_pem_file(folder.join("state/tls/cert.pem")).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(pem).unwrap();
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_webpki_verifier(verifier.build().unwrap());
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config).into()
}

#[tokio::test]
async fn a_client_that_is_silent_after_the_handshake_is_disconnected() {
    let folder = tempfile::tempdir().unwrap();
    let (served, _) = serve_own(folder.path()).await;
    let stream = TcpStream::connect(served.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = connector(folder.path())
        .connect(name, stream)
        .await
        .unwrap();
    tls.write_all(b"PRI * HTTP/2.0").await.unwrap();
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let mut answer = Vec::new();
    // Closed, with or without a message.
    let _ = tokio::time::timeout(Duration::from_secs(600), tls.read_to_end(&mut answer)).await;
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_connection_tells_where_it_comes_from() {
    use tonic::transport::server::Connected as _;
    let folder = tempfile::tempdir().unwrap();
    let (address, _, listener) = listener("127.0.0.1:0", &config(folder.path(), "")).await;
    let mut taken = listener.connections();
    let stream = TcpStream::connect(address).await.unwrap();
    let own = stream.local_addr().unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let shaking = tokio::spawn(
        connector(folder.path())
            .connect(name, stream)
            .into_fallible(),
    );
    let connection = taken.next().await.unwrap().unwrap();
    assert_eq!(connection.peer(), Some(own));
    assert_eq!(connection.connect_info().remote_addr(), Some(own));
    shaking.await.unwrap().map_err(|(error, _)| error).unwrap();
}

#[tokio::test]
async fn servers_other_than_an_engine_are_recognized() {
    let pin = "sha256:".to_owned() + &"0".repeat(64);
    let trust = || Trust::Pin(pin.parse().unwrap());
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    let talking = tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        stream
            .write_all(b"220 mail.example.org ESMTP\r\n")
            .await
            .unwrap();
        let _ = stream.read(&mut [0; 64]).await;
    });
    let error = call(&target("127.0.0.1", address, trust())).await;
    assert!(matches!(error, Err(Unconnected::NotTls)), "{error:?}");
    talking.await.unwrap();
    let error = call(&target("127.0.0.1", address, trust())).await;
    let Err(Unconnected::OutOfReach(error)) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);

    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "");
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let certificate = Certificate::open(&config).unwrap();
    let (limits, metrics) = (Limits::with_files(1024), Arc::new(Metrics::new()));
    let web = Listener::tls(tcp, &certificate, &[b"http/1.1"], limits, metrics).unwrap();
    let _taken = web.connections();
    let trust = Trust::Pin(certificate.pin());
    let error = call(&target("127.0.0.1", address, trust)).await;
    assert!(matches!(error, Err(Unconnected::NotGrpc)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_does_not_answer_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pin = "sha256:".to_owned() + &"0".repeat(64);
    let trust = Trust::Pin(pin.parse().unwrap());
    let error = call(&target("127.0.0.1", silent.local_addr().unwrap(), trust)).await;
    assert!(matches!(error, Err(Unconnected::Silent)), "{error:?}");
}

#[test]
fn the_bounds_leave_files_for_the_rest_of_the_engine() {
    let few = Limits::with_files(1024);
    assert_eq!(
        (few.connections, few.handshakes, few.from_one),
        (256, 128, 128)
    );
    let many = Limits::with_files(1 << 20);
    assert_eq!((many.connections, many.handshakes), (4096, 256));
    assert!(open_files().is_some());
}
