//! Users who log in, over the local socket or TLS, and their calls over TLS.

use std::fs;
use std::net::SocketAddr;

use banyan_api::v1::{
    AddUserRequest, AuditEntry, EnrollRequest, EnrollUserRequest, Identity, ListAuditRequest,
    LoginRequest, RefreshRequest, Tokens, User, WhoAmIRequest,
};
use banyan_api::{Client, Pin, Target, Trust, denial_cause};
use banyan_core::SecretText;
use tonic::{Code, Status};

use super::{Cluster, secret_file, text};

/// A valid password.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A logged-in user.
pub(crate) struct LoggedIn {
    /// The tokens from the login.
    pub(crate) tokens: Tokens,
    /// A connection over TLS on which each call carries their access token.
    pub(crate) client: Client,
}

impl Cluster {
    /// The pin that `banyan-engine pin` prints.
    #[track_caller]
    pub(crate) fn pin(&self) -> Pin {
        let output = self.engine_output(&["pin"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).trim_end().parse().unwrap()
    }

    /// The address at which the running engine reports to listen: `grpc` or `http`.
    #[track_caller]
    pub(crate) fn listens(&self, what: &str) -> SocketAddr {
        let log = self.log();
        let lines = log.lines().rev();
        let line = lines
            .filter(|line| line.contains("the engine listens"))
            .find_map(|line| line.split_once(&format!("{what}=")));
        let (_, rest) = line.expect("it does not say where it listens");
        let address = rest.split([' ', ',']).next().unwrap();
        address.parse().unwrap()
    }

    /// A connection over TLS without a token.
    #[track_caller]
    pub(crate) fn stranger(&self) -> Client {
        let address = self.listens("grpc");
        let target = Target::Tls {
            host: address.ip().to_string(),
            port: address.port(),
            trust: Trust::Pin(self.pin()),
        };
        self.run(Client::connect(&target)).unwrap()
    }

    /// Creates the first admin with `banyan-engine init`, and logs in.
    #[track_caller]
    pub(crate) fn first_admin(&self) -> LoggedIn {
        let file = self.dir().join("admin-password");
        secret_file(&file, &format!("{PASSWORD}\n")).unwrap();
        let file_name = file.display().to_string();
        let output = self.engine_output(&["init", "--admin-password-file", &file_name]);
        let said = text(&[output.stdout, output.stderr].concat());
        assert!(output.status.success(), "{said}");
        assert!(said.contains("admin"), "{said}");
        fs::remove_file(file).unwrap();
        self.log_in("admin", PASSWORD).unwrap()
    }

    /// Logs in over the local socket, which has no rate limit by address.
    pub(crate) fn log_in(&self, name: &str, password: &str) -> Result<LoggedIn, Status> {
        self.log_in_by(&self.client(), name, password)
    }

    /// Logs in over this connection.
    pub(crate) fn log_in_by(
        &self,
        by: &Client,
        name: &str,
        password: &str,
    ) -> Result<LoggedIn, Status> {
        let request = LoginRequest {
            name: name.to_owned(),
            password: password.to_owned(),
        };
        let tokens = self.run(by.auth().login(request))?.into_inner();
        Ok(self.logged_in(tokens))
    }

    /// Sets the first password with a code, over TLS.
    pub(crate) fn enroll(&self, name: &str, code: &str) -> Result<LoggedIn, Status> {
        let request = EnrollRequest {
            name: name.to_owned(),
            code: code.to_owned(),
            password: PASSWORD.to_owned(),
        };
        let tokens = self.run(self.stranger().auth().enroll(request))?;
        Ok(self.logged_in(tokens.into_inner()))
    }

    /// A one-time code created on the host.
    #[track_caller]
    pub(crate) fn code(&self, name: &str) -> String {
        let name = name.to_owned();
        let code = self.run(
            self.client()
                .users()
                .enroll_user(EnrollUserRequest { name }),
        );
        code.unwrap().into_inner().code
    }

    /// Exchanges a refresh token, over TLS.
    pub(crate) fn refresh(&self, refresh_token: &str) -> Result<LoggedIn, Status> {
        let request = RefreshRequest {
            refresh_token: refresh_token.to_owned(),
        };
        let tokens = self.run(self.stranger().auth().refresh(request))?;
        Ok(self.logged_in(tokens.into_inner()))
    }

    /// A user with [`PASSWORD`], created on the host and logged in.
    #[track_caller]
    pub(crate) fn user_with(&self, name: &str, roles: &[&str]) -> LoggedIn {
        let request = AddUserRequest {
            password: PASSWORD.to_owned(),
            ..new_user(name, roles)
        };
        self.run(self.client().users().add_user(request)).unwrap();
        self.log_in(name, PASSWORD).unwrap()
    }

    /// A connection over TLS with this access token.
    #[track_caller]
    pub(crate) fn with_token(&self, token: &str) -> Client {
        let token = SecretText::new(token.to_owned());
        self.stranger().with_token(&token).unwrap()
    }

    /// The caller, as the engine sees it.
    pub(crate) fn who(&self, client: &Client) -> Result<Identity, Status> {
        let answer = self.run(client.auth().who_am_i(WhoAmIRequest {}))?;
        Ok(answer.into_inner())
    }

    /// The entries of an action in the audit log.
    #[track_caller]
    pub(crate) fn audited(&self, client: &Client, action: &str) -> Vec<AuditEntry> {
        let request = ListAuditRequest {
            action: action.to_owned(),
            ..ListAuditRequest::default()
        };
        let audit = self.run(client.audit().list_audit(request));
        audit.unwrap().into_inner().entries
    }

    /// A user, from a call on the host.
    #[track_caller]
    pub(crate) fn user(&self, name: &str) -> User {
        let found = self.users().into_iter().find(|user| user.name == name);
        found.expect("no such user")
    }

    fn logged_in(&self, tokens: Tokens) -> LoggedIn {
        let client = self.with_token(&tokens.access_token);
        LoggedIn { tokens, client }
    }
}

/// A user to create, with an enrolment code.
pub(crate) fn new_user(name: &str, roles: &[&str]) -> AddUserRequest {
    AddUserRequest {
        name: name.to_owned(),
        roles: roles.iter().map(|&role| role.to_owned()).collect(),
        ..AddUserRequest::default()
    }
}

/// Asserts that a call was refused with this code, in these words.
#[track_caller]
pub(crate) fn refused<T>(result: Result<T, Status>, code: Code, words: &[&str]) -> Status {
    let status = result.err().expect("it was not refused");
    assert_eq!(status.code(), code, "{status:?}");
    for word in words {
        assert!(
            status.message().contains(word),
            "no {word:?} in {:?}",
            status.message()
        );
    }
    status
}

/// Asserts that a call was refused with this stable reason.
#[track_caller]
pub(crate) fn denied<T>(result: Result<T, Status>, cause: &str) {
    let status = result.err().expect("it was not refused");
    assert_eq!(denial_cause(&status), Some(cause), "{status:?}");
}
