//! Puts the engine together, runs it and takes it down.

mod auth;
mod listeners;
mod services;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use banyan_core::Name;
use banyan_git::RefWatcher;
use banyan_manifest::Identities;
use banyan_repo::EngineContext;
use banyan_state::{Alive, Election, LEASE, Leadership, Member, Registration, State};
use banyan_wireguard::{CurrentDevice, DeviceProblem, Keeper};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::{info, warn};

use crate::Failure;
use crate::access::Denials;
use crate::audit::{Audit, Unsettled};
use crate::clock::now;
use crate::config::{Config, StoreBackend};
use crate::listen::health::Probe;
use crate::listen::serve::{self, Socket};
use crate::login::SessionReaper;
use crate::ops::metrics::Metrics;
use crate::ops::store::{engine_name, host, open_state};
use crate::private_file::make_private_dir;
use crate::reconcile::{Drift, Event, Handle, Plans, Reader, Reconciler, Requests};
use crate::status::Status;
use crate::tunnel::device::DeviceFactory;
use crate::tunnel::peers::{Peers, PeersDone};
use auth::AuthParts;
use listeners::{Listeners, Served, listen};

/// How long calls under way may take when the engine stops.
const DRAIN: Duration = Duration::from_secs(10);

/// How long connections without a call may take to close when the engine stops: a peer that does not answer would hold
/// the exit up.
const GOODBYE: Duration = Duration::from_secs(1);

/// How many reports of repairs on the device may wait to be recorded.
const PUT_RIGHT: usize = 16;

/// How many events a slow watcher may be behind before it misses some.
const EVENTS: usize = 64;

/// Where users reach an engine over TLS, and the pin of its key.
#[derive(Debug, Clone)]
pub struct Reached {
    /// The address of gRPC.
    pub grpc: SocketAddr,
    /// The pin of its certificate's key.
    pub pin: String,
}

/// A running engine.
pub struct Engine {
    stop: CancellationToken,
    tasks: JoinSet<()>,
    listeners: JoinSet<()>,
    /// The calls under way.
    calls: TaskTracker,
    state: Arc<State>,
    device: CurrentDevice,
    problem: DeviceProblem,
    reconciler: Handle,
    events: broadcast::Sender<Event>,
    http: SocketAddr,
    reached: Reached,
    socket: PathBuf,
    no_packets: Option<String>,
    /// Stops after everything that may still record something.
    denials: Denials,
    audit: (CancellationToken, AbortOnDropHandle<()>),
    /// Stops last, so that the pass under way can be finished.
    election: Option<(CancellationToken, JoinHandle<()>)>,
    /// Dropped last but for the socket: no hint arrives after that.
    _watcher: Option<RefWatcher>,
}

impl Engine {
    /// Starts an engine. `trial` lets it run where WireGuard cannot.
    ///
    /// # Errors
    /// A prerequisite is missing or fails.
    pub async fn start(config: Config, trial: bool) -> Result<Self, Failure> {
        let prepared = Prepared::prepare(&config, trial).await?;
        let http = prepared.listeners.metrics.local_addr();
        let http = http.map_err(|error| Failure::setup("listen for metrics", error))?;
        prepared.build(config, http)
    }

    /// The events of passes, from now on.
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

    /// Where users reach it over TLS, and the pin of its key.
    #[must_use]
    pub fn reached(&self) -> &Reached {
        &self.reached
    }

    /// The local gRPC socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Why no packets move, if none do.
    #[must_use]
    pub fn no_packets(&self) -> Option<&str> {
        self.no_packets.as_deref()
    }

    /// The problem of the device, if it has one.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.problem.borrow().clone()
    }

    /// The control tunnel's interface and UDP port, once it is up.
    #[must_use]
    pub fn device(&self) -> Option<(String, u16)> {
        let device = self.device.load_full()?;
        Some((device.name().to_string(), device.listen_port()))
    }

    /// Looks at the branch now, without waiting for the result.
    pub fn look_at_branch(&self) {
        self.reconciler.ask();
    }

    /// Runs a pass now and waits for its end.
    pub async fn pass(&self) {
        self.reconciler.pass().await;
    }

    /// Stops: no new calls; those in progress and the running pass are finished; then the device is taken down.
    pub async fn stop(mut self) {
        info!("the engine stops");
        self.stop.cancel();
        let drained = async {
            let closed = async { while self.listeners.join_next().await.is_some() {} };
            let idle = async {
                tokio::time::sleep(GOODBYE).await;
                self.calls.close();
                self.calls.wait().await;
            };
            tokio::select! {
                () = closed => {}
                () = idle => info!("connections without a call did not close in time and are cut off"),
            }
            while self.tasks.join_next().await.is_some() {}
        };
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

/// What several tasks of an engine use.
struct Wiring {
    state: Arc<State>,
    metrics: Arc<Metrics>,
    audit: Audit,
    role: watch::Receiver<Leadership>,
    /// The engine's name, if it shares its store with others.
    name: Option<Name>,
    reconciler: Handle,
    events: broadcast::Sender<Event>,
    /// What triggers passes, in words.
    trigger: String,
    device: CurrentDevice,
    problem: DeviceProblem,
}

impl Wiring {
    fn drift(&self, peers: mpsc::Receiver<Vec<String>>) -> Drift {
        Drift {
            state: Arc::clone(&self.state),
            role: self.role.clone(),
            reconciler: self.reconciler.clone(),
            metrics: Arc::clone(&self.metrics),
            events: self.events.clone(),
            peers,
            name: self.name.clone(),
            audit: self.audit.clone(),
            unsettled: Unsettled::default(),
        }
    }

    fn probe(&self) -> Probe {
        Probe {
            state: Arc::clone(&self.state),
            metrics: Arc::clone(&self.metrics),
            problem: self.problem.clone(),
            role: self.role.clone(),
        }
    }

    fn session_reaper(&self) -> SessionReaper {
        SessionReaper {
            state: Arc::clone(&self.state),
            role: self.role.clone(),
            audit: self.audit.clone(),
        }
    }
}

/// Everything that can fail while an engine starts.
struct Prepared {
    state: Arc<State>,
    devices: DeviceFactory,
    context: EngineContext,
    reader: Arc<Mutex<Reader>>,
    listeners: Listeners,
    reached: Reached,
    metrics: Arc<Metrics>,
}

impl Prepared {
    async fn prepare(config: &Config, trial: bool) -> Result<Self, Failure> {
        make_private_dir(&config.state_dir)?;
        let state = Arc::new(open_state(config).await?);
        let devices = DeviceFactory::new(config, trial)?;
        let identities = read_identities(config)?;
        let recipients = identities
            .iter()
            .flat_map(|i| i.recipients().iter().cloned());
        let context = EngineContext {
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
            devices,
            context,
            reader,
            listeners: Listeners {
                socket,
                grpc,
                web,
                metrics: metrics_listener,
            },
            reached,
            metrics,
        })
    }

    /// Starts the tasks: peers, passes, listeners.
    fn build(self, config: Config, http: SocketAddr) -> Result<Engine, Failure> {
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let metrics = Arc::clone(&self.metrics);
        let (audit, audit_task) = self.audit(&config, &metrics);
        let no_packets = self.devices.none.clone();
        let name = self.devices.shared_as.clone();
        let (role, election) = self.stand_for_election(&config);
        let (put_right, peers_put_right) = mpsc::channel(PUT_RIGHT);
        let (peers, device, peers_done, problem) = self.peers(&metrics, put_right);
        tasks.spawn(peers.run(stop.clone()));

        let (requests, reconciler) = Requests::new();
        let watcher = watch_source(&config, reconciler.clone());
        let status = watch::Sender::new(Arc::new(Status::default()));
        let (events, _) = broadcast::channel(EVENTS);
        let auth = AuthParts::new(&config, &self.state, &audit, &metrics)?;
        let (gate, keys) = (auth.gate.clone(), Arc::clone(&auth.keys));
        let (denials, calls) = (gate.denials.clone(), gate.calls.clone());
        let wiring = Wiring {
            state: Arc::clone(&self.state),
            metrics,
            audit,
            role,
            name,
            reconciler: reconciler.clone(),
            events: events.clone(),
            trigger: watcher.as_ref().map_or("polling", |w| w.mode()).to_owned(),
            device: Arc::clone(&device),
            problem: problem.clone(),
        };
        let services = self.services(&config, &wiring, auth, status.subscribe())?;
        let passes = Reconciler {
            state: Arc::clone(&self.state),
            reader: self.reader,
            context: self.context,
            poll: config.poll,
            peers: peers_done,
            metrics: Arc::clone(&wiring.metrics),
            requests,
            status,
            events: events.clone(),
            role: wiring.role.clone(),
            name: wiring.name.clone(),
            audit: wiring.audit.clone(),
            unsettled: Unsettled::default(),
        };
        tasks.spawn(passes.run(stop.clone()));
        tasks.spawn(wiring.drift(peers_put_right).run(stop.clone()));
        tasks.spawn(wiring.session_reaper().run(stop.clone()));
        let probe = wiring.probe();
        let served = Served {
            services,
            gate,
            keys,
            probe,
        };
        let listeners = self.listeners.serve(served, &stop)?;
        info!(version = env!("CARGO_PKG_VERSION"), source = %config.source.url, socket = %config.socket.display(), "the engine runs");
        Ok(Engine {
            stop,
            tasks,
            listeners,
            calls,
            state: self.state,
            device,
            problem,
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
    /// The planner, which runs beside the passes.
    fn plans(&self) -> Result<Plans, Failure> {
        let (state, engine) = (Arc::clone(&self.state), self.context.clone());
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let plans = Plans::new(&reader, state, engine, self.devices.shared_as.clone());
        plans.map_err(|error| Failure::setup("start a thread for plans", error))
    }

    /// The keeper of the device's peers.
    fn peers(
        &self,
        metrics: &Arc<Metrics>,
        put_right: mpsc::Sender<Vec<String>>,
    ) -> (Keeper<Peers>, CurrentDevice, PeersDone, DeviceProblem) {
        let (devices, state) = (self.devices.clone(), Arc::clone(&self.state));
        Peers::keeper(devices, state, Arc::clone(metrics), put_right)
    }

    /// Starts the writer of the audit log, which is stopped separately.
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

    /// Stands for election, if the store can be shared.
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
                public_key: self.devices.key.public_key(),
                recipients: self.context.recipients.clone(),
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
