//! The trial: an engine with its own state directory, repo, keys, demo users and machines, which shows each push live.

mod git;
mod http;
mod narrate;
mod seed;
mod tour;
mod ui;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use banyan_core::Guards;
use banyan_git::Source;
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::Failure;
use crate::config::{Auth, Config, LogFormat, StoreBackend, Tls, Wireguard};
use crate::ops::logging;
use crate::private_file::make_private_dir;
use crate::run::Engine;
use seed::Trial;

/// Options of the trial.
#[derive(Args, Debug)]
pub struct Options {
    /// Directory of the trial; a later trial continues with its content.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Run a scripted session in a temporary directory.
    #[arg(long, conflicts_with = "dir")]
    tour: bool,
    /// TCP port for pushing over HTTP, on loopback; the next free one if it is taken.
    #[arg(long, default_value_t = 8080, value_name = "PORT")]
    http_port: u16,
    /// Name of the WireGuard interface to create.
    #[arg(long, default_value = "wg-control", value_name = "NAME")]
    interface: String,
    /// UDP port of the WireGuard interface; 0 lets the system choose.
    #[arg(long, default_value_t = 51821, value_name = "PORT")]
    wg_port: u16,
    /// Move no packets, even if this host supports it.
    #[arg(long)]
    no_packets: bool,
}

/// Runs the trial until `stopped`, or the tour until it is finished.
///
/// # Errors
/// If something cannot be set up, or a step of the tour fails.
pub async fn run(options: Options, stopped: impl Future<Output = ()>) -> Result<(), Failure> {
    logging::start(LogFormat::Text, "error");
    let scratch = options.tour.then(Scratch::new).transpose()?;
    let dir = match (&scratch, &options.dir) {
        (Some(scratch), _) => scratch.0.clone(),
        (None, Some(dir)) => {
            std::path::absolute(dir).map_err(|e| Failure::setup("use --dir", e))?
        }
        (None, None) => default_dir()?,
    };
    make_private_dir(&dir)?;
    let trial = Trial::prepare(&dir).await?;
    let engine = Engine::start(config(&trial, &options)?, true).await?;
    let stop = CancellationToken::new();
    let http = http::serve(&trial, options.http_port, stop.clone()).await?;
    let result = tokio::select! {
        result = play(&options, &engine, &trial, http.address) => result,
        () = stopped => Ok(()),
    };
    stop.cancel();
    let _ = http.task.await;
    engine.stop().await;
    result
}

async fn play(
    options: &Options,
    engine: &Engine,
    trial: &Trial,
    http: SocketAddr,
) -> Result<(), Failure> {
    wait_for_first_commit(engine).await?;
    let events = engine.events();
    if options.tour {
        return tour::play(engine, trial, events).await;
    }
    ui::say(&narrate::welcome(engine, trial, http));
    narrate::follow(engine, events).await;
    Ok(())
}

/// Waits until the seeded commit is in force; reports whatever prevents it.
async fn wait_for_first_commit(engine: &Engine) -> Result<(), Failure> {
    let mut events = engine.events();
    let mut changes = engine.state().changes();
    let seen = async {
        loop {
            if engine.state().view().in_force.applied.is_some() {
                return Ok::<(), Failure>(());
            }
            tokio::select! {
                _ = changes.changed() => {}
                event = events.recv() => if let Ok(event) = event {
                    narrate::unless_applied(&event)?;
                },
            }
        }
    };
    let limit = Duration::from_secs(30);
    let seen = tokio::time::timeout(limit, seen).await;
    seen.map_err(|error| Failure::setup("apply the trial's first commit", error))??;
    // The device is opened after the first commit; another pass waits for it.
    engine.pass().await;
    Ok(())
}

fn config(trial: &Trial, options: &Options) -> Result<Config, Failure> {
    let url = trial.repo.to_string_lossy();
    let interface = options.interface.parse();
    Ok(Config {
        name: None,
        store_backend: StoreBackend::Embedded,
        etcd: None,
        state_dir: trial.dir.join("engine"),
        socket: trial.dir.join("engine.sock"),
        listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
        grpc_port: 0,
        http_port: 0,
        tls: Tls::default(),
        auth: Auth::default(),
        metrics_port: 0,
        age_identity_file: Some(trial.engine_identity.clone()),
        source: Source {
            url: url
                .parse()
                .map_err(|e| Failure::setup("use the trial's repo", format!("{e}")))?,
            branch: "main".to_owned(),
        },
        subdir: None,
        poll: Duration::from_secs(5),
        guards: Guards::default(),
        wireguard: if options.no_packets {
            Wireguard::None
        } else {
            Wireguard::Auto
        },
        wg_interface: interface.map_err(|e| Failure::setup("use --interface", format!("{e}")))?,
        wg_port: options.wg_port,
        wg_private_key: None,
        wg_public_key: None,
        log: LogFormat::Text,
    })
}

/// `$XDG_STATE_HOME/banyan/dev`, or `~/.local/state/banyan/dev`.
fn default_dir() -> Result<PathBuf, Failure> {
    let home = |name| {
        std::env::var_os(name)
            .filter(|v| Path::new(v).is_absolute())
            .map(PathBuf::from)
    };
    let state = home("XDG_STATE_HOME").or_else(|| Some(home("HOME")?.join(".local/state")));
    let state = state.ok_or_else(|| {
        Failure::setup("find a place for the trial", "HOME is not set; give --dir")
    })?;
    Ok(state.join("banyan/dev"))
}

/// A directory that is removed when the tour is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Failure> {
        let dir = std::env::temp_dir().join(format!("banyan-tour-{}", std::process::id()));
        make_private_dir(&dir)?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
