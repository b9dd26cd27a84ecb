//! `banyan status`: the state of the engine and of the repo in a few lines.

use banyan_api::v1;
use jiff::Timestamp;
use serde::Serialize;

use super::gitops::status::{self as gitops, Status as GitopsStatus};
use crate::args::{OutputArgs, WatchArgs};
use crate::context::Context;
use crate::engine::{Engine, SOON};
use crate::error::{Exit, Failure};
use crate::shape;
use crate::ui::{Layout, Lines, Paint, ago};
use crate::watch;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  banyan status\n  banyan status --watch")]
pub(crate) struct Args {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    watch: WatchArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let both = |engine: &Engine| {
        Ok(Status {
            engine: EngineStatus::new(ask(engine)?),
            gitops: GitopsStatus::new(&gitops::ask(engine)?),
        })
    };
    let text = |status: &Status, layout: Layout| status.text(layout.now, layout.paint);
    watch::run(&args.watch, args.output.output, context, both, text)
}

pub(crate) fn ask(engine: &Engine) -> Result<v1::EngineStatus, Failure> {
    engine.call("get the status of the engine", SOON, |client| async move {
        client
            .engine()
            .get_status(v1::GetEngineStatusRequest {})
            .await
    })
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    engine: EngineStatus,
    gitops: GitopsStatus,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EngineStatus {
    version: String,
    started_at: Option<Timestamp>,
    now: Option<Timestamp>,
    store: String,
    wireguard: String,
    wireguard_reason: Option<String>,
    interface: Option<String>,
    listen_port: Option<u32>,
    public_key: String,
    addresses: Vec<String>,
    peers: u32,
    live_peers: u32,
    generation: u64,
    cluster: Option<String>,
    users: u32,
    roles: u32,
    machines: u32,
    age_recipient: Option<String>,
    warnings: Vec<String>,
    name: Option<String>,
    role: Option<String>,
    role_reason: Option<String>,
    leader: Option<String>,
    engines: u32,
    store_problem: Option<String>,
    view_age_ms: Option<u64>,
    audit: Option<Head>,
}

/// The end of the engine's audit log.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    engine: Option<String>,
    number: u64,
    hash: String,
}

impl EngineStatus {
    fn new(status: v1::EngineStatus) -> Self {
        Self {
            started_at: shape::at(status.started_at.as_ref()),
            now: shape::at(status.now.as_ref()),
            version: status.version,
            store: status.store,
            wireguard: status.wireguard,
            wireguard_reason: shape::some(status.wireguard_reason),
            interface: shape::some(status.interface),
            listen_port: Some(status.listen_port).filter(|port| *port > 0),
            public_key: status.public_key,
            addresses: status.addresses,
            peers: status.peers,
            live_peers: status.live_peers,
            generation: status.generation,
            cluster: shape::some(status.cluster),
            users: status.users,
            roles: status.roles,
            machines: status.machines,
            age_recipient: shape::some(status.age_recipient),
            warnings: status.warnings,
            name: shape::some(status.name),
            role: shape::some(status.role),
            role_reason: shape::some(status.role_reason),
            leader: shape::some(status.leader),
            engines: status.engines,
            store_problem: shape::some(status.store_problem),
            view_age_ms: status.view_age_ms,
            audit: status.audit.map(|head| Head {
                engine: shape::some(head.engine),
                number: head.number,
                hash: head.hash,
            }),
        }
    }

    /// Its role among several engines; `None` for a single engine.
    fn among_others(&self) -> Option<String> {
        let role = self.role.as_deref().filter(|role| *role != "alone")?;
        let name = self.name.as_deref().unwrap_or("it");
        let reason = self.role_reason.as_deref().unwrap_or_default();
        let leader = match &self.leader {
            // From before it was cut off.
            Some(leader) if role == "cut-off" => format!("; the last leader it knew is {leader}"),
            Some(leader) if role != "leads" && !reason.starts_with(leader) => {
                format!("; {leader} leads")
            }
            None => "; no engine leads".to_owned(),
            Some(_) => String::new(),
        };
        let word = match role {
            "cut-off" => "is cut off",
            other => other,
        };
        let engines = self.engines;
        Some(format!(
            "{name} {word}, one of {engines} engines: {reason}{leader}"
        ))
    }

    /// Why the served state may be stale, and by how much.
    fn doubt(&self) -> Option<String> {
        let problem = self.store_problem.as_ref()?;
        Some(match self.view_age_ms {
            Some(age) => format!(
                "out of reach: {problem}; serving what was in force {} s ago",
                age / 1000
            ),
            None => format!("out of reach: {problem}; serving this engine's own copy"),
        })
    }

    fn tunnel(&self) -> String {
        let (live, peers) = (self.live_peers, self.peers);
        match (&self.wireguard_reason, &self.interface) {
            (Some(reason), _) => format!("{}: {reason}", self.wireguard),
            (None, Some(interface)) => {
                let port = self.listen_port.unwrap_or_default();
                let backend = &self.wireguard;
                format!("{backend}, {interface} on port {port}, {live} of {peers} peers heard from")
            }
            (None, None) => self.wireguard.clone(),
        }
    }
}

impl Status {
    fn text(&self, now: Timestamp, paint: Paint) -> String {
        let engine = &self.engine;
        let started = engine.started_at.map(|at| ago(at, now));
        let started = started.map(|ago| format!(", started {ago}"));
        let mut lines = Lines::new(9, paint);
        let mut line = |label: &str, value: &str| lines.add(label, value);
        let started = started.unwrap_or_default();
        let (version, store) = (&engine.version, &engine.store);
        line("engine", &format!("{version}, {store} store{started}"));
        if let Some(among) = engine.among_others() {
            line("role", &among);
        }
        if let Some(doubt) = engine.doubt() {
            line("store", &doubt);
        }
        line("cluster", &self.cluster());
        line("tunnel", &engine.tunnel());
        line("repo", &self.gitops.sentence());
        if let Some(floor) = self.gitops.floor() {
            line("floor", floor);
        }
        if let Some(step) = self.gitops.next_step() {
            line("next", &step);
        }
        for warning in &engine.warnings {
            line("warning", warning);
        }
        lines.text()
    }

    fn cluster(&self) -> String {
        let engine = &self.engine;
        match &engine.cluster {
            Some(name) => {
                let (users, roles, machines) = (engine.users, engine.roles, engine.machines);
                format!("{name}: users {users}, roles {roles}, machines {machines}")
            }
            None => "none yet".to_owned(),
        }
    }
}
