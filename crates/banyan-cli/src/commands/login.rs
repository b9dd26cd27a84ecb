//! `banyan login`: exchanges a name and a password, or a one-time code, for tokens, and stores them.

use std::path::PathBuf;

use banyan_api::{Client, Target, v1};
use banyan_core::SecretText;

use crate::args::secret;
use crate::clock;
use crate::context::Context;
use crate::credentials::{CredentialsFile, EngineKey, Login, Tokens};
use crate::engine::signed_in::no_tokens;
use crate::engine::{Engine, SOON};
use crate::error::{Exit, Failure};
use crate::prompt::Prompt;
use crate::secret_input;
use crate::ui::moment;

/// Log in at an engine on another host
///
/// Asks for name and password. The tokens are stored in ~/.config/banyan/credentials.json, readable by you only, and later
/// commands that name no engine use this one. On the engine's own host, the local socket needs no login.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  banyan login --engine engine.example.org --username alice\n  banyan login --engine engine.example.org --enroll --username bob"
)]
pub(crate) struct Args {
    /// Your name; prompted for by default
    #[arg(long, short, value_name = "NAME")]
    username: Option<String>,
    /// Your password; other users of this host can see it while the command runs
    #[arg(long, value_name = "PASSWORD", value_parser = secret, conflicts_with = "password_stdin")]
    password: Option<SecretText>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Set a new password with a one-time code, as `banyan user enroll` prints it
    #[arg(long)]
    enroll: bool,
    /// The one-time code; prompted for by default
    #[arg(long, value_name = "CODE", value_parser = secret, requires = "enroll")]
    code: Option<SecretText>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let (target, ca_file) = context.target_of_login()?;
    let key = key(&target)?;
    if args.password.is_some() {
        context.ui.note(
            "other users of this host can see a password on the command line; use `--password-stdin`",
        );
    }
    // The engine is verified before a password is typed.
    let engine = Engine::connect(&target)?;
    let name = name(args)?;
    let tokens = tokens(args, &engine, &name)?;
    let user = tokens.name.clone();
    let lasts = moment(tokens.refresh_expires, context.now);
    keep(&key, ca_file, tokens, context)?;
    context.ui.say(&format!(
        "Logged in at {target} as {user}; the login ends {lasts}, unless a command renews it."
    ));
    Ok(Exit::Done)
}

fn key(target: &Target) -> Result<EngineKey, Failure> {
    EngineKey::of(target).ok_or_else(|| {
        Failure::usage(format!("the local socket {target} needs no login"))
            .hint("run other commands without a login; `banyan whoami` shows who you are")
            .hint("name an engine on another host with `--engine`, BANYAN_ENGINE or `cli.engine_host`")
    })
}

fn name(args: &Args) -> Result<String, Failure> {
    let name = match &args.username {
        Some(name) => name.clone(),
        None => Prompt::open("your name", "`--username`")?.text("Username")?,
    };
    // Names are lower-case, and many keyboards begin a word with a capital.
    Ok(name.to_ascii_lowercase())
}

fn tokens(args: &Args, engine: &Engine, name: &str) -> Result<Tokens, Failure> {
    let what = format!("log in as {name}");
    let answer = if args.enroll {
        let code = match &args.code {
            Some(code) => code.clone(),
            None => Prompt::open("the one-time code", "`--code`")?.secret("One-time code")?,
        };
        let password = password(args, |prompt| prompt.new_secret("New password"))?;
        engine.call(&what, SOON, |client| enroll(client, name, &code, &password))
    } else {
        let password = password(args, |prompt| prompt.secret("Password"))?;
        engine.call(&what, SOON, |client| login(client, name, &password))
    };
    Tokens::new(answer?, clock::now()).ok_or_else(|| no_tokens(&what))
}

fn password(
    args: &Args,
    ask: impl FnOnce(&Prompt) -> Result<SecretText, Failure>,
) -> Result<SecretText, Failure> {
    if let Some(password) = &args.password {
        return Ok(password.clone());
    }
    if args.password_stdin {
        let [password] = secret_input::passwords()?;
        return Ok(password);
    }
    ask(&Prompt::open("the password", "`--password-stdin`")?)
}

type Answer = Result<tonic::Response<v1::Tokens>, tonic::Status>;

fn login(client: Client, name: &str, password: &SecretText) -> impl Future<Output = Answer> {
    let request = v1::LoginRequest {
        name: name.to_owned(),
        password: password.expose().to_owned(),
    };
    async move { client.auth().login(request).await }
}

fn enroll(
    client: Client,
    name: &str,
    code: &SecretText,
    password: &SecretText,
) -> impl Future<Output = Answer> {
    let request = v1::EnrollRequest {
        name: name.to_owned(),
        code: code.expose().to_owned(),
        password: password.expose().to_owned(),
    };
    async move { client.auth().enroll(request).await }
}

fn keep(
    key: &EngineKey,
    ca_file: Option<PathBuf>,
    tokens: Tokens,
    context: &Context,
) -> Result<(), Failure> {
    let file = CredentialsFile::own()?;
    let locked = file.lock()?;
    let mut credentials = file.look().unwrap_or_else(|damage| {
        let why = file.unusable(&damage).in_one_line();
        context.ui.note(&format!("{why}; it is replaced"));
        Default::default()
    });
    credentials.add(Login::new(key, ca_file, tokens));
    locked.write(&credentials)
}
