//! The engine's program: parse, build, run, drain.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use banyan_engine::admin::{self, InitOptions, RecoverOptions};
use banyan_engine::config::{Config, DEFAULT_PATH, Reload};
use banyan_engine::ops::archive::{self, BackupOptions, MigrateOptions, RestoreOptions};
use banyan_engine::ops::logging;
use banyan_engine::run::Engine;
use banyan_engine::trial::{self, Options};
use banyan_engine::{Failure, VersionOptions, report};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// Reconciles a cluster repo into users, roles and the WireGuard peer set.
#[derive(Parser)]
#[command(name = "banyan-engine", version, about)]
struct Arguments {
    /// The configuration file.
    #[arg(long, global = true, default_value = DEFAULT_PATH, value_name = "FILE")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the engine.
    Run,
    /// Try Banyan: an engine with its own repo, keys, users and machines.
    Dev(Options),
    /// Create the first admin; does nothing if an admin can log in.
    Init(InitOptions),
    /// Break-glass: create an admin, or enable one to log in again.
    RecoverAdmin(RecoverOptions),
    /// Check the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Write a backup of the engine's state to a file.
    Backup(BackupOptions),
    /// Fill the store from a backup; the engine must not be running.
    Restore(RestoreOptions),
    /// Move the embedded store to another backend; the engine must not be running.
    Migrate(MigrateOptions),
    /// Print the pin that clients know this engine by.
    Pin,
    /// Print the version, and the formats that this program reads and writes.
    Version(VersionOptions),
    /// Check whether a running engine is ready; for images without a shell.
    Healthcheck,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Check the configuration without starting anything.
    Check,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match execute(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the one place that reports why the program ends"
)]
fn complain(failure: &Failure) {
    eprintln!("banyan-engine: {}", report(failure));
}

#[tokio::main]
async fn execute(arguments: Arguments) -> Result<(), Failure> {
    let read = || Config::read(&arguments.config);
    match arguments.command {
        Command::Run => run(&arguments.config).await,
        Command::Dev(options) => trial::run(options, stopped()?).await,
        Command::Init(options) => answer(admin::init(&arguments.config, &options).await),
        Command::RecoverAdmin(options) => answer(admin::recover_admin(&read()?, &options).await),
        Command::Config(ConfigCommand::Check) => check(&arguments.config),
        Command::Backup(options) => tell(archive::backup(&read()?, &options).await),
        Command::Restore(options) => tell(archive::restore(&read()?, &options).await),
        Command::Migrate(options) => tell(archive::migrate(&read()?, &options).await),
        Command::Pin => pin(&read()?),
        Command::Version(options) => print_version(&options),
        Command::Healthcheck => banyan_engine::healthcheck(&read()?).await,
    }
}

async fn run(path: &Path) -> Result<(), Failure> {
    let config = Config::read(path)?;
    logging::start(config.log, "info");
    let reload = Reload::new(path);
    let stopped = stopped()?;
    let mut hangup =
        signal(SignalKind::hangup()).map_err(|error| Failure::setup("handle signals", error))?;
    let engine = Engine::start(config, false).await?;
    let mut stopped = std::pin::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => break,
            _ = hangup.recv() => {
                reload.check();
                engine.look_at_branch();
            }
        }
    }
    engine.stop().await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer to the command")]
fn check(path: &Path) -> Result<(), Failure> {
    Config::read(path)?;
    println!("{} is valid", path.display());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer to the command")]
fn answer(done: Result<String, Failure>) -> Result<(), Failure> {
    println!("{}", done?);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer to the command")]
fn pin(config: &Config) -> Result<(), Failure> {
    println!("{}", banyan_engine::listen::tls::pin(config)?);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer to the command")]
fn print_version(options: &VersionOptions) -> Result<(), Failure> {
    print!("{}", options.text());
    Ok(())
}

/// Prints what was done to standard error, since data may go to standard output.
#[expect(clippy::print_stderr, reason = "the last step of a command")]
fn tell(done: Result<String, Failure>) -> Result<(), Failure> {
    eprintln!("{}", done?);
    Ok(())
}

/// Completes when the process is asked to stop.
fn stopped() -> Result<impl Future<Output = ()>, Failure> {
    let setup = |error| Failure::setup("handle signals", error);
    let mut terminate = signal(SignalKind::terminate()).map_err(setup)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(setup)?;
    let mut quit = signal(SignalKind::quit()).map_err(setup)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
        }
    })
}
