//! `init` and `recover-admin`: create an admin from the engine's host, or let one log in again. A running
//! engine is asked over its local socket; without one, the store is opened.

mod ask;
mod reach;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use banyan_core::{Name, SecretText};
use zeroize::Zeroizing;

use crate::Failure;
use crate::config::{Config, ConfigError};
use reach::{Answer, Reach, Wanted};

/// The longest first line of a file with a password, in bytes: more than any password has.
const MAX_LINE: usize = 4096;

/// The options of `init`.
#[derive(Debug, clap::Args)]
pub struct InitOptions {
    /// The first admin's name.
    #[arg(long, value_name = "NAME", default_value = "admin")]
    pub admin: Name,
    /// The admin's password: the first line of a file. Without this and without --enroll it is asked for.
    #[arg(long, value_name = "FILE", conflicts_with = "enroll")]
    pub admin_password_file: Option<PathBuf>,
    /// Print a one-time code to set the password with.
    #[arg(long)]
    pub enroll: bool,
}

/// The options of `recover-admin`.
#[derive(Debug, clap::Args)]
pub struct RecoverOptions {
    /// The admin's name; created if it does not exist.
    #[arg(long, value_name = "NAME", default_value = "admin")]
    pub user: Name,
    /// The admin's new password: the first line of a file. Without this and without --enroll it is asked for.
    #[arg(long, value_name = "FILE", conflicts_with = "enroll")]
    pub password_file: Option<PathBuf>,
    /// Print a one-time code to set the password with.
    #[arg(long)]
    pub enroll: bool,
}

/// Makes the first admin; says what was done.
///
/// # Errors
/// There is no configuration, no password, or neither an engine nor its store.
pub async fn init(path: &Path, options: &InitOptions) -> Result<String, Failure> {
    let config = configured(path)?;
    let reach = Reach::open(&config).await?;
    if let Some(admin) = reach.known_admin().await? {
        return Ok(nothing_to_do(&admin));
    }
    let flags = "--admin-password-file FILE or --enroll";
    let password = password(
        options.admin_password_file.as_deref(),
        options.enroll,
        flags,
    )?;
    let wanted = Wanted {
        name: options.admin.clone(),
        password,
        only_if_none: true,
    };
    let answer = reach.recover(wanted).await?;
    Ok(match answer.done.is_empty() {
        true => nothing_to_do(&answer.name),
        false => told(&answer),
    })
}

/// Makes an admin able to log in; says what was done.
///
/// # Errors
/// Git keeps the admin out, there is no password, or neither an engine nor its store.
pub async fn recover_admin(config: &Config, options: &RecoverOptions) -> Result<String, Failure> {
    let reach = Reach::open(config).await?;
    let flags = "--password-file FILE or --enroll";
    let password = password(options.password_file.as_deref(), options.enroll, flags)?;
    let wanted = Wanted {
        name: options.user.clone(),
        password,
        only_if_none: false,
    };
    reach.recover(wanted).await.map(|answer| told(&answer))
}

/// The configuration; where there is none, what one looks like.
fn configured(path: &Path) -> Result<Config, Failure> {
    match Config::read(path) {
        Err(ConfigError::Unreadable { source, .. })
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            Err(Failure::NoConfig(path.to_owned()))
        }
        other => Ok(other?),
    }
}

/// The password to set; nothing where a code is to be made.
fn password(
    file: Option<&Path>,
    enroll: bool,
    flags: &'static str,
) -> Result<Option<SecretText>, Failure> {
    match (file, enroll) {
        (_, true) => Ok(None),
        (Some(file), false) => first_line(file).map(Some),
        (None, false) => ask::new_password(flags).map(Some),
    }
}

fn first_line(path: &Path) -> Result<SecretText, Failure> {
    let doing = || format!("read the password from {}", path.display());
    let file = File::open(path).map_err(|error| Failure::setup(doing(), error))?;
    // Room for all of it at once: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LINE + 1));
    let read = file.take(MAX_LINE as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::setup(doing(), error))?;
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line);
    let text = text.map_err(|_| Failure::setup(doing(), "its first line is not UTF-8"))?;
    match text {
        "" => Err(Failure::setup(doing(), "its first line is empty")),
        text => Ok(SecretText::new(text.to_owned())),
    }
}

fn nothing_to_do(admin: &str) -> String {
    format!(
        "{admin} is an admin already and is able to log in; nothing was changed\n\
         password or code lost? banyan-engine recover-admin --user {admin}"
    )
}

/// What was done, and the next step.
fn told(answer: &Answer) -> String {
    let name = &answer.name;
    let mut lines = vec![format!("{name}:")];
    lines.extend(answer.done.iter().map(|done| format!("  {done}")));
    match &answer.code {
        Some(code) => {
            let until = answer.until.map(|until| format!(", good until {until:.0}"));
            lines.push(String::new());
            lines.push(format!("one-time code{}:", until.unwrap_or_default()));
            lines.push(format!("  {}", code.as_str()));
            lines.push("set the password with it, where the CLI reaches this engine:".to_owned());
            lines.push(format!("  banyan login --enroll --username {name}"));
        }
        None => lines.push(format!("log in: banyan login --username {name}")),
    }
    lines.join("\n")
}
