//! The command line: the commands, one file each, and the dispatch to them.

mod audit;
mod can_i;
mod change_password;
mod completions;
mod doctor;
mod engine;
mod explain;
mod gitops;
mod login;
mod logout;
mod machine;
mod man;
mod plan;
mod repo;
mod role;
mod schema;
mod seal;
mod session;
mod signing_key;
mod status;
mod user;
mod validate;
mod version;
mod whoami;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::args::Globals;
use crate::context::Context;
use crate::error::{Exit, Failure};

/// Who may do what, and which machines are on the private network, from a git repository
#[derive(Debug, Parser)]
#[command(
    name = "banyan",
    version,
    disable_help_subcommand = true,
    after_help = "Examples:\n  banyan repo init acorn --name acorn\n  banyan status\n\n\
                  Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 bad configuration, \
                  4 not authenticated, 5 not permitted, 6 engine out of reach."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check the documents of a cluster repo
    Validate(validate::Args),
    /// Show what a tree would change, and what that would mean
    Plan(plan::Args),
    /// Create and extend a cluster repo
    #[command(subcommand)]
    Repo(repo::Command),
    /// Seal a value for the recipients of the cluster
    Seal(seal::Args),
    /// Print the JSON Schema of the documents, for editors
    Schema(schema::Args),
    /// Show the state of the engine and of the repo
    Status(status::Args),
    /// Inspect and operate the reconciler
    #[command(subcommand)]
    Gitops(gitops::Command),
    /// List the engines of the cluster, and remove one that is gone
    #[command(subcommand)]
    Engine(engine::Command),
    Login(login::Args),
    Logout(logout::Args),
    Whoami(whoami::Args),
    ChangePassword(change_password::Args),
    CanI(can_i::Args),
    /// Inspect users, and grant or revoke their access
    #[command(subcommand)]
    User(user::Command),
    /// List who is logged in, and end sessions
    #[command(subcommand)]
    Session(session::Command),
    /// List and rotate the keys that sign tokens
    #[command(subcommand)]
    SigningKey(signing_key::Command),
    Audit(audit::Args),
    /// List roles and permissions
    #[command(subcommand)]
    Role(role::Command),
    /// Inspect machines
    #[command(subcommand)]
    Machine(machine::Command),
    /// Explain where an object comes from and what it implies
    Explain(explain::Args),
    /// Find out what is wrong with this client and its engine
    Doctor(doctor::Args),
    Version(version::Args),
    /// Print the completions for a shell
    Completions(completions::Args),
    /// Print or write the man pages
    Man(man::Args),
}

pub(crate) fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Validate(args) => validate::run(&args, context),
        Command::Plan(args) => plan::run(&args, context),
        Command::Repo(command) => repo::run(&command, context),
        Command::Seal(args) => seal::run(&args, context),
        Command::Schema(args) => schema::run(&args, context),
        Command::Status(args) => status::run(&args, context),
        Command::Gitops(command) => gitops::run(&command, context),
        Command::Engine(command) => engine::run(&command, context),
        Command::Login(args) => login::run(&args, context),
        Command::Logout(args) => logout::run(&args, context),
        Command::Whoami(args) => whoami::run(&args, context),
        Command::ChangePassword(args) => change_password::run(&args, context),
        Command::CanI(args) => can_i::run(&args, context),
        Command::Session(command) => session::run(&command, context),
        Command::SigningKey(command) => signing_key::run(&command, context),
        Command::Audit(args) => audit::run(&args, context),
        Command::User(command) => user::run(&command, context),
        Command::Role(command) => role::run(&command, context),
        Command::Machine(command) => machine::run(&command, context),
        Command::Explain(args) => explain::run(&args, context),
        Command::Doctor(args) => doctor::run(&args, context),
        Command::Version(args) => version::run(&args, context),
        Command::Completions(args) => completions::run(&args, &mut Cli::command(), context),
        Command::Man(args) => man::run(&args, program(), context),
    }
}

/// The last line of each command's help.
const GLOBALS: &str = "Global options: banyan --help";

/// The command line as help and man pages show it: global options stand on the first page only, and every command takes
/// them all the same.
pub(crate) fn program() -> clap::Command {
    let cli = Cli::command();
    let globals = cli.get_arguments().filter(|arg| arg.is_global_set());
    let hidden: Vec<clap::Arg> = globals.map(|arg| arg.clone().hide(true)).collect();
    cli.mut_subcommands(|command| with_footer(command.args(&hidden)))
}

fn with_footer(command: clap::Command) -> clap::Command {
    let help = command.get_after_help().map(ToString::to_string);
    let help = help.map(|help| format!("{help}\n\n{GLOBALS}"));
    command
        .after_help(help.unwrap_or_else(|| GLOBALS.to_owned()))
        .mut_subcommands(with_footer)
}

#[cfg(test)]
mod tests;
