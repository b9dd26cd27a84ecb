//! The trial's output: instructions, and the result of each push.

use std::net::SocketAddr;
use std::path::PathBuf;

use banyan_core::{Finding, Severity};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::http::USER;
use super::seed::Trial;
use super::ui::{Style, indented, say, styled};
use crate::Failure;
use crate::reconcile::Event;
use crate::run::Engine;

/// The maximum number of findings shown of a refusal.
const MAX_SHOWN: usize = 10;

/// The welcome text: the current state and what to type next.
pub(super) fn welcome(engine: &Engine, trial: &Trial, http: SocketAddr) -> String {
    let dir = trial.dir.display();
    let (repo, socket) = (trial.repo.display(), engine.socket().display());
    let password = trial.password.expose();
    let programs = programs().map_or_else(String::new, |path| {
        format!("export PATH={}:$PATH\n  ", path.display())
    });
    let programs = match trial.clones_need_files {
        true => format!("{programs}export GIT_DEFAULT_REF_FORMAT=files\n  "),
        false => programs,
    };
    let objects = counts(engine);
    let network = network(engine);
    let title = styled(Style::Strong, "Banyan trial");
    let step = |text: &str| styled(Style::Strong, text);
    format!(
        "{title}: {objects} in force, everything is in {dir}\n{network}\n\n\
{change}\n  \
  {programs}export BANYAN_SOCKET={socket}\n  \
  git clone {repo} cluster && cd cluster\n  \
  git config user.name \"$(id -un)\" && git config user.email you@example.org\n  \
  banyan repo add-user nina --role deployer\n  \
  banyan plan\n  \
  git add -A && git commit -m 'Add nina' && git push\n\n\
{over}\n  \
  git clone http://{USER}:{password}@{http}/cluster.git\n\n\
{see}\n  \
  banyan gitops status      what is in force, and why newer commits are not\n  \
  banyan gitops history     the outcome of each commit\n  \
  banyan user list          users, and the file and line each comes from\n  \
  banyan machine list       machines, their addresses and handshakes\n  \
  banyan user show nina     what nina may do, and which role gives it\n\n\
{login}\n  \
  banyan user enroll nina   issues a one-time code; nina sets a password with it:\n  \
  banyan login --enroll --username nina --engine {grpc} --engine-ca-pin {pin}\n  \
  banyan whoami --engine {grpc}\n\n\
Private keys of the demo machines: {keys}\nMetrics: http://{metrics}/metrics. Stop: Ctrl-C. Start over: rm -r {dir}\n\n\
{below}",
        change = step("Change something, in another terminal:"),
        over = step("The same over HTTP (pushing needs the password in this address):"),
        see = step("Look around:"),
        login = step("Log in as a user, over TLS:"),
        grpc = engine.reached().grpc,
        pin = engine.reached().pin,
        keys = trial.machine_keys.display(),
        metrics = engine.http(),
        below = styled(Style::Dim, "Each push shows below."),
    )
}

fn counts(engine: &Engine) -> String {
    let view = engine.state().view();
    let objects = &view.in_force.objects;
    let of =
        |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    format!(
        "{}, {}, {}",
        of(objects.users.len(), "user"),
        of(objects.roles.len(), "role"),
        of(objects.machines.len(), "machine")
    )
}

/// A description of the private network, or why there is none.
fn network(engine: &Engine) -> String {
    let bad = |text: String| styled(Style::Bad, &text);
    match (engine.no_packets(), engine.device(), engine.problem()) {
        (Some(reason), ..) => bad(format!(
            "WireGuard: no packets ({reason}); peers are computed nevertheless"
        )),
        (None, Some((name, port)), _) => {
            format!("WireGuard: {name}, UDP {port}, see: wg show {name}")
        }
        (None, None, Some(trouble)) => bad(format!(
            "WireGuard: no packets yet, retrying every second: {trouble}"
        )),
        (None, None, None) => "WireGuard: being set up".to_owned(),
    }
}

/// The directory of the programs, if `banyan` is next to this one and not in `PATH`.
fn programs() -> Option<PathBuf> {
    let folder = std::env::current_exe().ok()?.parent()?.to_owned();
    let search = std::env::var_os("PATH").unwrap_or_default();
    let known = std::env::split_paths(&search).any(|path| path.join("banyan").is_file());
    (!known && folder.join("banyan").is_file()).then_some(folder)
}

/// Shows events until the engine stops.
pub(super) async fn follow(engine: &Engine, mut events: Receiver<Event>) {
    let mut trouble = None;
    loop {
        match events.recv().await {
            Ok(event) => say(&format!("\n{}", describe(&event))),
            Err(RecvError::Lagged(missed)) => say(&format!("({missed} events were missed)")),
            Err(RecvError::Closed) => return,
        }
        let now = engine.problem();
        if now != trouble {
            say(&network(engine));
            trouble = now;
        }
    }
}

/// A description of an event.
pub(super) fn describe(event: &Event) -> String {
    match event {
        Event::Applied {
            applied,
            plan,
            took,
        } => {
            let commit = &applied.commit;
            let head = format!(
                "✓ {} \"{}\" by {} is in force (generation {}, {} ms)",
                commit.id.short(),
                commit.summary,
                commit.author,
                applied.generation,
                took.as_millis()
            );
            let warnings: Vec<_> = plan.warnings.iter().map(finding).collect();
            let body = indented(&format!("{plan}{}", warnings.join("\n")));
            format!("{}\n{body}", styled(Style::Good, &head))
        }
        Event::PutBack { what } => {
            let head = "↺ what is in force was changed from outside; it was restored";
            let body = indented(&what.join("\n"));
            format!("{}\n{body}", styled(Style::Good, head))
        }
        Event::Refused { commit, findings } => {
            let head = format!(
                "✗ {} \"{}\" by {} is refused; what was in force stays in force",
                commit.id.short(),
                commit.summary,
                commit.author
            );
            let shown: Vec<_> = findings.iter().take(MAX_SHOWN).map(finding).collect();
            let more = findings.len().saturating_sub(MAX_SHOWN);
            let more = if more > 0 {
                format!("\n  … and {more} more: banyan gitops status")
            } else {
                String::new()
            };
            format!(
                "{}\n{}{more}",
                styled(Style::Bad, &head),
                indented(&shown.join("\n"))
            )
        }
        Event::Failed { error } => {
            format!(
                "{} {error}",
                styled(Style::Bad, "! a pass failed and will be retried:")
            )
        }
    }
}

fn finding(finding: &Finding) -> String {
    let style = match finding.severity {
        Severity::Error => Style::Bad,
        Severity::Warning => Style::Dim,
    };
    let severity = styled(style, &finding.severity.to_string());
    let help = finding
        .help
        .as_ref()
        .map_or_else(String::new, |help| format!("\n  help: {help}"));
    format!("{}: {severity}: {}{help}", finding.place(), finding.message)
}

/// Turns a refusal or failure into an error of the program.
pub(super) fn unless_applied(event: &Event) -> Result<(), Failure> {
    match event {
        Event::Applied { .. } => Ok(()),
        other => Err(Failure::Said(describe(other))),
    }
}
