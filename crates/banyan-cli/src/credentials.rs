//! Stored logins: user, engine and tokens.
//!
//! This is the content of the file; [`file`] reads and writes it.

mod file;

use std::fmt;
use std::path::PathBuf;

use banyan_api::{Pin, Target, Trust, v1};
use banyan_core::SecretText;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub(crate) use file::CredentialsFile;

use crate::shape;
use crate::target::{EngineHint, is_address};

/// The version of the file's format: the one that is written, and the only one that is read.
pub(crate) const VERSION: u32 = 1;

/// The largest file, in bytes: a login takes about three thousand.
const MAX_BYTES: usize = 1024 * 1024;

/// All stored logins.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    logins: Vec<Login>,
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Login {
    /// The engine's address: `engine.example.org:50051`.
    pub(crate) engine: String,
    /// Its pin.
    pub(crate) pin: Option<String>,
    /// The file with its authority.
    pub(crate) ca_file: Option<PathBuf>,
    /// Whether it is the engine of commands that name none.
    pub(crate) current: bool,
    pub(crate) user: String,
    pub(crate) access_token: SecretText,
    /// By the engine's clock, like `refresh_expires`.
    pub(crate) access_expires: Timestamp,
    pub(crate) refresh_token: SecretText,
    pub(crate) refresh_expires: Timestamp,
    /// How far the engine's clock was ahead of this one when it issued the tokens.
    pub(crate) clock_ahead_seconds: i64,
}

/// The engine of a login. A token is never sent to an engine with another pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EngineKey {
    engine: String,
    pin: Option<String>,
}

/// The file as a whole.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form<L> {
    version: u32,
    logins: L,
}

/// The part of the file that every version has.
#[derive(Deserialize)]
struct Head {
    version: u32,
}

/// Why a text is not credentials. It never quotes the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Garbled {
    Syntax { line: usize },
    Version(u32),
    Login(String),
}

impl fmt::Display for Garbled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { line } => write!(f, "it is not valid (line {line})"),
            Self::Version(version) => write!(
                f,
                "it has format {version}, and this program reads only format {VERSION}"
            ),
            Self::Login(engine) => write!(f, "its entry for {engine:?} is not valid"),
        }
    }
}

impl EngineKey {
    /// The key of an engine that is reached over TLS.
    pub(crate) fn of(target: &Target) -> Option<Self> {
        let Target::Tls { trust, .. } = target else {
            return None;
        };
        Some(Self {
            engine: target.to_string(),
            pin: match trust {
                Trust::Pin(pin) => Some(pin.to_string()),
                Trust::Ca(_) | Trust::System => None,
            },
        })
    }

    pub(crate) fn engine(&self) -> &str {
        &self.engine
    }

    pub(crate) fn pin(&self) -> Option<&String> {
        self.pin.as_ref()
    }
}

impl Credentials {
    /// Reads the file's text.
    fn parse(text: &[u8]) -> Result<Self, Garbled> {
        // serde's messages may quote the value.
        let syntax = |error: serde_json::Error| Garbled::Syntax { line: error.line() };
        let head: Head = serde_json::from_slice(text).map_err(syntax)?;
        if head.version != VERSION {
            return Err(Garbled::Version(head.version));
        }
        let form: Form<Vec<Login>> = serde_json::from_slice(text).map_err(syntax)?;
        match form.logins.iter().find(|login| !login.can_be()) {
            Some(login) => Err(Garbled::Login(login.engine.clone())),
            None => Ok(Self {
                logins: form.logins,
            }),
        }
    }

    /// The file's text.
    fn text(&self) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        let form = Form {
            version: VERSION,
            logins: &self.logins,
        };
        // Reserved at once: growing would leave copies behind.
        let mut text = Zeroizing::new(Vec::with_capacity(8192 * (self.logins.len() + 1)));
        serde_json::to_writer_pretty(&mut *text, &form)?;
        text.push(b'\n');
        Ok(text)
    }

    /// The login at an engine.
    pub(crate) fn get(&self, key: &EngineKey) -> Option<&Login> {
        self.logins.iter().find(|login| login.is_at(key))
    }

    /// The login at an address, whatever its pin.
    pub(crate) fn at_address(&self, engine: &str) -> Option<&Login> {
        let is_there = |login: &&Login| login.engine.eq_ignore_ascii_case(engine);
        self.logins.iter().find(is_there)
    }

    /// The login of commands that name no engine.
    pub(crate) fn current(&self) -> Option<&Login> {
        self.logins.iter().find(|login| login.current)
    }

    /// Adds a login and makes it the current one; it replaces another one at its address.
    pub(crate) fn add(&mut self, login: Login) {
        self.logins
            .retain(|other| !other.engine.eq_ignore_ascii_case(&login.engine));
        for other in &mut self.logins {
            other.current = false;
        }
        self.logins.push(Login {
            current: true,
            ..login
        });
    }

    /// Replaces the tokens at an engine.
    pub(crate) fn renew(&mut self, key: &EngineKey, fresh: Tokens) -> Option<&Login> {
        let login = self.logins.iter_mut().find(|login| login.is_at(key))?;
        login.take(fresh);
        Some(login)
    }

    /// Removes the login at an engine. No other becomes the current one: commands must not go to another engine unasked.
    pub(crate) fn remove(&mut self, key: &EngineKey) {
        self.logins.retain(|login| !login.is_at(key));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.logins.is_empty()
    }
}

/// A pair of tokens from an engine.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) access: SecretText,
    pub(crate) access_expires: Timestamp,
    pub(crate) refresh: SecretText,
    pub(crate) refresh_expires: Timestamp,
    pub(crate) clock_ahead_seconds: i64,
    /// Whose they are.
    pub(crate) name: String,
}

impl Tokens {
    /// From the engine's response, received at `now`; `None` if something is missing.
    pub(crate) fn new(answer: v1::Tokens, now: Timestamp) -> Option<Self> {
        let theirs = shape::at(answer.now.as_ref());
        let ahead = theirs.map(|theirs| theirs.as_second().saturating_sub(now.as_second()));
        let access = SecretText::new(answer.access_token);
        let refresh = SecretText::new(answer.refresh_token);
        if !is_token(&access) || !is_token(&refresh) {
            return None;
        }
        Some(Self {
            access,
            refresh,
            access_expires: shape::at(answer.access_expires.as_ref())?,
            refresh_expires: shape::at(answer.refresh_expires.as_ref())?,
            clock_ahead_seconds: ahead.unwrap_or_default(),
            name: answer.name,
        })
    }
}

impl Login {
    pub(crate) fn new(key: &EngineKey, ca_file: Option<PathBuf>, tokens: Tokens) -> Self {
        Self {
            engine: key.engine.clone(),
            pin: key.pin.clone(),
            ca_file: ca_file.filter(|_| key.pin.is_none()),
            current: true,
            user: tokens.name,
            access_token: tokens.access,
            access_expires: tokens.access_expires,
            refresh_token: tokens.refresh,
            refresh_expires: tokens.refresh_expires,
            clock_ahead_seconds: tokens.clock_ahead_seconds,
        }
    }

    fn take(&mut self, tokens: Tokens) {
        self.access_token = tokens.access;
        self.access_expires = tokens.access_expires;
        self.refresh_token = tokens.refresh;
        self.refresh_expires = tokens.refresh_expires;
        self.clock_ahead_seconds = tokens.clock_ahead_seconds;
    }

    fn is_at(&self, key: &EngineKey) -> bool {
        self.engine.eq_ignore_ascii_case(&key.engine) && self.pin == key.pin
    }

    /// Whether it is valid.
    fn can_be(&self) -> bool {
        let pin = self.pin.as_ref();
        is_address(&self.engine)
            && pin.is_none_or(|pin| pin.parse::<Pin>().is_ok())
            && (self.pin.is_none() || self.ca_file.is_none())
            && is_token(&self.access_token)
            && is_token(&self.refresh_token)
    }

    /// Its settings of the engine, as if from the command line.
    pub(crate) fn says(&self) -> EngineHint {
        EngineHint {
            engine: Some(self.engine.clone()),
            ..self.says_trust()
        }
    }

    /// Its settings of how the engine is verified.
    pub(crate) fn says_trust(&self) -> EngineHint {
        EngineHint {
            pin: self.pin.clone(),
            ca_file: self.ca_file.clone(),
            ..EngineHint::default()
        }
    }

    /// Whether the access token has expired, by an estimate of the engine's clock.
    pub(crate) fn access_is_over(&self, now: Timestamp) -> bool {
        let theirs = now.as_second().saturating_add(self.clock_ahead_seconds);
        theirs >= self.access_expires.as_second()
    }
}

/// Whether a text can be sent as a token: JWTs are base64url and dots (RFC 7515 §3.1).
fn is_token(text: &SecretText) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    !text.expose().is_empty() && text.expose().bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PIN: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn target(host: &str, trust: Trust) -> EngineKey {
        let target = Target::Tls {
            host: host.to_owned(),
            port: 50051,
            trust,
        };
        EngineKey::of(&target).unwrap()
    }

    fn pinned(host: &str) -> EngineKey {
        target(host, Trust::Pin(PIN.parse().unwrap()))
    }

    fn tokens(name: &str) -> Tokens {
        Tokens {
            access: SecretText::new(format!("access-of-{name}")),
            access_expires: "2026-01-02T03:04:05Z".parse().unwrap(),
            refresh: SecretText::new(format!("refresh-of-{name}")),
            refresh_expires: "2026-01-09T03:04:05Z".parse().unwrap(),
            clock_ahead_seconds: 7,
            name: name.to_owned(),
        }
    }

    fn two() -> Credentials {
        let mut credentials = Credentials::default();
        credentials.add(Login::new(&pinned("north"), None, tokens("alice")));
        let key = target("south", Trust::System);
        credentials.add(Login::new(&key, Some("/ca.pem".into()), tokens("bob")));
        credentials
    }

    #[test]
    fn what_is_written_is_read_back() {
        let credentials = two();
        let text = credentials.text().unwrap();
        assert_eq!(Credentials::parse(&text), Ok(credentials));
        let empty = Credentials::default();
        assert_eq!(Credentials::parse(&empty.text().unwrap()), Ok(empty));
    }

    #[test]
    fn the_newest_login_is_the_current_one_and_none_follows_it() {
        let mut credentials = two();
        let user = |credentials: &Credentials| credentials.current().map(|l| l.user.clone());
        assert_eq!(user(&credentials).as_deref(), Some("bob"));
        credentials.remove(&target("south", Trust::System));
        assert_eq!(user(&credentials), None);
        credentials.add(Login::new(&pinned("north"), None, tokens("carol")));
        assert_eq!(user(&credentials).as_deref(), Some("carol"));
        assert_eq!(credentials.logins.len(), 1, "alice's is replaced");
    }

    #[test]
    fn a_token_is_for_the_engine_with_the_pin_that_it_came_from() {
        let credentials = two();
        assert!(credentials.get(&pinned("north")).is_some());
        assert!(credentials.get(&pinned("NORTH")).is_some());
        assert!(credentials.get(&target("north", Trust::System)).is_none());
        let other = Trust::Pin(PIN.replace("00", "11").parse().unwrap());
        assert!(credentials.get(&target("north", other)).is_none());
    }

    #[test]
    fn expiry_is_by_the_clock_of_the_engine() {
        let login = Login::new(&pinned("north"), None, tokens("alice"));
        let over = |now: &str| login.access_is_over(now.parse().unwrap());
        assert!(!over("2026-01-02T03:03:57Z"));
        assert!(over("2026-01-02T03:03:58Z"), "it is seven seconds ahead");
    }

    #[test]
    fn what_could_not_have_been_written_is_not_read_and_never_quoted() {
        let good = String::from_utf8(two().text().unwrap().to_vec()).unwrap();
        let parse = |text: &str| Credentials::parse(text.as_bytes()).unwrap_err();
        for (from, to) in [
            ("north:50051", "north:50051/evil"),
            (PIN, "sha256:12"),
            ("access-of-alice", "access of alice"),
            ("access-of-alice", "access\\nof"),
            ("refresh-of-bob", ""),
        ] {
            let error = parse(&good.replace(from, to));
            assert!(matches!(error, Garbled::Login(_)), "{to}: {error}");
        }
        assert_eq!(
            parse(&good.replace("\"version\": 1", "\"version\": 2")),
            Garbled::Version(2)
        );
        for (from, to) in [
            ("\"accessToken\": \"", "\"accessToken\": 5, \"x\": \""),
            ("\"current\": true", "\"current\": \"s3cret\""),
            ("\"user\": \"bob\"", "\"user\": \"bob\", \"user\": \"bob\""),
            ("2026-01-09T03:04:05Z", "s3cret"),
        ] {
            let error = parse(&good.replace(from, to));
            assert!(matches!(error, Garbled::Syntax { line } if line > 1));
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
        assert!(!format!("{:?}", two()).contains("access-of"));
    }

    #[test]
    fn an_answer_without_tokens_is_none() {
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        assert!(Tokens::new(v1::Tokens::default(), now).is_none());
    }

    proptest! {
        #[test]
        fn no_file_panics(text in "(\\{|\\}|\\[|\\]|\"|:|,|version|logins|1|engine|\\PC){0,60}", at in 0usize..2000, with in any::<u8>()) {
            let _ = Credentials::parse(text.as_bytes());
            let mut near = two().text().unwrap().to_vec();
            let at = at % near.len();
            near[at] = with;
            if let Ok(read) = Credentials::parse(&near) {
                for login in &read.logins {
                    login.says();
                    login.access_is_over(Timestamp::MAX);
                    login.access_is_over(Timestamp::MIN);
                }
            }
            let _ = Credentials::parse(&near[..at]);
        }
    }
}
