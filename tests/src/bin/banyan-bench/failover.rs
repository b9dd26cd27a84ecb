//! Failover: from the kill of the leader until another engine has brought the next commit into
//! force.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use banyan_api::v1::{EngineStatus, GitopsStatus};

use crate::big_repo::{BigRepo, Edit, Prepared};
use crate::engine::{EngineProcess, Ground};
use crate::etcd::Etcd;
use crate::out::{Measured, Row};
use crate::sample::{Sample, millis, worst_and_median};
use crate::stages;

const ROUNDS: u32 = 8;
const QUICK_ROUNDS: u32 = 2;
const LIMIT: Duration = Duration::from_secs(5);
/// The lease renewal interval of the leader: rounds are spread over it.
const BEAT: Duration = Duration::from_secs(1);
/// The polling interval for the engines' status.
const ASK: Duration = Duration::from_millis(10);
/// The time limit of any step, after which the measurement fails.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn measure(repo: &mut BigRepo, quick: bool) -> Result<Vec<Row>> {
    let rounds = if quick { QUICK_ROUNDS } else { ROUNDS };
    let commits = repo.prepare((0..rounds).map(|_| Edit::User))?;
    let etcd = Etcd::start()?;
    let mut fleet = Fleet::start(repo, &etcd).await?;
    let mut figures = Figures::default();
    for (round, commit) in commits.iter().enumerate() {
        // Each round kills at another point of the renewal interval.
        tokio::time::sleep(BEAT * u32::try_from(round)? / rounds).await;
        fleet.kill_leader(repo, commit, &mut figures).await?;
    }
    drop(fleet);
    let mut row = figures.row();
    row.details.extend(stages::measure_first(repo).await?);
    Ok(vec![row])
}

/// Two engines on one repo and store, the first one leading.
struct Fleet<'e> {
    etcd: &'e Etcd,
    url: String,
    identity: PathBuf,
    leader: Member,
    other: Member,
}

struct Member {
    name: &'static str,
    process: EngineProcess,
}

impl<'e> Fleet<'e> {
    async fn start(repo: &BigRepo, etcd: &'e Etcd) -> Result<Self> {
        let (url, identity) = (repo.git.url(), repo.identity_file()?);
        let start = async |name| -> Result<Member> {
            let process = EngineProcess::start(Ground {
                url: &url,
                identity: &identity,
                wireguard: "none",
                store: &etcd.config(name),
            })
            .await?;
            Ok(Member { name, process })
        };
        let leader = start("engine-1").await?;
        leader.process.settle().await?;
        let other = start("engine-2").await?;
        other.until_ready().await?;
        Ok(Self {
            etcd,
            url,
            identity,
            leader,
            other,
        })
    }

    /// One round; afterwards there are two engines again, with their roles swapped.
    async fn kill_leader(
        &mut self,
        repo: &BigRepo,
        commit: &Prepared,
        figures: &mut Figures,
    ) -> Result<()> {
        let status = self.leader.process.status().await?;
        ensure!(
            status.role == "leads",
            "{} does not lead: {} ({})",
            self.leader.name,
            status.role,
            status.role_reason
        );
        let killed = Instant::now();
        self.leader.process.kill()?;
        repo.publish(commit)?;
        let leads = self.other.until_role("leads").await?;
        let in_force = self.other.until_in_force(&commit.id).await?;
        figures.leads.push(leads.duration_since(killed));
        figures.in_force.push(in_force.duration_since(killed));
        figures.pass.push(in_force.duration_since(leads));

        self.leader.process = EngineProcess::start(Ground {
            url: &self.url,
            identity: &self.identity,
            wireguard: "none",
            store: &self.etcd.config(self.leader.name),
        })
        .await?;
        self.leader.until_ready().await?;
        std::mem::swap(&mut self.leader, &mut self.other);
        Ok(())
    }
}

impl Member {
    /// Waits until it follows and has read the branch once, like one that has run for a while.
    async fn until_ready(&self) -> Result<()> {
        self.until_role("follows").await?;
        let deadline = Instant::now() + PATIENCE;
        while !self.process.has_logged("read the branch ahead") {
            ensure!(
                Instant::now() < deadline,
                "{} does not read the branch ahead",
                self.name
            );
            tokio::time::sleep(ASK).await;
        }
        Ok(())
    }

    async fn until_role(&self, role: &str) -> Result<Instant> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let EngineStatus {
                role: now,
                role_reason,
                ..
            } = self.process.status().await?;
            let seen = Instant::now();
            if now == role {
                return Ok(seen);
            }
            if seen > deadline {
                bail!(
                    "{} should be {role}, and is {now}: {role_reason}",
                    self.name
                );
            }
            tokio::time::sleep(ASK).await;
        }
    }

    /// Waits until a pass of this engine has brought the commit into force.
    async fn until_in_force(&self, commit: &str) -> Result<Instant> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status: GitopsStatus = self.process.gitops().await?;
            let seen = Instant::now();
            let applied = status.applied.as_ref();
            if status.from == self.name
                && status.state == "in-force"
                && applied.is_some_and(|applied| applied.id == commit)
            {
                return Ok(seen);
            }
            if seen > deadline {
                bail!(
                    "{} did not bring {commit} into force: {status:?}",
                    self.name
                );
            }
            tokio::time::sleep(ASK).await;
        }
    }
}

#[derive(Default)]
struct Figures {
    /// From the kill.
    leads: Sample,
    in_force: Sample,
    /// From the election.
    pass: Sample,
}

impl Figures {
    /// The verdict uses the worst round: the target is an upper bound.
    fn row(&self) -> Row {
        Row {
            id: "failover",
            what: format!(
                "leader killed → the next commit of the big repo in force by another engine, worst of {}",
                self.in_force.len()
            ),
            target: format!("under {} s", LIMIT.as_secs()),
            figure: worst_and_median(&self.in_force),
            measured: Some(Measured {
                value: millis(self.in_force.worst()),
                limit: millis(LIMIT),
                unit: "ms",
            }),
            details: vec![
                (
                    "until another one leads (the lease is 3 s, kept each second)".to_owned(),
                    worst_and_median(&self.leads),
                ),
                (
                    "from then on: its first pass as a leader, the commit in force".to_owned(),
                    worst_and_median(&self.pass),
                ),
            ],
        }
    }
}
