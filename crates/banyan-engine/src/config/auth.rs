//! Section `engine.auth`: how users log in. Environment variables, whose names other services share, take precedence.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use banyan_config::{duration, read_file};
use banyan_core::SecretText;
use ipnet::IpNet;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{ConfigError, Wrong};

/// The minimum length of a token signing secret, in bytes (RFC 7518 §3.2).
const MIN_SECRET: usize = banyan_identity::MIN_SECRET_BYTES;

/// Default lifetime of access tokens, in seconds.
const ACCESS: u64 = 3_600;
const REFRESH: u64 = 7 * 86_400;
/// Default issuer and audience.
const NAME: &str = "banyan";
/// Default number of audit log entries retained per engine.
const KEEP: u64 = 100_000;

/// How users log in, and how long tokens last.
#[derive(Debug, Clone)]
pub struct Auth {
    /// Lifetime of an access token.
    pub access_token_expiry: Duration,
    /// Lifetime of a refresh token, and so of an idle session.
    pub refresh_token_expiry: Duration,
    /// If set, tokens are signed with HS256 and this secret instead of with the engine's Ed25519 key.
    pub jwt_secret: Option<SecretText>,
    /// The issuer of the tokens.
    pub issuer: String,
    /// The audience of the tokens.
    pub audience: String,
    /// Tolerated clock difference to another issuer. The engine does not accept other issuers' tokens yet.
    pub jwt_clock_tolerance: Duration,
    /// Proxies whose `X-Forwarded-For` is accepted as the client address.
    pub trusted_proxies: Vec<IpNet>,
    /// Number of audit log entries retained per engine.
    pub audit_keep: u64,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            access_token_expiry: Duration::from_secs(ACCESS),
            refresh_token_expiry: Duration::from_secs(REFRESH),
            jwt_secret: None,
            issuer: NAME.to_owned(),
            audience: NAME.to_owned(),
            jwt_clock_tolerance: Duration::ZERO,
            trusted_proxies: Vec::new(),
            audit_keep: KEEP,
        }
    }
}

impl Auth {
    /// The claims that all tokens share.
    #[must_use]
    pub fn settings(&self) -> banyan_identity::Settings {
        banyan_identity::Settings {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            access_expiry: self.access_token_expiry,
            refresh_expiry: self.refresh_token_expiry,
        }
    }
}

/// The environment, as a function so that it can be tested.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthSection {
    access_token_expiry: Option<String>,
    refresh_token_expiry: Option<String>,
    jwt_secret_file: Option<PathBuf>,
    issuer: Option<String>,
    audience: Option<String>,
    jwt_clock_tolerance: Option<String>,
    trusted_proxies: Option<Vec<String>>,
    audit: Option<AuditSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditSection {
    keep: Option<u64>,
}

/// A setting that can be given in two places.
struct Given {
    /// The name to use in errors.
    name: &'static str,
    text: Option<String>,
}

impl AuthSection {
    pub(super) fn into_auth(
        self,
        wrong: Wrong<'_>,
        environment: Environment<'_>,
    ) -> Result<Auth, ConfigError> {
        let given =
            |variable: &'static str, key: &'static str, text: Option<String>| match environment(
                variable,
            )
            .filter(|text| !text.is_empty())
            {
                Some(text) => Given {
                    name: variable,
                    text: Some(text),
                },
                None => Given { name: key, text },
            };
        let access = given(
            "ACCESS_TOKEN_EXPIRY",
            "engine.auth.access_token_expiry",
            self.access_token_expiry,
        );
        let refresh = given(
            "REFRESH_TOKEN_EXPIRY",
            "engine.auth.refresh_token_expiry",
            self.refresh_token_expiry,
        );
        let tolerance = given(
            "JWT_CLOCK_TOLERANCE",
            "engine.auth.jwt_clock_tolerance",
            self.jwt_clock_tolerance,
        );
        let refresh_name = refresh.name;
        let access_token_expiry = access.duration(ACCESS, 10..=86_400, wrong)?;
        let refresh_token_expiry = refresh.duration(REFRESH, 60..=90 * 86_400, wrong)?;
        if refresh_token_expiry < access_token_expiry {
            let why = "a refresh token must last at least as long as an access token".to_owned();
            return Err(wrong(refresh_name, why));
        }
        let keep = self.audit.and_then(|audit| audit.keep).unwrap_or(KEEP);
        if keep < 1_000 {
            let why = format!("{keep} is too few; keep at least 1000");
            return Err(wrong("engine.auth.audit.keep", why));
        }
        Ok(Auth {
            access_token_expiry,
            refresh_token_expiry,
            jwt_secret: secret(self.jwt_secret_file, wrong, environment)?,
            issuer: word("engine.auth.issuer", self.issuer, wrong)?,
            audience: word("engine.auth.audience", self.audience, wrong)?,
            jwt_clock_tolerance: tolerance.duration(0, 0..=30, wrong)?,
            trusted_proxies: proxies(self.trusted_proxies.unwrap_or_default(), wrong)?,
            audit_keep: keep,
        })
    }
}

impl Given {
    fn duration(
        self,
        default: u64,
        seconds: std::ops::RangeInclusive<u64>,
        wrong: Wrong<'_>,
    ) -> Result<Duration, ConfigError> {
        let Some(text) = self.text else {
            return Ok(Duration::from_secs(default));
        };
        let (least, most) = (seconds.start(), seconds.end());
        let found = duration(&text).filter(|found| seconds.contains(&found.as_secs()));
        found.ok_or_else(|| {
            let why = format!("give a duration like 45s, 30m, 1h or 7d, from {least}s to {most}s");
            wrong(self.name, why)
        })
    }
}

fn secret(
    file: Option<PathBuf>,
    wrong: Wrong<'_>,
    environment: Environment<'_>,
) -> Result<Option<SecretText>, ConfigError> {
    let (name, text) = match (
        environment("JWT_SECRET").filter(|text| !text.is_empty()),
        file,
    ) {
        (Some(text), _) => ("JWT_SECRET", Zeroizing::new(text)),
        (None, Some(file)) => {
            let name = "engine.auth.jwt_secret_file";
            (name, read_file(&file).map_err(|why| wrong(name, why))?)
        }
        (None, None) => return Ok(None),
    };
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.len() < MIN_SECRET {
        let why = format!(
            "it has {} bytes; at least {MIN_SECRET} are needed, for example from `openssl rand -base64 48`",
            secret.len()
        );
        return Err(wrong(name, why));
    }
    Ok(Some(SecretText::new(secret.to_owned())))
}

fn word(name: &'static str, text: Option<String>, wrong: Wrong<'_>) -> Result<String, ConfigError> {
    let text = text.unwrap_or_else(|| NAME.to_owned());
    let fits = |c: char| c.is_ascii_graphic();
    if text.is_empty() || text.len() > 200 || !text.chars().all(fits) {
        let why = "give a word or a URL of at most 200 characters".to_owned();
        return Err(wrong(name, why));
    }
    Ok(text)
}

fn proxies(list: Vec<String>, wrong: Wrong<'_>) -> Result<Vec<IpNet>, ConfigError> {
    let read = |text: String| {
        let net = text.parse::<IpNet>().ok();
        net.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
            .ok_or_else(|| {
                let why =
                    format!("{text:?} is neither an address nor a network such as 192.0.2.0/24");
                wrong("engine.auth.trusted_proxies", why)
            })
    };
    list.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(yaml: &str, environment: &[(&str, &str)]) -> Result<Auth, String> {
        let section: AuthSection = banyan_config::from_yaml(Path::new("b.yaml"), yaml)
            .map_err(|error| error.to_string())?;
        let wrong = |key: &'static str, why: String| ConfigError::Value {
            path: "b.yaml".into(),
            key,
            why,
        };
        let of = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        section
            .into_auth(&wrong, &of)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn by_default_tokens_last_an_hour_and_sessions_a_week() {
        let auth = read("{}", &[]).unwrap();
        assert_eq!(auth.access_token_expiry, Duration::from_secs(3_600));
        assert_eq!(auth.refresh_token_expiry, Duration::from_secs(604_800));
        assert_eq!(
            (auth.issuer.as_str(), auth.audience.as_str()),
            ("banyan", "banyan")
        );
        assert!(auth.jwt_secret.is_none() && auth.trusted_proxies.is_empty());
        assert_eq!(auth.jwt_clock_tolerance, Duration::ZERO);
    }

    #[test]
    fn environment_variables_take_precedence() {
        let secret = "s".repeat(32);
        let environment = [
            ("ACCESS_TOKEN_EXPIRY", "15m"),
            ("REFRESH_TOKEN_EXPIRY", "30d"),
            ("JWT_SECRET", secret.as_str()),
            ("JWT_CLOCK_TOLERANCE", "30s"),
        ];
        let auth = read(
            "{access_token_expiry: 2h, issuer: 'https://b.example.org'}",
            &environment,
        );
        let auth = auth.unwrap();
        assert_eq!(auth.access_token_expiry, Duration::from_secs(900));
        assert_eq!(auth.refresh_token_expiry, Duration::from_secs(30 * 86_400));
        assert_eq!(auth.jwt_secret.as_ref().unwrap().expose(), secret);
        assert_eq!(auth.jwt_clock_tolerance, Duration::from_secs(30));
        assert_eq!(auth.issuer, "https://b.example.org");
        assert!(!format!("{auth:?}").contains("ssss"));
    }

    #[test]
    fn invalid_values_are_refused_with_their_name_and_a_hint() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "t".repeat(31) + "\n").unwrap();
        let path = format!("{{jwt_secret_file: '{}'}}", file.path().display());
        let cases = [
            (
                "{access_token_expiry: 0s}",
                ("", ""),
                "engine.auth.access_token_expiry",
            ),
            (
                "{access_token_expiry: 1w}",
                ("", ""),
                "engine.auth.access_token_expiry",
            ),
            (
                "{refresh_token_expiry: 100d}",
                ("", ""),
                "engine.auth.refresh_token_expiry",
            ),
            (
                "{refresh_token_expiry: 30m}",
                ("", ""),
                "at least as long as an access token",
            ),
            ("{}", ("ACCESS_TOKEN_EXPIRY", "soon"), "ACCESS_TOKEN_EXPIRY"),
            ("{}", ("JWT_CLOCK_TOLERANCE", "31s"), "JWT_CLOCK_TOLERANCE"),
            ("{}", ("JWT_SECRET", "short"), "it has 5 bytes; at least 32"),
            (path.as_str(), ("", ""), "it has 31 bytes; at least 32"),
            (
                "{jwt_secret_file: /nowhere/s}",
                ("", ""),
                "cannot read /nowhere/s",
            ),
            ("{issuer: 'a b'}", ("", ""), "engine.auth.issuer"),
            ("{trusted_proxies: [proxy]}", ("", ""), "192.0.2.0/24"),
            ("{audit: {keep: 5}}", ("", ""), "engine.auth.audit.keep"),
            (
                "{acess_token_expiry: 1h}",
                ("", ""),
                "did you mean `access_token_expiry`",
            ),
        ];
        for (yaml, variable, said) in cases {
            let error = read(yaml, &[variable]).unwrap_err();
            assert!(error.contains(said), "{yaml} {variable:?}: {error}");
            assert!(!error.contains("tttt"), "{error}");
        }
    }
}
