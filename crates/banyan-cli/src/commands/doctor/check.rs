//! The checks of `banyan doctor`. Those that need the engine run only if it answers.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use banyan_api::{Target, Trust, v1};
use jiff::Timestamp;

use super::{Check, Grade};
use crate::clock;
use crate::commands::gitops::status::{self as gitops, Status as GitopsStatus};
use crate::commands::{status, whoami};
use crate::config;
use crate::context::Context;
use crate::engine::Engine;
use crate::error::{Exit, Failure};
use crate::shape;
use crate::ui::relative;

/// The largest difference between the engine's clock and ours that is not reported, in seconds.
const CLOCK_TOLERANCE: i64 = 5;

pub(super) fn all(context: &Context) -> Vec<Check> {
    let mut checks = vec![configuration()];
    match context.target() {
        Ok(target) => {
            checks.push(match &target {
                Target::Socket(path) => socket(path),
                Target::Tls { trust, .. } => ok("target", format!("{target}, {}", known(trust))),
            });
            engine(&target, context, &mut checks);
        }
        // The problem is the credentials file.
        Err(failure) if failure.exit() == Exit::NotAuthenticated => {
            checks.push(failed("login", &failure));
        }
        Err(failure) => checks.push(failed("socket", &failure)),
    }
    checks.push(ok("tools", "neither git nor age needs to be installed"));
    checks
}

fn ok(check: &'static str, detail: impl Into<String>) -> Check {
    Check {
        check,
        result: Grade::Ok,
        detail: detail.into(),
        help: None,
    }
}

fn not_ok(result: Grade, check: &'static str, detail: String, help: &str) -> Check {
    Check {
        check,
        result,
        detail,
        help: Some(help.to_owned()),
    }
}

fn failed(check: &'static str, failure: &Failure) -> Check {
    Check {
        check,
        result: Grade::Fail,
        detail: failure.in_one_line(),
        help: failure.hints().first().cloned(),
    }
}

fn configuration() -> Check {
    if let Err(failure) = config::load() {
        return failed("config", &failure);
    }
    let shown = |(path, there): (PathBuf, bool)| match there {
        true => format!("{} is valid", path.display()),
        false => format!("{} does not exist", path.display()),
    };
    let files: Vec<String> = config::files().into_iter().map(shown).collect();
    ok("config", files.join(", "))
}

fn socket(path: &Path) -> Check {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(data) if data.file_type().is_socket() => ok("socket", format!("{shown} exists")),
        Ok(_) => not_ok(
            Grade::Fail,
            "socket",
            format!("{shown} is not a socket"),
            "name the engine's socket with --socket",
        ),
        Err(error) => not_ok(
            Grade::Fail,
            "socket",
            format!("{shown}: {error}"),
            "start the engine on this host: `systemctl start banyan-engine`; or run this as root",
        ),
    }
}

fn known(trust: &Trust) -> &'static str {
    match trust {
        Trust::Pin(_) => "verified by its pin",
        Trust::Ca(_) => "verified by the authority in the CA file",
        Trust::System => "verified by an authority that the system trusts",
    }
}

fn engine(target: &Target, context: &Context, checks: &mut Vec<Check>) {
    let engine = match context.engine_at(target) {
        Ok(engine) => engine,
        Err(failure) if failure.exit() == Exit::NotAuthenticated => {
            checks.push(failed("login", &failure));
            checks.push(match Engine::connect(target) {
                Ok(_) => ok("engine", "answers; more needs a login"),
                Err(failure) => failed("engine", &failure),
            });
            return;
        }
        Err(failure) => {
            checks.push(failed("engine", &failure));
            return;
        }
    };
    checks.push(login(&engine, context.now));
    let asked = clock::now();
    match status::ask(&engine) {
        Ok(status) => {
            checks.push(ok("engine", format!("version {} answers", status.version)));
            checks.push(clock(&status, asked));
            checks.push(wireguard(&status));
            checks.push(store(&status));
            checks.extend(status.warnings.iter().map(|warning| warned(warning)));
        }
        Err(failure) => checks.push(failed("engine", &failure)),
    }
    checks.push(match gitops::ask(&engine) {
        Ok(status) => repo(&status),
        Err(failure) => failed("repo", &failure),
    });
}

fn login(engine: &Engine, now: Timestamp) -> Check {
    let Some(login) = engine.login() else {
        return ok("login", "not needed: the local socket is for this host");
    };
    match whoami::ask(engine) {
        Ok(identity) => {
            let expires = shape::at(identity.token_expires.as_ref());
            let expires = expires.map(|at| format!("; the token expires {}", relative(at, now)));
            let (name, expires) = (identity.name, expires.unwrap_or_default());
            let lasts = relative(login.lasts_until(), now);
            let detail = format!(
                "{name}{expires} and is renewed by itself; without a command the login ends {lasts}"
            );
            ok("login", detail)
        }
        Err(failure) => failed("login", &failure),
    }
}

fn warned(warning: &str) -> Check {
    Check {
        check: "engine",
        result: Grade::Warn,
        detail: warning.to_owned(),
        help: None,
    }
}

fn clock(status: &v1::EngineStatus, asked: Timestamp) -> Check {
    let Some(theirs) = shape::at(status.now.as_ref()) else {
        return warned("the engine does not report its time");
    };
    let apart = (theirs.as_second() - asked.as_second()).abs();
    if apart < CLOCK_TOLERANCE {
        return ok("clock", "the engine's clock agrees with this one");
    }
    not_ok(
        Grade::Fail,
        "clock",
        format!("the engine's clock differs from this one by {apart} s"),
        "synchronize both by NTP; `timedatectl` shows the state",
    )
}

fn store(status: &v1::EngineStatus) -> Check {
    if status.store_problem.is_empty() && status.role == "cut-off" {
        return not_ok(
            Grade::Fail,
            "store",
            format!(
                "{} answers, but the engine is not a member of the cluster: {}",
                status.store, status.role_reason
            ),
            "repair it; meanwhile the engine serves what is in force and cannot lead",
        );
    }
    if status.store_problem.is_empty() {
        return ok("store", format!("{} answers", status.store));
    }
    not_ok(
        Grade::Fail,
        "store",
        format!("{} is out of reach: {}", status.store, status.store_problem),
        "repair it; meanwhile the engine keeps serving what is in force, and nothing can change",
    )
}

fn wireguard(status: &v1::EngineStatus) -> Check {
    let (backend, reason) = (&status.wireguard, &status.wireguard_reason);
    if backend == "none" || !reason.is_empty() {
        return not_ok(
            Grade::Warn,
            "wireguard",
            format!("{backend}: {reason}"),
            "give the engine /dev/net/tun and the capability CAP_NET_ADMIN, and set `wireguard: auto`",
        );
    }
    let (interface, port, peers) = (&status.interface, status.listen_port, status.peers);
    ok(
        "wireguard",
        format!("{backend}, {interface} on port {port}, {peers} peers"),
    )
}

fn repo(status: &v1::GitopsStatus) -> Check {
    let status = GitopsStatus::new(status);
    let sentence = status.sentence_with_error();
    let next = status.next_step();
    let next = next.as_deref();
    match status.is_in_force() {
        true => ok("repo", sentence),
        false => not_ok(
            match status.has_applied() {
                true => Grade::Warn,
                false => Grade::Fail,
            },
            "repo",
            sentence,
            next.unwrap_or("`banyan gitops status` says more"),
        ),
    }
}
