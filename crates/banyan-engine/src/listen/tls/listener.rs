//! Accepting connections, within limits. No client can stop the listener, and idle clients are disconnected.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tracing::debug;

use super::Certificate;
use super::connection::{Bytes, Connection};
use super::slots::{ConnectionSlots, RunningHandshakes, Slot, place};
use crate::Failure;
use crate::ops::metrics::Metrics;

/// The time limit of a handshake.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long to wait after accept fails (for example because of too many open files).
const PAUSE: Duration = Duration::from_millis(100);

/// How many accepted connections can wait to be served.
const ACCEPTED: usize = 16;

/// The connection limits of a listener.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Concurrent handshakes.
    pub(crate) handshakes: usize,
    /// Connections in total.
    pub(crate) connections: usize,
    /// Connections from one address (for IPv6, one /64 network). This host is exempt.
    pub(crate) from_one: usize,
    /// Networks that are also exempt: proxies that forward many clients.
    pub(crate) exempt: Vec<IpNet>,
}

impl Limits {
    /// Limits derived from the number of files this process may have open.
    pub(crate) fn here() -> Self {
        Self::with_files(open_files().unwrap_or(1024))
    }

    /// A quarter for each of the two listeners, the rest for everything else.
    fn with_files(files: usize) -> Self {
        Self {
            handshakes: 256.min(files / 8),
            connections: 4096.min(files / 4),
            from_one: 256.min(files / 8),
            exempt: Vec::new(),
        }
    }
}

/// The maximum number of open files of this process.
fn open_files() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A TCP listener with or without TLS.
pub(crate) struct Listener {
    tcp: TcpListener,
    tls: Option<(Arc<Certificate>, TlsAcceptor)>,
    limits: Limits,
    metrics: Arc<Metrics>,
}

impl Listener {
    /// With TLS, for these protocols (ALPN).
    pub(crate) fn tls(
        tcp: TcpListener,
        certificate: &Arc<Certificate>,
        protocols: &[&[u8]],
        limits: Limits,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Failure> {
        let acceptor = TlsAcceptor::from(Arc::new(certificate.server(protocols)?));
        Ok(Self {
            tcp,
            tls: Some((Arc::clone(certificate), acceptor)),
            limits,
            metrics,
        })
    }

    /// Without TLS.
    pub(crate) fn plain(tcp: TcpListener, limits: Limits, metrics: Arc<Metrics>) -> Self {
        Self {
            tcp,
            tls: None,
            limits,
            metrics,
        }
    }

    /// The accepted connections; dropping the stream closes the listener.
    pub(crate) fn connections(self) -> ReceiverStream<io::Result<Connection>> {
        let (taken, connections) = mpsc::channel(ACCEPTED);
        tokio::spawn(self.accept_all(taken));
        ReceiverStream::new(connections)
    }

    async fn accept_all(self, taken: mpsc::Sender<io::Result<Connection>>) {
        let slots = ConnectionSlots::new(
            self.limits.connections,
            self.limits.from_one,
            self.limits.exempt.clone(),
        );
        let mut running = RunningHandshakes::new(self.limits.handshakes);
        let mut handshakes = JoinSet::new();
        loop {
            tokio::select! {
                () = taken.closed() => return,
                Some(over) = handshakes.join_next_with_id() => running.over(id(&over)),
                accepted = self.tcp.accept() => match accepted {
                    Ok((stream, peer)) => match slots.take(peer.ip()) {
                        Some(slot) => {
                            let handshake = self.start_handshake(stream, peer, slot, taken.clone());
                            let task = handshakes.spawn(handshake);
                            if running.add(place(peer.ip()), task) {
                                self.refuse("displaced", peer, "too many concurrent handshakes");
                            }
                        }
                        None => self.refuse("full", peer, "too many connections"),
                    },
                    Err(error) => {
                        debug!(%error, "accepting a connection failed");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
    }

    /// Counted, and logged only at debug: a scanner must not fill the log.
    fn refuse(&self, why: &'static str, peer: SocketAddr, error: &str) {
        refuse(&self.metrics, why, peer, error);
    }

    fn start_handshake(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        slot: Slot,
        taken: mpsc::Sender<io::Result<Connection>>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (tls, metrics) = (self.tls.clone(), Arc::clone(&self.metrics));
        async move {
            let finished = tokio::time::timeout(HANDSHAKE, bytes(stream, tls)).await;
            match finished {
                // The receiver is gone if the listener was just closed.
                Ok(Ok(bytes)) => {
                    let _ = taken.send(Ok(Connection::new(bytes, peer, slot))).await;
                }
                Ok(Err(error)) => refuse(&metrics, "handshake", peer, &error.to_string()),
                Err(_) => refuse(&metrics, "silent", peer, "no handshake in time"),
            }
        }
    }
}

async fn bytes(
    stream: TcpStream,
    tls: Option<(Arc<Certificate>, TlsAcceptor)>,
) -> io::Result<Bytes> {
    stream.set_nodelay(true)?;
    let Some((certificate, acceptor)) = tls else {
        return Ok(Bytes::Plain(stream));
    };
    certificate.renew().await;
    let stream = acceptor.accept(stream).await?;
    Ok(Bytes::Tls(Box::new(stream)))
}

fn refuse(metrics: &Metrics, why: &'static str, peer: SocketAddr, error: &str) {
    metrics.refused_connection(why);
    debug!(%peer, error, "a connection was refused");
}

fn id(over: &Result<(Id, ()), JoinError>) -> Id {
    match over {
        Ok((id, ())) => *id,
        Err(error) => error.id(),
    }
}

#[cfg(test)]
mod tests;
