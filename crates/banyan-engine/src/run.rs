//! Puts the engine together, runs it and takes it down.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use banyan_auth::{Cost, Hashing, Keyring};
use banyan_git::RefWatcher;
use banyan_manifest::Identities;
use banyan_repo::EngineContext;
use banyan_state::{Alive, Election, LEASE, Leadership, Member, Registration, State};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic_health::ServingStatus;
use tracing::{info, warn};

use crate::Failure;
use crate::access::{Gate, GateLayer, KeyringCache};
use crate::audit::{Audit, Unsettled};
use crate::clock::now;
use crate::config::{Config, StoreBackend};
use crate::denials::Denials;
use crate::device::DeviceFactory;
use crate::drift::Drift;
use crate::health::{Probe, router};
use crate::jwks;
use crate::login::Login;
use crate::metrics::Metrics;
use crate::peers::{Current, DeviceProblem, Peers};
use crate::people::ending::SessionReaper;
use crate::private_file::make_private_dir;
use crate::reader::Reader;
use crate::reconciler::{Event, Handle, Reconciler, Requests};
use crate::serve::{self, Socket};
use crate::services::{Services, Shared};
use crate::status::Status;
use crate::store::{engine_name, host, open_state};
use crate::tls::{Certificate, Limits, Listener};
use crate::web;

/// How long calls under way may take when the engine stops.
const DRAIN: Duration = Duration::from_secs(10);

/// How many reports of what was put right on the device may wait to be written down.
const PUT_RIGHT: usize = 16;

/// How many passwords may wait to be hashed.
const HASHING_QUEUE: usize = 64;

/// How many events a slow watcher may be behind before it misses some.
const EVENTS: usize = 64;

/// Where people reach an engine over TLS, and by what they know it.
#[derive(Debug, Clone)]
pub struct Reached {
    /// The address that gRPC is served at.
    pub grpc: SocketAddr,
    /// The pin of its certificate's key.
    pub pin: String,
}

/// A running engine.
pub struct Engine {
    stop: CancellationToken,
    tasks: JoinSet<()>,
    state: Arc<State>,
    device: Current,
    trouble: DeviceProblem,
    reconciler: Handle,
    events: broadcast::Sender<Event>,
    http: SocketAddr,
    reached: Reached,
    socket: PathBuf,
    no_packets: Option<String>,
    /// Stops after everything that has something to write down.
    denials: Denials,
    audit: (CancellationToken, AbortOnDropHandle<()>),
    /// Stops last, so that the pass under way can be finished.
    election: Option<(CancellationToken, JoinHandle<()>)>,
    /// Dropped last but for the socket: no hint comes after that.
    _watcher: Option<RefWatcher>,
}

impl Engine {
    /// Starts an engine. `trial` lets it run where WireGuard cannot.
    ///
    /// # Errors
    /// Something that it needs cannot be had.
    pub async fn start(config: Config, trial: bool) -> Result<Self, Failure> {
        let ground = Prepared::prepare(&config, trial).await?;
        let http = ground.metrics_listener.local_addr();
        let http = http.map_err(|error| Failure::setup("listen for metrics", error))?;
        ground.build(config, http)
    }

    /// What passes do, from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Where metrics and health are served.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where people reach it over TLS, and by what they know it.
    #[must_use]
    pub fn reached(&self) -> &Reached {
        &self.reached
    }

    /// The local gRPC socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Why no packets move, where none do.
    #[must_use]
    pub fn no_packets(&self) -> Option<&str> {
        self.no_packets.as_deref()
    }

    /// What is wrong with the device, if something is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }

    /// The control tunnel's interface and UDP port, once it is up.
    #[must_use]
    pub fn device(&self) -> Option<(String, u16)> {
        let device = self.device.load_full()?;
        Some((device.name().to_string(), device.listen_port()))
    }

    /// Runs a pass now and waits until it is over.
    pub async fn pass(&self) {
        self.reconciler.pass().await;
    }

    /// Stops: no new calls, those under way are finished, the pass under way too, then the device is taken down.
    pub async fn stop(mut self) {
        info!("the engine stops");
        self.stop.cancel();
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            warn!("calls were still under way and are cut off");
        }
        self.denials.flush();
        let (stop, audit) = self.audit;
        stop.cancel();
        if tokio::time::timeout(DRAIN, audit).await.is_err() {
            warn!("the audit log was still being written and is cut off");
        }
        if let Some((stop, election)) = self.election.take() {
            stop.cancel();
            let _ = tokio::time::timeout(LEASE, election).await;
        }
    }
}

/// What lets people in, and what it shares with the services.
struct AuthParts {
    gate: GateLayer,
    login: Login,
    hashing: Arc<Hashing>,
    keys: Arc<KeyringCache>,
}

/// Everything that can fail while an engine starts.
struct Prepared {
    state: Arc<State>,
    opener: DeviceFactory,
    own: EngineContext,
    reader: Arc<Mutex<Reader>>,
    socket: Socket,
    grpc: Listener,
    web: Listener,
    reached: Reached,
    metrics_listener: TcpListener,
    metrics: Arc<Metrics>,
}

impl Prepared {
    async fn prepare(config: &Config, trial: bool) -> Result<Self, Failure> {
        make_private_dir(&config.state_dir)?;
        let state = Arc::new(open_state(config).await?);
        let opener = DeviceFactory::new(config, trial)?;
        let identities = read_identities(config)?;
        let recipients = identities
            .iter()
            .flat_map(|i| i.recipients().iter().cloned());
        let own = EngineContext {
            guards: config.guards,
            recipients: recipients.collect(),
        };
        let reader = open_reader(config, identities).await?;
        let socket = Socket::bind(&config.socket).await?;
        let metrics = Arc::new(Metrics::new());
        let (grpc, web, reached) = listen(config, &metrics).await?;
        let metrics_listener =
            serve::tcp(config.listen, config.metrics_port, "engine.metrics_port").await?;
        Ok(Self {
            state,
            opener,
            own,
            reader,
            socket,
            grpc,
            web,
            reached,
            metrics_listener,
            metrics,
        })
    }

    /// Starts the tasks: peers, passes, listeners.
    fn build(self, config: Config, http: SocketAddr) -> Result<Engine, Failure> {
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let metrics = Arc::clone(&self.metrics);
        let (audit, audit_task) = self.audit(&config, &metrics);
        let no_packets = self.opener.none.clone();
        let name = self.opener.shared_as.clone();
        let (role, election) = self.stand_for_election(&config);
        let (put_right, peers_put_right) = mpsc::channel(PUT_RIGHT);
        let (peers, device, peers_done, trouble) = Peers::new(
            self.opener.clone(),
            Arc::clone(&self.state),
            Arc::clone(&metrics),
            put_right,
        );
        tasks.spawn(peers.run(stop.clone()));

        let (requests, reconciler) = Requests::new();
        let watcher = watch_source(&config, reconciler.clone());
        let status = watch::Sender::new(Arc::new(Status::default()));
        let (events, _) = broadcast::channel(EVENTS);
        let doors = self.doors(&config, &audit, &metrics)?;
        let denials = doors.gate.denials.clone();
        let services = Services(Arc::new(Shared {
            state: Arc::clone(&self.state),
            reader: Arc::clone(&self.reader),
            own: self.own.clone(),
            source: config.source.clone(),
            trigger: watcher.as_ref().map_or("polling", |w| w.mode()).to_owned(),
            status: status.subscribe(),
            reconciler: reconciler.clone(),
            role: role.clone(),
            device: Arc::clone(&device),
            opener: self.opener,
            trouble: trouble.clone(),
            audit: audit.clone(),
            chain: engine_name(&config).to_string(),
            login: doors.login,
            hashing: doors.hashing,
            keys: Arc::clone(&doors.keys),
            auth: config.auth.clone(),
            started_at: now(),
        }));
        let passes = Reconciler {
            state: Arc::clone(&self.state),
            reader: self.reader,
            own: self.own,
            poll: config.poll,
            peers: peers_done,
            metrics: Arc::clone(&metrics),
            requests,
            status,
            events: events.clone(),
            role: role.clone(),
            name: name.clone(),
            audit: audit.clone(),
            unsettled: Unsettled::default(),
        };
        tasks.spawn(passes.run(stop.clone()));
        let drift = Drift {
            state: Arc::clone(&self.state),
            role: role.clone(),
            reconciler: reconciler.clone(),
            metrics: Arc::clone(&metrics),
            events: events.clone(),
            peers: peers_put_right,
            name,
            audit: audit.clone(),
            unsettled: Unsettled::default(),
        };
        tasks.spawn(drift.run(stop.clone()));
        let ending = SessionReaper {
            state: Arc::clone(&self.state),
            role: role.clone(),
            audit,
        };
        tasks.spawn(ending.run(stop.clone()));
        let probe = Probe {
            state: Arc::clone(&self.state),
            metrics,
            trouble: trouble.clone(),
            role,
        };
        let (health, _) = tonic_health::server::health_reporter();
        let routes = serve::routes(&services, health.clone())?;
        tasks.spawn(serve::local(
            self.socket,
            routes.clone(),
            doors.gate.clone(),
            health.clone(),
            stop.clone(),
        ));
        tasks.spawn(serve::public(self.grpc, routes, doors.gate, stop.clone()));
        let (published, keys) = watch::channel(web::NO_KEYS.to_owned());
        let publishing =
            jwks::publish(Arc::clone(&self.state), doors.keys, published, stop.clone());
        tasks.spawn(publishing);
        tasks.spawn(web::serve(self.web, web::router(keys), stop.clone()));
        tasks.spawn(serve::http(
            self.metrics_listener,
            router(probe),
            stop.clone(),
        ));
        tasks.spawn(not_serving_when(stop.clone(), health));
        info!(version = env!("CARGO_PKG_VERSION"), source = %config.source.url, socket = %config.socket.display(), "the engine runs");
        Ok(Engine {
            stop,
            tasks,
            state: self.state,
            device,
            trouble,
            reconciler,
            events,
            http,
            reached: self.reached,
            socket: config.socket,
            no_packets,
            denials,
            audit: audit_task,
            election,
            _watcher: watcher,
        })
    }
}

impl Prepared {
    /// What lets people in.
    fn doors(
        &self,
        config: &Config,
        audit: &Audit,
        metrics: &Arc<Metrics>,
    ) -> Result<AuthParts, Failure> {
        let shared = config
            .auth
            .jwt_secret
            .as_ref()
            .map(Keyring::shared)
            .transpose();
        let shared =
            shared.map_err(|error| Failure::setup("use the configured JWT secret", error))?;
        let keys = Arc::new(KeyringCache::new(shared));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.saturating_sub(1).max(1);
        let hashing = Hashing::new(Cost::STANDARD, threads, HASHING_QUEUE);
        let hashing = hashing.map_err(|error| Failure::setup("start hashing passwords", error))?;
        let hashing = Arc::new(hashing);
        let settings = config.auth.settings();
        let denials = Denials::new(audit.clone(), Arc::clone(metrics));
        let gate = Gate::new(Arc::clone(&self.state), Arc::clone(&keys), settings.clone());
        Ok(AuthParts {
            gate: GateLayer {
                gate: Arc::new(gate),
                denials: denials.clone(),
                trusted: config.auth.trusted_proxies.clone().into(),
            },
            login: Login {
                state: Arc::clone(&self.state),
                keys: Arc::clone(&keys),
                settings,
                hashing: Arc::clone(&hashing),
                limits: banyan_auth::Limits::new(),
                denials,
                audit: audit.clone(),
                metrics: Arc::clone(metrics),
                began: std::time::Instant::now(),
            },
            hashing,
            keys,
        })
    }

    /// Starts what writes the audit log; it is told to stop apart from everything else.
    fn audit(
        &self,
        config: &Config,
        metrics: &Arc<Metrics>,
    ) -> (Audit, (CancellationToken, AbortOnDropHandle<()>)) {
        let log = self.state.audit(engine_name(config));
        let (audit, writer) = Audit::new(log, config.auth.audit_keep, Arc::clone(metrics));
        let stop = CancellationToken::new();
        let task = AbortOnDropHandle::new(tokio::spawn(writer.run(stop.clone())));
        (audit, (stop, task))
    }

    /// On a store that several engines may share, takes part in choosing the one that leads.
    fn stand_for_election(
        &self,
        config: &Config,
    ) -> (
        watch::Receiver<Leadership>,
        Option<(CancellationToken, JoinHandle<()>)>,
    ) {
        if config.store_backend == StoreBackend::Embedded {
            return (watch::channel(Leadership::Alone).1, None);
        }
        let me = Member {
            name: engine_name(config),
            alive: Alive {
                since: now(),
                host: host().unwrap_or_default(),
            },
            registration: Registration {
                public_key: self.opener.key.public_key(),
                recipients: self.own.recipients.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                registered_at: now(),
            },
        };
        let (election, role) = Election::new(Arc::clone(&self.state), me, now);
        let stop = CancellationToken::new();
        let task = tokio::spawn(election.run(stop.clone()));
        (role, Some((stop, task)))
    }
}

/// The listeners for gRPC and for HTTP, which show the engine's certificate; HTTP on loopback is without TLS.
async fn listen(
    config: &Config,
    metrics: &Arc<Metrics>,
) -> Result<(Listener, Listener, Reached), Failure> {
    let certificate = Certificate::open(config)?;
    let grpc = serve::tcp(config.listen, config.grpc_port, "engine.grpc_port").await?;
    let web = serve::tcp(config.listen, config.http_port, "engine.http.port").await?;
    let at = |listener: &TcpListener| {
        let address = listener.local_addr();
        address.map_err(|error| Failure::setup("listen", error))
    };
    let reached = Reached {
        grpc: at(&grpc)?,
        pin: certificate.pin().to_string(),
    };
    info!(grpc = %reached.grpc, http = %at(&web)?, pin = %reached.pin, "the engine listens");
    let mut limits = Limits::here();
    limits.exempt.clone_from(&config.auth.trusted_proxies);
    let metrics = || Arc::clone(metrics);
    let grpc = Listener::tls(grpc, &certificate, &[b"h2"], limits.clone(), metrics())?;
    let web = match config.listen.is_loopback() {
        true => Listener::plain(web, limits, metrics()),
        false => Listener::tls(web, &certificate, &[b"http/1.1"], limits, metrics())?,
    };
    Ok((grpc, web, reached))
}

async fn not_serving_when(stop: CancellationToken, health: tonic_health::server::HealthReporter) {
    stop.cancelled().await;
    health
        .set_service_status("", ServingStatus::NotServing)
        .await;
}

fn read_identities(config: &Config) -> Result<Option<Identities>, Failure> {
    let Some(path) = &config.age_identity_file else {
        return Ok(None);
    };
    let doing = || format!("read engine.age_identity_file {}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| Failure::setup(doing(), e))?;
    let text = zeroize::Zeroizing::new(text);
    let identities = Identities::from_text(&text).map_err(|e| Failure::setup(doing(), e))?;
    Ok(Some(identities))
}

async fn open_reader(
    config: &Config,
    identities: Option<Identities>,
) -> Result<Arc<Mutex<Reader>>, Failure> {
    let clone = config.state_dir.join("repo.git");
    let doing = format!("make the local clone {}", clone.display());
    let (source, subdir) = (config.source.clone(), config.subdir.clone());
    let opened =
        tokio::task::spawn_blocking(move || Reader::open(&clone, source, subdir, identities)).await;
    let opened = opened.map_err(|error| Failure::setup(&doing, error))?;
    let reader = opened.map_err(|error| Failure::setup(&doing, error))?;
    Ok(Arc::new(Mutex::new(reader)))
}

/// Without a watcher the branch is still polled.
fn watch_source(config: &Config, reconciler: Handle) -> Option<RefWatcher> {
    let hint = move || {
        reconciler.ask();
    };
    match RefWatcher::new(&config.source, hint) {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            warn!(error = crate::report(&error), "the source is polled only");
            None
        }
    }
}
