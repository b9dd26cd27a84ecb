use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::DropGuard;

use super::*;
use crate::listen::tls::Limits;
use crate::ops::metrics::Metrics;

async fn served(router: Router) -> (SocketAddr, DropGuard) {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let listener = Listener::plain(tcp, Limits::here(), Arc::new(Metrics::new()));
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, router, stop.clone()));
    (address, stop.drop_guard())
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn the_current_keys_are_served() {
    let (keys, shown) = watch::channel(NO_KEYS.to_owned());
    let (address, _stop) = served(router(shown)).await;
    let answer = ask(address, &get("/.well-known/jwks.json")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(
        answer.contains("content-type: application/jwk-set+json\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("cache-control: public, max-age=300\r\n"),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\n{\"keys\":[]}"), "{answer}");
    keys.send_replace("{\"keys\":[1]}".to_owned());
    let answer = ask(address, &get("/.well-known/jwks.json")).await;
    assert!(answer.ends_with("{\"keys\":[1]}"), "{answer}");
    for path in ["/", "/healthz", "/metrics", "/.well-known/"] {
        let answer = ask(address, &get(path)).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
}

#[tokio::test]
async fn handlers_see_where_a_request_comes_from_and_large_bodies_are_refused() {
    async fn peer(ConnectInfo(peer): ConnectInfo<SocketAddr>, body: String) -> String {
        format!("{} sent {}", peer.ip(), body.len())
    }
    let router = Router::new().route("/", axum::routing::post(peer));
    let (address, _stop) = served(router).await;
    let post = |size: usize| {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
        );
        head + &"a".repeat(size)
    };
    let answer = ask(address, &post(10)).await;
    assert!(answer.ends_with("127.0.0.1 sent 10"), "{answer}");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let text = post(BODY + 1);
    let (mut read, mut write) = stream.split();
    let mut head = [0; 12];
    let (_, answered) = tokio::join!(write.write_all(text.as_bytes()), read.read_exact(&mut head));
    answered.unwrap();
    assert_eq!(&head, b"HTTP/1.1 413");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_half_a_head_or_none_is_disconnected() {
    let (_, keys) = watch::channel(NO_KEYS.to_owned());
    let (address, _stop) = served(router(keys)).await;
    for sent in ["", "GET / HTTP/1.1\r\nHost"] {
        let begun = tokio::time::Instant::now();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
        assert!(begun.elapsed() >= HEAD, "{sent:?}: {:?}", begun.elapsed());
        assert!(
            begun.elapsed() < 2 * HEAD,
            "{sent:?}: {:?}",
            begun.elapsed()
        );
    }
}
