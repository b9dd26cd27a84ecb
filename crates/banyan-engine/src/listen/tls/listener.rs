//! Taking connections, within bounds. Nothing that a client does ends it, and a client that does nothing is cut.

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
use super::slots::{ConnectionSlots, Seat, UnderWay, place};
use crate::Failure;
use crate::ops::metrics::Metrics;

/// How long a handshake may take.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long to wait when the system has no connection to give (too many open files, for one).
const PAUSE: Duration = Duration::from_millis(100);

/// Connections that were taken and that nobody has begun to serve.
const TAKEN: usize = 16;

/// How many connections a listener takes.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Handshakes under way.
    pub(crate) handshakes: usize,
    /// Connections in all.
    pub(crate) connections: usize,
    /// Connections from one address (IPv6: one network of 64 bits). This host is exempt.
    pub(crate) from_one: usize,
    /// Networks that are exempt from that too: proxies, behind which many clients are.
    pub(crate) exempt: Vec<IpNet>,
}

impl Limits {
    /// What a process with so many files may take on one of its listeners.
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

/// How many files this process may have open.
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

    /// The connections, from now on; dropped, the listener is closed.
    pub(crate) fn connections(self) -> ReceiverStream<io::Result<Connection>> {
        let (taken, connections) = mpsc::channel(TAKEN);
        tokio::spawn(self.take_all(taken));
        ReceiverStream::new(connections)
    }

    async fn take_all(self, taken: mpsc::Sender<io::Result<Connection>>) {
        let seats = ConnectionSlots::new(
            self.limits.connections,
            self.limits.from_one,
            self.limits.exempt.clone(),
        );
        let mut under_way = UnderWay::new(self.limits.handshakes);
        let mut handshakes = JoinSet::new();
        loop {
            tokio::select! {
                () = taken.closed() => return,
                Some(over) = handshakes.join_next_with_id() => under_way.over(id(&over)),
                accepted = self.tcp.accept() => match accepted {
                    Ok((stream, peer)) => match seats.take(peer.ip()) {
                        Some(seat) => {
                            let shaking = self.shake(stream, peer, seat, taken.clone());
                            let task = handshakes.spawn(shaking);
                            if under_way.add(place(peer.ip()), task) {
                                self.refuse("displaced", peer, "too many handshakes under way");
                            }
                        }
                        None => self.refuse("full", peer, "too many connections"),
                    },
                    Err(error) => {
                        debug!(%error, "no connection could be taken");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
    }

    /// Only counted, and said at the level for those who look: a scanner must not fill the log.
    fn refuse(&self, why: &'static str, peer: SocketAddr, error: &str) {
        refuse(&self.metrics, why, peer, error);
    }

    fn shake(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        seat: Seat,
        taken: mpsc::Sender<io::Result<Connection>>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (tls, metrics) = (self.tls.clone(), Arc::clone(&self.metrics));
        async move {
            let shaken = tokio::time::timeout(HANDSHAKE, bytes(stream, tls)).await;
            match shaken {
                // Nobody takes it when the listener is closed just now.
                Ok(Ok(bytes)) => {
                    let _ = taken.send(Ok(Connection::new(bytes, peer, seat))).await;
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
    debug!(%peer, error, "a connection is not taken");
}

fn id(over: &Result<(Id, ()), JoinError>) -> Id {
    match over {
        Ok((id, ())) => *id,
        Err(error) => error.id(),
    }
}

#[cfg(test)]
mod tests;
