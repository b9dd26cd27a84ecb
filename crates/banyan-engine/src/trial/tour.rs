//! An automatic trial: a good push, an invalid manifest, the loss of the last admin, a revocation.

use std::path::{Path, PathBuf};
use std::time::Duration;

use banyan_core::MachineType;
use banyan_manifest::scaffold::{self, NewUser};
use tokio::process::Command;
use tokio::sync::broadcast::Receiver;

use super::git;
use super::narrate::describe;
use super::seed::Trial;
use super::ui::{Style, indented, say, styled};
use crate::Failure;
use crate::reconcile::Event;
use crate::run::Engine;

/// How long to wait for the result of a push.
const PATIENCE: Duration = Duration::from_secs(30);
/// The machine that is added and revoked.
const MACHINE: &str = "web-2";

struct Tour<'a> {
    engine: &'a Engine,
    trial: &'a Trial,
    events: Receiver<Event>,
    work: PathBuf,
}

/// Runs the tour.
///
/// # Errors
/// If a step does not end as expected.
pub(super) async fn play(
    engine: &Engine,
    trial: &Trial,
    events: Receiver<Event>,
) -> Result<(), Failure> {
    let work = trial.dir.join("work");
    let (from, to) = (trial.repo.to_string_lossy(), work.to_string_lossy());
    git::run(&trial.dir, &["clone", "--quiet", &from, &to]).await?;
    let mut tour = Tour {
        engine,
        trial,
        events,
        work,
    };
    say(&styled(
        Style::Strong,
        "A tour of Banyan: four pushes and their results.",
    ));
    if let Some(reason) = engine.no_packets() {
        say(&format!(
            "There are no packets on this host ({reason}); peers are computed nevertheless."
        ));
    }
    tour.good_push().await?;
    tour.bad_manifest().await?;
    tour.last_admin().await?;
    tour.revocation().await?;
    tour.history();
    say("\nTry it yourself: banyan-engine dev");
    Ok(())
}

impl Tour<'_> {
    async fn good_push(&mut self) -> Result<(), Failure> {
        step(1, "nina joins as a deployer, with a new machine");
        self.write("users/nina.yaml", &nina("deployer")?)?;
        let machine = self
            .trial
            .machine(MACHINE, MachineType::Agent, &self.trial.recipients()?)?;
        self.write(&format!("machines/{MACHINE}.yaml"), &machine)?;
        let event = self.push("Add nina and her machine").await?;
        applied(&event)?;
        self.show_peer(true).await
    }

    async fn bad_manifest(&mut self) -> Result<(), Failure> {
        step(2, "a typing mistake in a manifest");
        self.write("users/nina.yaml", &nina("deploier")?)?;
        refused(&self.push("Make nina a deploier").await?)?;
        self.write("users/nina.yaml", &nina("deployer")?)
    }

    async fn last_admin(&mut self) -> Result<(), Failure> {
        step(3, "a commit removes every admin");
        let path = self.work.join("users/admins.yaml");
        let admins = std::fs::read_to_string(&path).map_err(|e| failed(&path, e))?;
        std::fs::remove_file(&path).map_err(|e| failed(&path, e))?;
        refused(&self.push("Nobody needs admins").await?)?;
        std::fs::write(&path, admins).map_err(|e| failed(&path, e))
    }

    async fn revocation(&mut self) -> Result<(), Failure> {
        step(
            4,
            "nina's machine is stolen: its document goes, and so does its peer",
        );
        let path = self.work.join(format!("machines/{MACHINE}.yaml"));
        std::fs::remove_file(&path).map_err(|e| failed(&path, e))?;
        applied(&self.push("Revoke web-2").await?)?;
        self.show_peer(false).await
    }

    fn history(&self) {
        say(&format!(
            "\n{}",
            styled(Style::Strong, "The result in `banyan gitops history`:")
        ));
        let view = self.engine.state().view();
        for entry in view.history().take(5) {
            let outcome = match &entry.outcome {
                banyan_state::Outcome::Applied { generation, .. } => {
                    format!("generation {generation}")
                }
                banyan_state::Outcome::Restored { total, .. } => format!("{total} restored"),
                banyan_state::Outcome::Refused { total, .. } => {
                    format!(
                        "refused, {total} finding{}",
                        if *total == 1 { "" } else { "s" }
                    )
                }
            };
            say(&format!(
                "  {}  {:<24} {}",
                entry.commit.id.short(),
                outcome,
                entry.commit.summary
            ));
        }
    }

    fn write(&self, path: &str, text: &str) -> Result<(), Failure> {
        let path = self.work.join(path);
        std::fs::write(&path, text).map_err(|error| failed(&path, error))
    }

    /// Commits, pushes and waits for the result.
    async fn push(&mut self, message: &str) -> Result<Event, Failure> {
        say(&styled(
            Style::Dim,
            &format!("$ git commit -am '{message}' && git push"),
        ));
        git::commit(&self.work, message).await?;
        let head = git::run(&self.work, &["rev-parse", "HEAD"]).await?;
        git::run(&self.work, &["push", "--quiet", "origin", "HEAD:main"]).await?;
        let event = tokio::time::timeout(PATIENCE, self.next(head.trim())).await;
        let event =
            event.map_err(|error| Failure::setup("wait for the result of the push", error))??;
        say(&describe(&event));
        Ok(event)
    }

    async fn next(&mut self, head: &str) -> Result<Event, Failure> {
        loop {
            let event = self.events.recv().await;
            let event = event.map_err(|error| Failure::setup("watch the engine", error))?;
            let commit = match &event {
                Event::Applied { applied, .. } => &applied.commit,
                Event::Refused { commit, .. } => commit,
                Event::PutBack { .. } => continue,
                Event::Failed { error } => return Err(Failure::Said(error.clone())),
            };
            if commit.id.to_string() == head {
                return Ok(event);
            }
        }
    }

    /// Shows whether the machine's peer is on the device, according to `wg`, and fails if that is not as expected.
    async fn show_peer(&self, wanted: bool) -> Result<(), Failure> {
        let file = self.trial.machine_keys.join(format!("{MACHINE}.key"));
        let key = std::fs::read_to_string(&file).map_err(|e| failed(&file, e))?;
        let key = banyan_wireguard::PrivateKey::from_base64(key.trim());
        let key = key.map_err(|e| failed(&file, e))?.public_key().to_string();
        let Some((interface, _)) = self
            .engine
            .device()
            .filter(|_| self.engine.no_packets().is_none())
        else {
            return Ok(());
        };
        say(&styled(
            Style::Dim,
            &format!("$ wg show {interface} allowed-ips"),
        ));
        let output = Command::new("wg")
            .args(["show", &interface, "allowed-ips"])
            .output()
            .await;
        let output = output.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Failure::Said(
                "wg is not installed; install it, for example with `apt-get install wireguard-tools`"
                    .to_owned(),
            ),
            _ => Failure::setup("run wg", error),
        })?;
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        say(&indented(&shown));
        if shown.contains(&key) != wanted {
            let found = if wanted {
                "is missing"
            } else {
                "is still there"
            };
            return Err(Failure::Said(format!(
                "the peer of {MACHINE} ({key}) {found}"
            )));
        }
        let now = if wanted { "exists" } else { "is gone" };
        say(&format!("The peer of {MACHINE}, {key}, {now}."));
        Ok(())
    }
}

fn step(number: u8, what: &str) {
    say(&format!(
        "\n{}",
        styled(Style::Strong, &format!("{number}. {what}"))
    ));
}

fn nina(role: &str) -> Result<String, Failure> {
    let name = |text: &str| {
        text.parse()
            .map_err(|e| Failure::setup(format!("name {text}"), e))
    };
    Ok(scaffold::user(&NewUser {
        name: name("nina")?,
        roles: vec![name(role)?],
        email: Some("nina@example.org".to_owned()),
        expires: None,
    }))
}

fn failed(path: &Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    Failure::setup(format!("use {}", path.display()), error)
}

fn applied(event: &Event) -> Result<(), Failure> {
    match event {
        Event::Applied { .. } => Ok(()),
        _ => Err(Failure::Said(
            "that push should have been applied".to_owned(),
        )),
    }
}

fn refused(event: &Event) -> Result<(), Failure> {
    match event {
        Event::Refused { .. } => Ok(()),
        _ => Err(Failure::Said(
            "that push should have been refused".to_owned(),
        )),
    }
}
