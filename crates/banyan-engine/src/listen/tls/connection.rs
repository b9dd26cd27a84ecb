//! One connection: its transport, its peer address, and the deadline for its first bytes.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::slots::Slot;

/// An accepted connection.
#[derive(Debug)]
pub(crate) struct Connection {
    bytes: Bytes,
    info: TcpConnectInfo,
    greeting: Option<Greeting>,
    /// Held as long as the connection exists.
    _slot: Slot,
}

#[derive(Debug)]
pub(super) enum Bytes {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The bytes the client must send first, and the deadline. Keepalive starts only after that.
#[derive(Debug)]
struct Greeting {
    missing: usize,
    deadline: Pin<Box<Sleep>>,
}

impl Connection {
    pub(super) fn new(bytes: Bytes, peer: SocketAddr, slot: Slot) -> Self {
        let tcp = match &bytes {
            Bytes::Plain(stream) => stream,
            Bytes::Tls(stream) => stream.get_ref().0,
        };
        let info = TcpConnectInfo {
            local_addr: tcp.local_addr().ok(),
            remote_addr: Some(peer),
        };
        Self {
            bytes,
            info,
            greeting: None,
            _slot: slot,
        }
    }

    /// Closes the connection unless this many bytes arrive within this time.
    pub(crate) fn greeted(mut self, bytes: usize, within: Duration) -> Self {
        self.greeting = Some(Greeting {
            missing: bytes,
            deadline: Box::pin(sleep(within)),
        });
        self
    }

    /// The peer's address.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.info.remote_addr
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.info.clone()
    }
}

impl Bytes {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let Some(greeting) = &mut this.greeting else {
            return this.bytes.poll_read(cx, buffer);
        };
        if let Poll::Ready(read) = this.bytes.poll_read(cx, buffer) {
            greeting.missing = greeting
                .missing
                .saturating_sub(buffer.filled().len() - before);
            if greeting.missing == 0 {
                this.greeting = None;
            }
            return Poll::Ready(read);
        }
        ready!(greeting.deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().bytes {
            Bytes::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Bytes::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().bytes {
            Bytes::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Bytes::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().bytes {
            Bytes::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Bytes::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
