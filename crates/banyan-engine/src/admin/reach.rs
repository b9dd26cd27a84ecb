//! The running engine, or without one the store itself; both come to the same decision.

use banyan_api::v1::{ListUsersRequest, RecoverAdminRequest, RecoverAdminResponse};
use banyan_api::{Client, ConnectError, Target, to_jiff};
use banyan_core::audit::Action;
use banyan_core::{Name, SecretText};
use banyan_identity::{
    Caller, Cost, DecisionContext, FirstLogin, Password, Recovered, Recovery, enrolment_end,
};
use banyan_state::{Scope, State};
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::Failure;
use crate::clock::now;
use crate::config::{Config, StoreBackend};
use crate::login::Hashing;
use crate::ops::store::{embedded_path, engine_name, open_state};
use crate::private_file::make_private_dir;
use crate::random;

/// What the store is for here.
const DOING: &str = "make an admin able to log in";

/// How the state is reached.
pub(super) enum Reach {
    /// An engine runs.
    Engine(Box<Client>),
    /// None does.
    Store(Box<Opened>),
}

pub(super) struct Opened {
    state: State,
    /// Whose audit log says what is done.
    engine: Name,
}

/// What is wanted.
pub(super) struct Wanted {
    pub(super) name: Name,
    /// A code is made without one.
    pub(super) password: Option<SecretText>,
    pub(super) only_if_none: bool,
}

/// What was done.
pub(super) struct Answer {
    pub(super) name: String,
    /// Nothing was, when empty.
    pub(super) done: Vec<String>,
    pub(super) code: Option<Zeroizing<String>>,
    pub(super) until: Option<Timestamp>,
}

impl Reach {
    pub(super) async fn open(config: &Config) -> Result<Self, Failure> {
        match Client::connect(&Target::Socket(config.socket.clone())).await {
            Ok(client) => Ok(Self::Engine(Box::new(client))),
            Err(unanswered) => Opened::open(config, unanswered)
                .await
                .map(|opened| Self::Store(Box::new(opened))),
        }
    }

    /// An admin who can log in, if there is one: a user who holds `*`, whatever the role is called.
    pub(super) async fn known_admin(&self) -> Result<Option<String>, Failure> {
        match self {
            Self::Store(opened) => {
                let view = opened.state.view();
                let admin = view.directory().lasting_admins(now()).next();
                Ok(admin.map(|admin| admin.name().to_string()))
            }
            Self::Engine(client) => {
                let users = client.users().list_users(ListUsersRequest {}).await;
                let users = users.map_err(|status| refused(&status))?.into_inner().users;
                let admin = users.into_iter().find(|user| user.lasting_admin);
                Ok(admin.map(|admin| admin.name))
            }
        }
    }

    pub(super) async fn recover(&self, wanted: Wanted) -> Result<Answer, Failure> {
        match self {
            Self::Engine(client) => through(client, wanted).await,
            Self::Store(opened) => opened.recover(wanted).await,
        }
    }
}

async fn through(client: &Client, wanted: Wanted) -> Result<Answer, Failure> {
    let password = wanted
        .password
        .as_ref()
        .map(|password| password.expose().to_owned());
    let request = RecoverAdminRequest {
        name: wanted.name.to_string(),
        password: password.unwrap_or_default(),
        only_if_none: wanted.only_if_none,
    };
    let answer = client.host().recover_admin(request).await;
    let answer = answer.map_err(|status| refused(&status))?.into_inner();
    let RecoverAdminResponse {
        user,
        enrolment,
        done,
    } = answer;
    let until = enrolment
        .as_ref()
        .and_then(|enrolment| to_jiff(enrolment.expires.as_ref()?));
    Ok(Answer {
        name: user.map_or_else(|| wanted.name.to_string(), |user| user.name),
        done,
        code: enrolment.map(|enrolment| Zeroizing::new(enrolment.code)),
        until,
    })
}

fn refused(status: &tonic::Status) -> Failure {
    Failure::setup(DOING, status.message().to_owned())
}

impl Opened {
    async fn open(config: &Config, unanswered: ConnectError) -> Result<Self, Failure> {
        make_private_dir(&config.state_dir)?;
        let state = open_state(config).await.map_err(|failure| match failure {
            Failure::Running(_) => {
                let path = match config.store_backend {
                    StoreBackend::Embedded => embedded_path(&config.state_dir),
                    StoreBackend::Etcd => config.state_dir.clone(),
                };
                let why = format!(
                    "an engine is running on {}, but {}",
                    path.display(),
                    crate::report(&unanswered)
                );
                Failure::setup(DOING, why)
            }
            other => other,
        })?;
        Ok(Self {
            state,
            engine: engine_name(config),
        })
    }

    async fn recover(&self, wanted: Wanted) -> Result<Answer, Failure> {
        let (login, code) = login(wanted.password).await?;
        let wanted = Recovery {
            name: wanted.name,
            id: random::id().map_err(failed)?,
            login,
            only_if_none: wanted.only_if_none,
        };
        let uid = rustix::process::getuid().as_raw();
        let (by, now) = (Caller::Host { uid }, now());
        let decide = |view: &banyan_state::View| {
            let (directory, by) = (view.directory(), &by);
            DecisionContext { directory, by, now }.recover(&wanted)
        };
        let recovered = self.state.change(Scope::Powers, decide).await;
        let entry = by.did(Action::HOST_RECOVER_ADMIN, now);
        let entry = entry.on(&format!("user {}", wanted.name));
        let entry = match &recovered {
            Ok(recovered) => entry.detail(&recovered.detail()),
            Err(error) => entry.refused(&error.to_string()),
        };
        let written = self.state.audit(self.engine.clone()).append(&[entry]).await;
        let recovered: Recovered = recovered.map_err(failed)?;
        written.map_err(|error| {
            Failure::setup("write the audit log; what was to be done is done", error)
        })?;
        let code = code.filter(|_| recovered.login_set);
        Ok(Answer {
            name: recovered.name.to_string(),
            done: recovered.done,
            until: code.as_ref().map(|_| enrolment_end(now)),
            code,
        })
    }
}

/// What is stored of the password, or of a new code, and the code.
async fn login(
    password: Option<SecretText>,
) -> Result<(FirstLogin, Option<Zeroizing<String>>), Failure> {
    let Some(password) = password else {
        let code = random::code().map_err(failed)?;
        let hash = SecretText::new(code.hash());
        return Ok((FirstLogin::Code(hash), Some(code.expose())));
    };
    let password = Password::chosen(Zeroizing::new(password.expose().to_owned()));
    let password = password.map_err(|error| Failure::setup("take the password", error))?;
    let hashing = Hashing::new(Cost::STANDARD, 1, 1).map_err(failed)?;
    let hash = hashing.hash(password).await.map_err(failed)?;
    Ok((FirstLogin::Password(hash), None))
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    Failure::setup(DOING, error)
}
