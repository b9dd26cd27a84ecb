//! An engine that answers as a script says, over a unix socket and over TLS.

mod people;
mod remote;

use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use banyan_api::v1;
use banyan_api::v1::audit_service_server::AuditServiceServer;
use banyan_api::v1::auth_service_server::AuthServiceServer;
use banyan_api::v1::engine_service_server::{EngineService, EngineServiceServer};
use banyan_api::v1::gitops_service_server::{GitopsService, GitopsServiceServer};
use banyan_api::v1::machine_service_server::{MachineService, MachineServiceServer};
use banyan_api::v1::role_service_server::{RoleService, RoleServiceServer};
use banyan_api::v1::session_service_server::SessionServiceServer;
use banyan_api::v1::signing_key_service_server::SigningKeyServiceServer;
use banyan_api::v1::user_service_server::UserServiceServer;
use jiff::Timestamp;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status, Streaming};

pub(crate) use people::Issued;
pub(crate) use remote::Remote;

use crate::setup::{Run, Setup};

/// What the engine answers, and what it was asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    /// Every call is refused with this.
    pub(crate) refuse: Option<(Code, String)>,
    /// Every call is refused because this is lacking.
    pub(crate) lack: Option<banyan_api::Unavailable>,
    pub(crate) gitops: v1::GitopsStatus,
    pub(crate) history: Vec<v1::HistoryEntry>,
    pub(crate) plan: v1::PlanResponse,
    pub(crate) engine: v1::EngineStatus,
    pub(crate) explanation: v1::Explanation,
    pub(crate) users: Vec<v1::User>,
    pub(crate) roles: Vec<v1::Role>,
    pub(crate) machines: Vec<v1::Machine>,
    pub(crate) engines: Vec<v1::Engine>,
    /// What a commit that is accepted leads to.
    pub(crate) accepted: v1::GitopsStatus,
    /// Every call about people is denied so.
    pub(crate) deny: Option<banyan_core::Denial>,
    pub(crate) sessions: Vec<v1::Session>,
    pub(crate) keys: Vec<v1::SigningKey>,
    pub(crate) audit: Vec<v1::AuditEntry>,
    pub(crate) chains: Vec<v1::AuditChain>,
    /// What a user may do.
    pub(crate) may: Vec<String>,
    /// What is shown of a user.
    pub(crate) shown: v1::GetUserResponse,
    pub(crate) version: v1::Version,
}

/// What was asked.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// How many bytes each message of a plan carried.
    pub(crate) messages: Vec<usize>,
    pub(crate) files: Vec<(String, String)>,
    pub(crate) explain: Vec<(String, String)>,
    pub(crate) waited: Vec<bool>,
    pub(crate) limits: Vec<u32>,
    pub(crate) accepted: Vec<String>,
    pub(crate) removed: Vec<String>,
    /// What was asked about people, in the order of the calls.
    pub(crate) people: Vec<String>,
}

#[derive(Clone)]
struct Fake {
    script: Arc<Mutex<Script>>,
    asked: Arc<Mutex<Asked>>,
    /// The tokens that are good, where calls take one.
    issued: Option<Arc<Mutex<Issued>>>,
}

/// A running engine; it goes with the process of the test.
pub(crate) struct Engine {
    pub(crate) socket: PathBuf,
    pub(crate) asked: Arc<Mutex<Asked>>,
    fake: Fake,
    /// It runs on when this value is gone.
    running: Option<ManuallyDrop<Runtime>>,
}

impl Engine {
    pub(crate) fn start(setup: &Setup, script: Script) -> Self {
        let socket = setup.path("engine.sock");
        let asked = Arc::default();
        let fake = Fake {
            script: Arc::new(Mutex::new(script)),
            asked: Arc::clone(&asked),
            issued: None,
        };
        let running = Some(ManuallyDrop::new(fake.start(&socket)));
        Self {
            socket,
            asked,
            fake,
            running,
        }
    }

    /// From now on it answers otherwise.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.fake.script.lock().unwrap());
    }

    /// Goes away with its socket and all connections.
    pub(crate) fn stop(&mut self) {
        let running = self.running.take().unwrap();
        ManuallyDrop::into_inner(running).shutdown_background();
        std::fs::remove_file(&self.socket).unwrap();
    }

    pub(crate) fn start_again(&mut self) {
        let running = self.fake.start(&self.socket);
        self.running = Some(ManuallyDrop::new(running));
    }

    pub(crate) fn run(&self, setup: &Setup, args: &[&str]) -> Run {
        let socket = self.socket.to_str().unwrap();
        setup.run(&[args, &["--socket", socket]].concat())
    }
}

async fn serve(fake: Fake, listener: std::os::unix::net::UnixListener) {
    let gate = fake.clone();
    let gate = move |request| gate.let_through(request);
    macro_rules! gated {
        ($server:ident) => {
            $server::with_interceptor(fake.clone(), gate.clone())
        };
    }
    let listener = UnixListener::from_std(listener).unwrap();
    Server::builder()
        .add_service(gated!(GitopsServiceServer))
        .add_service(gated!(UserServiceServer))
        .add_service(gated!(RoleServiceServer))
        .add_service(gated!(MachineServiceServer))
        .add_service(gated!(EngineServiceServer))
        .add_service(gated!(SessionServiceServer))
        .add_service(gated!(SigningKeyServiceServer))
        .add_service(gated!(AuditServiceServer))
        .add_service(AuthServiceServer::new(fake.clone()))
        .serve_with_incoming(UnixListenerStream::new(listener))
        .await
        .unwrap();
}

impl Fake {
    /// Bound before anybody asks, so that nobody has to wait.
    fn start(&self, socket: &std::path::Path) -> Runtime {
        let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
        listener.set_nonblocking(true).unwrap();
        let runtime = Runtime::new().unwrap();
        runtime.spawn(serve(self.clone(), listener));
        runtime
    }

    fn script(&self) -> Script {
        self.script.lock().unwrap().clone()
    }

    fn answer<T>(&self, answer: T) -> Result<Response<T>, Status> {
        if let Some(lack) = self.script().lack {
            return Err(lack.refusal("so it is"));
        }
        match self.script().refuse {
            Some((code, message)) => Err(Status::new(code, message)),
            None => Ok(Response::new(answer)),
        }
    }
}

#[tonic::async_trait]
impl GitopsService for Fake {
    async fn get_status(
        &self,
        _: Request<v1::GetGitopsStatusRequest>,
    ) -> Result<Response<v1::GitopsStatus>, Status> {
        self.answer(self.script().gitops)
    }

    async fn list_history(
        &self,
        request: Request<v1::ListHistoryRequest>,
    ) -> Result<Response<v1::ListHistoryResponse>, Status> {
        self.asked
            .lock()
            .unwrap()
            .limits
            .push(request.get_ref().limit);
        self.answer(v1::ListHistoryResponse {
            entries: self.script().history,
        })
    }

    async fn sync(
        &self,
        request: Request<v1::SyncRequest>,
    ) -> Result<Response<v1::GitopsStatus>, Status> {
        self.asked
            .lock()
            .unwrap()
            .waited
            .push(request.get_ref().wait);
        self.answer(self.script().gitops)
    }

    async fn accept(
        &self,
        request: Request<v1::AcceptRequest>,
    ) -> Result<Response<v1::GitopsStatus>, Status> {
        let commit = request.into_inner().commit;
        self.asked.lock().unwrap().accepted.push(commit);
        self.answer(self.script().accepted)
    }

    async fn plan(
        &self,
        request: Request<Streaming<v1::PlanRequest>>,
    ) -> Result<Response<v1::PlanResponse>, Status> {
        let mut stream = request.into_inner();
        while let Some(message) = stream.message().await? {
            let mut asked = self.asked.lock().unwrap();
            let size = message.files.iter().map(|file| file.content.len()).sum();
            asked.messages.push(size);
            let text = |file: v1::File| String::from_utf8(file.content.to_vec()).unwrap();
            let files = message.files.into_iter();
            asked
                .files
                .extend(files.map(|file| (file.path.clone(), text(file))));
        }
        self.answer(self.script().plan)
    }

    async fn explain(
        &self,
        request: Request<v1::ExplainRequest>,
    ) -> Result<Response<v1::Explanation>, Status> {
        let request = request.into_inner();
        let asked = (request.kind, request.name);
        self.asked.lock().unwrap().explain.push(asked);
        self.answer(self.script().explanation)
    }
}

#[tonic::async_trait]
impl RoleService for Fake {
    async fn list_roles(
        &self,
        _: Request<v1::ListRolesRequest>,
    ) -> Result<Response<v1::ListRolesResponse>, Status> {
        self.answer(v1::ListRolesResponse {
            roles: self.script().roles,
            generation: 7,
        })
    }

    async fn list_permissions(
        &self,
        _: Request<v1::ListPermissionsRequest>,
    ) -> Result<Response<v1::ListPermissionsResponse>, Status> {
        self.answer(v1::ListPermissionsResponse {
            permissions: vec![v1::Permission {
                name: "gitops:sync".to_owned(),
                allows: "request a sync now".to_owned(),
            }],
        })
    }
}

#[tonic::async_trait]
impl MachineService for Fake {
    async fn list_machines(
        &self,
        _: Request<v1::ListMachinesRequest>,
    ) -> Result<Response<v1::ListMachinesResponse>, Status> {
        self.answer(v1::ListMachinesResponse {
            machines: self.script().machines,
            generation: 7,
        })
    }

    async fn get_machine(
        &self,
        request: Request<v1::GetMachineRequest>,
    ) -> Result<Response<v1::Machine>, Status> {
        let name = &request.get_ref().name;
        let machines = self.script().machines;
        let found = machines.into_iter().find(|m| m.name == *name);
        let missing = || Status::not_found(format!("there is no machine {name}"));
        self.answer(found.ok_or_else(missing)?)
    }
}

#[tonic::async_trait]
impl EngineService for Fake {
    async fn get_status(
        &self,
        _: Request<v1::GetEngineStatusRequest>,
    ) -> Result<Response<v1::EngineStatus>, Status> {
        self.answer(self.script().engine)
    }

    async fn get_version(
        &self,
        _: Request<v1::GetVersionRequest>,
    ) -> Result<Response<v1::Version>, Status> {
        self.answer(self.script().version)
    }

    type BackupStream = tokio_stream::Empty<Result<v1::BackupChunk, Status>>;

    async fn backup(
        &self,
        _: Request<v1::BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        self.answer(tokio_stream::empty())
    }

    async fn list_engines(
        &self,
        _: Request<v1::ListEnginesRequest>,
    ) -> Result<Response<v1::ListEnginesResponse>, Status> {
        let engines = self.script().engines;
        self.answer(v1::ListEnginesResponse { engines })
    }

    async fn remove_engine(
        &self,
        request: Request<v1::RemoveEngineRequest>,
    ) -> Result<Response<v1::RemoveEngineResponse>, Status> {
        let name = request.into_inner().name;
        self.asked.lock().unwrap().removed.push(name);
        self.answer(v1::RemoveEngineResponse {})
    }
}

/// Now, on the wire, so many seconds later.
pub(crate) fn in_seconds(seconds: i64) -> Option<prost_types::Timestamp> {
    #[expect(clippy::disallowed_methods, reason = "the program reads the clock too")]
    let now = Timestamp::now();
    Some(prost_types::Timestamp {
        seconds: now.as_second() + seconds,
        nanos: 0,
    })
}

/// An instant on the wire.
pub(crate) fn at(text: &str) -> Option<prost_types::Timestamp> {
    Some(banyan_api::timestamp(text.parse().unwrap()))
}

/// An origin in git.
pub(crate) fn git(path: &str, line: u32) -> Option<v1::Origin> {
    Some(v1::Origin {
        from: "git".to_owned(),
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        path: path.to_owned(),
        line,
    })
}

pub(crate) fn commit(id: char, summary: &str) -> v1::Commit {
    v1::Commit {
        id: id.to_string().repeat(40),
        author: "Test <test@example.org>".to_owned(),
        committed_at: at("2026-11-20T08:15:30Z"),
        summary: summary.to_owned(),
    }
}

/// An engine in good order.
pub(crate) fn healthy() -> Script {
    Script {
        gitops: v1::GitopsStatus {
            url: "file:///srv/acorn.git".to_owned(),
            branch: "main".to_owned(),
            state: "in-force".to_owned(),
            seen: Some(commit('a', "users: add alice")),
            applied: Some(commit('a', "users: add alice")),
            generation: 7,
            applied_at: in_seconds(-180),
            checked_at: in_seconds(-2),
            verify: "off".to_owned(),
            trigger: "inotify".to_owned(),
            ..v1::GitopsStatus::default()
        },
        engine: v1::EngineStatus {
            version: "0.1.0".to_owned(),
            started_at: in_seconds(-7200),
            now: in_seconds(0),
            store: "embedded".to_owned(),
            wireguard: "userspace".to_owned(),
            interface: "wg-control".to_owned(),
            listen_port: 51821,
            peers: 3,
            live_peers: 2,
            generation: 7,
            cluster: "acorn".to_owned(),
            users: 2,
            roles: 1,
            machines: 3,
            ..v1::EngineStatus::default()
        },
        ..Script::default()
    }
}

/// [`healthy`], but the newest commit is refused.
pub(crate) fn refused() -> Script {
    let mut script = healthy();
    script.gitops.state = "refused".to_owned();
    script.gitops.seen = Some(commit('b', "users: add bob"));
    script.gitops.findings = vec![finding()];
    script.gitops.total_findings = 3;
    script
}

pub(crate) fn finding() -> v1::Finding {
    v1::Finding {
        path: "users/bob.yaml".to_owned(),
        line: 6,
        column: 11,
        severity: "error".to_owned(),
        rule: "dangling-role".to_owned(),
        message: "there is no role nope".to_owned(),
        help: "declare it".to_owned(),
    }
}
