//! The cost of authenticating a call, and the effect of a login flood on other callers.
//!
//! Both go over the engine's local socket, where a call with a token is a user's and the same call without one the
//! host's: the same transport, service and answer, with and without a token to check.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use banyan_api::v1::{AddUserRequest, ListEnginesRequest, LoginRequest};
use banyan_api::{Client, Target, denial_cause, retry_after};
use banyan_core::SecretText;
use tokio::task::JoinSet;

use crate::big_repo::BigRepo;
use crate::engine::{EngineProcess, Ground};
use crate::out::{Measured, Row};
use crate::sample::{Sample, shown};

const USER: &str = "bench";
const PASSWORD: &str = "a password for the benchmark";
/// Calls in a row, and how many times that alternates between calls with and without a token.
const CALLS: u32 = 200;
const ROUNDS: u32 = 60;
/// The number of calls that measure the quiet and the flooded engine, and the pause between them.
const JUDGED: usize = 3_000;
const PAUSE: Duration = Duration::from_micros(500);
/// Concurrent logins.
const FLOOD: usize = 1_000;

pub(crate) async fn measure(repo: &BigRepo, quick: bool) -> Result<Vec<Row>> {
    let (url, identity) = (repo.git.url(), repo.identity_file()?);
    let engine = EngineProcess::start(Ground {
        url: &url,
        identity: &identity,
        wireguard: "none",
        store: "",
    })
    .await?;
    engine.settle().await?;
    let socket = engine.socket();
    let host = connect(&socket).await?;
    let user = log_in(&host).await?;
    let rounds = if quick { ROUNDS / 6 } else { ROUNDS };
    let judged = if quick { JUDGED / 6 } else { JUDGED };
    Ok(vec![
        call_row(&host, &user, rounds).await?,
        flood_row(&socket, &user, judged).await?,
    ])
}

async fn connect(socket: &Path) -> Result<Client> {
    Ok(Client::connect(&Target::Socket(socket.to_owned())).await?)
}

/// A client whose calls carry an admin's token.
async fn log_in(host: &Client) -> Result<Client> {
    let add = AddUserRequest {
        name: USER.to_owned(),
        roles: vec!["admin".to_owned()],
        password: PASSWORD.to_owned(),
        ..AddUserRequest::default()
    };
    host.users().add_user(add).await?;
    let login = LoginRequest {
        name: USER.to_owned(),
        password: PASSWORD.to_owned(),
    };
    let tokens = host.auth().login(login).await?.into_inner();
    let token = SecretText::new(tokens.access_token);
    host.with_token(&token).context("the token cannot be sent")
}

async fn call(client: &Client) -> Result<()> {
    client.engine().list_engines(ListEnginesRequest {}).await?;
    Ok(())
}

async fn calls(client: &Client) -> Result<Duration> {
    let started = Instant::now();
    for _ in 0..CALLS {
        call(client).await?;
    }
    Ok(started.elapsed() / CALLS)
}

async fn call_row(host: &Client, user: &Client, rounds: u32) -> Result<Row> {
    let (mut without, mut with) = (Sample::default(), Sample::default());
    for warm in [host, user] {
        calls(warm).await?;
    }
    for _ in 0..rounds {
        without.push(calls(host).await?);
        with.push(calls(user).await?);
    }
    let ratio = with.median().as_secs_f64() / without.median().as_secs_f64();
    Ok(Row {
        id: "call",
        what: "a call with authentication and authorisation against the same call of the host, without a token".to_owned(),
        target: "at most 1.15 x".to_owned(),
        figure: format!("{ratio:.3} x"),
        measured: Some(Measured {
            value: ratio,
            limit: 1.15,
            unit: "x",
        }),
        details: vec![
            ("without a token".to_owned(), micros(without.median())),
            ("with a token that was seen before".to_owned(), micros(with.median())),
        ],
    })
}

fn micros(time: Duration) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1e6)
}

/// Calls one after the other with a pause, as long as `go_on` returns true.
async fn paced(client: &Client, mut go_on: impl FnMut(usize) -> bool) -> Result<Sample> {
    let mut sample = Sample::default();
    while go_on(sample.len()) {
        let started = Instant::now();
        call(client).await?;
        sample.push(started.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    Ok(sample)
}

async fn flood_row(socket: &Path, user: &Client, judged: usize) -> Result<Row> {
    let quiet = paced(user, |done| done < judged).await?;
    let flood = Flood::begin(socket).await?;
    let flooded = paced(user, |done| done < judged && !flood.is_over()).await?;
    let (hashed, turned_away, took) = flood.end().await?;
    ensure!(
        flooded.len() > 100,
        "the flood was over after {} calls",
        flooded.len()
    );
    let ratio = flooded.p99().as_secs_f64() / quiet.p99().as_secs_f64();
    Ok(Row {
        id: "flood",
        what: format!("other calls' p99 while {FLOOD} logins at once come again and again"),
        target: "at most 2 x the quiet p99".to_owned(),
        figure: format!("{ratio:.2} x"),
        measured: Some(Measured {
            value: ratio,
            limit: 2.0,
            unit: "x",
        }),
        details: vec![
            (
                "quiet p99".to_owned(),
                format!("{} (median {})", shown(quiet.p99()), micros(quiet.median())),
            ),
            (
                "flooded p99".to_owned(),
                format!(
                    "{} (median {})",
                    shown(flooded.p99()),
                    micros(flooded.median())
                ),
            ),
            (
                "calls judged in the flood".to_owned(),
                flooded.len().to_string(),
            ),
            (
                "logins".to_owned(),
                format!(
                    "{hashed} hashed and refused, {turned_away} turned away, in {:.1} s",
                    took.as_secs_f64()
                ),
            ),
        ],
    })
}

/// Logins of unknown users, each of which costs a hash or is rate-limited.
struct Flood {
    attempts: JoinSet<Result<()>>,
    stop: Arc<AtomicBool>,
    hashed: Arc<AtomicUsize>,
    turned_away: Arc<AtomicUsize>,
    began: Instant,
}

/// The maximum duration of the flood.
const LASTS: Duration = Duration::from_secs(20);

impl Flood {
    async fn begin(socket: &Path) -> Result<Self> {
        let mut flood = Self {
            attempts: JoinSet::new(),
            stop: Arc::default(),
            hashed: Arc::default(),
            turned_away: Arc::default(),
            began: Instant::now(),
        };
        // A hundred connections, so that the client is not the bottleneck.
        let mut clients = Vec::new();
        for _ in 0..100 {
            clients.push(connect(socket).await?);
        }
        for number in 0..FLOOD {
            let client = clients
                .get(number % clients.len())
                .context("no client")?
                .clone();
            let (stop, hashed, turned_away) = (
                Arc::clone(&flood.stop),
                Arc::clone(&flood.hashed),
                Arc::clone(&flood.turned_away),
            );
            flood.attempts.spawn(async move {
                let mut round = 0_u32;
                while !stop.load(Ordering::Relaxed) {
                    round += 1;
                    let login = LoginRequest {
                        name: format!("nobody-{number}-{round}"),
                        password: "not the password".to_owned(),
                    };
                    let Err(refused) = client.auth().login(login).await else {
                        anyhow::bail!("a login succeeded");
                    };
                    match denial_cause(&refused) {
                        Some("bad-credentials") => hashed.fetch_add(1, Ordering::Relaxed),
                        Some("busy" | "too-many") => turned_away.fetch_add(1, Ordering::Relaxed),
                        _ => return Err(refused.into()),
                    };
                    // A rate-limited client retries after the delay that it was given.
                    let wait = retry_after(&refused).unwrap_or_default();
                    tokio::time::sleep(wait).await;
                }
                Ok(())
            });
        }
        Ok(flood)
    }

    fn is_over(&self) -> bool {
        self.began.elapsed() > LASTS
    }

    async fn end(mut self) -> Result<(usize, usize, Duration)> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(attempt) = self.attempts.join_next().await {
            attempt??;
        }
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        Ok((
            count(&self.hashed),
            count(&self.turned_away),
            self.began.elapsed(),
        ))
    }
}
