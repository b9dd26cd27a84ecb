//! The layer that asks the gate about each call.

use std::sync::Arc;
use std::task::{Context, Poll};

use banyan_api::denied;
use banyan_core::Denial;
use banyan_identity::{Call, Caller, Denied, PeerAddr};
use futures_util::TryFutureExt as _;
use futures_util::future::{Either, MapOk, Ready, ready};
use http_body_util::BodyExt as _;
use ipnet::IpNet;
use tokio_util::task::TaskTracker;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response, header};
use tonic::transport::server::{TcpConnectInfo, UdsConnectInfo};
use tower::{Layer, Service};

use super::{Denials, LiveGate, client_address};

/// Puts the gate before services.
#[derive(Clone)]
pub(crate) struct GateLayer {
    pub(crate) gate: Arc<LiveGate>,
    pub(crate) denials: Denials,
    pub(crate) trusted: Arc<[IpNet]>,
    /// The calls under way, each until its response has been sent.
    pub(crate) calls: TaskTracker,
}

/// Adds to a response what is held until it has been sent.
type Held = Box<dyn FnOnce(Response<Body>) -> Response<Body> + Send>;

/// Services behind the gate.
#[derive(Clone)]
pub(crate) struct Gated<S> {
    inner: S,
    layer: GateLayer,
}

impl<S> Layer<S> for GateLayer {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        let layer = self.clone();
        Gated { inner, layer }
    }
}

impl<S, B> Service<Request<B>> for Gated<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<MapOk<S::Future, Held>, Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.layer.authorize(&request) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                let held = self.layer.call_under_way();
                Either::Left(self.inner.call(request).map_ok(held))
            }
            Err(refusal) => Either::Right(ready(Ok(refusal.into_http()))),
        }
    }
}

impl GateLayer {
    /// Counts a call until its response has been sent, or until its caller is gone.
    fn call_under_way(&self) -> Held {
        let call = self.calls.token();
        Box::new(move |response| {
            response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _held = &call;
                    frame
                }))
            })
        })
    }

    fn authorize<B>(&self, request: &Request<B>) -> Result<Caller, Status> {
        let path = request.uri().path();
        let from = self.origin(request);
        let judged = match token(request) {
            Ok(token) => (self.gate).authorize(Call { path, token, from }, crate::clock::now()),
            Err(()) => Err(Denial::Malformed.into()),
        };
        judged.map_err(|Denied { denial, caller }| match denial {
            Some(denial) => {
                let from = from.to_string();
                self.denials.call(path, &from, caller.as_ref(), &denial);
                denied(&denial)
            }
            None => Status::unimplemented("there is no such service or method"),
        })
    }

    fn origin<B>(&self, request: &Request<B>) -> PeerAddr {
        let extensions = request.extensions();
        if let Some(socket) = extensions.get::<UdsConnectInfo>() {
            return match socket.peer_cred {
                Some(credentials) => PeerAddr::Socket {
                    uid: credentials.uid(),
                },
                None => PeerAddr::Unknown,
            };
        }
        let tcp = extensions.get::<TcpConnectInfo>();
        let Some(peer) = tcp.and_then(TcpConnectInfo::remote_addr) else {
            return PeerAddr::Unknown;
        };
        let forwarded = request.headers().get_all("x-forwarded-for").iter();
        let forwarded: Vec<&str> = match self.trusted.is_empty() {
            true => Vec::new(),
            false => forwarded.filter_map(|value| value.to_str().ok()).collect(),
        };
        PeerAddr::Address(client_address(
            peer.ip(),
            forwarded.into_iter(),
            &self.trusted,
        ))
    }
}

/// The token of a request (RFC 6750 §2.1); an error if there is more than one, or something else in its place.
fn token<B>(request: &Request<B>) -> Result<Option<&str>, ()> {
    let mut values = request.headers().get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(());
    }
    let text = value.to_str().map_err(|_| ())?;
    let (scheme, token) = text.split_once(' ').ok_or(())?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(Some(token.trim()))
    } else {
        Err(())
    }
}
