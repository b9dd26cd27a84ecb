//! Section `engine.etcd`: the store for clusters of engines.

use std::path::{Path, PathBuf};

use banyan_config::read_file;
use banyan_core::SecretText;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{ConfigError, Wrong};

/// The default key prefix.
const PREFIX: &str = "banyan/";

/// An etcd cluster and how to log in.
#[derive(Debug, Clone)]
pub struct Etcd {
    /// URLs of the members.
    pub endpoints: Vec<String>,
    /// Prefix of all keys; ends with a slash.
    pub prefix: String,
    /// User and password.
    pub user: Option<(String, SecretText)>,
    /// The CA that must have signed the members' certificates, as PEM.
    pub ca: Option<String>,
    /// The engine's client certificate and its key, as PEM.
    pub certificate: Option<(String, SecretText)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EtcdSection {
    endpoints: Vec<String>,
    prefix: Option<String>,
    user: Option<String>,
    password: Option<SecretText>,
    password_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
}

impl EtcdSection {
    pub(super) fn into_etcd(self, wrong: Wrong<'_>) -> Result<Etcd, ConfigError> {
        self.check_endpoints(wrong)?;
        let user = self.login(wrong)?;
        let ca = (self.ca_file.as_deref())
            .map(|path| read("engine.etcd.ca_file", path, wrong).map(|text| text.to_string()))
            .transpose()?;
        let certificate = match (&self.cert_file, &self.key_file) {
            (Some(certificate), Some(key)) => Some((
                read("engine.etcd.cert_file", certificate, wrong)?.to_string(),
                SecretText::new(read("engine.etcd.key_file", key, wrong)?.to_string()),
            )),
            (None, None) => None,
            (Some(_), None) => {
                let why = "cert_file requires its key; set key_file".to_owned();
                return Err(wrong("engine.etcd.cert_file", why));
            }
            (None, Some(_)) => {
                let why = "key_file requires its certificate; set cert_file".to_owned();
                return Err(wrong("engine.etcd.key_file", why));
            }
        };
        let mut prefix = self.prefix.unwrap_or_else(|| PREFIX.to_owned());
        if !prefix.ends_with('/') {
            prefix.push('/');
        }
        Ok(Etcd {
            endpoints: self.endpoints,
            prefix,
            user,
            ca,
            certificate,
        })
    }

    fn check_endpoints(&self, wrong: Wrong<'_>) -> Result<(), ConfigError> {
        let wrong = |why: String| Err(wrong("engine.etcd.endpoints", why));
        if self.endpoints.is_empty() {
            return wrong("give at least one, like https://etcd-1.example.org:2379".to_owned());
        }
        let scheme = |url: &String| url.split_once("://").map(|(scheme, _)| scheme.to_owned());
        let schemes: Vec<_> = self.endpoints.iter().map(scheme).collect();
        if let Some(at) =
            (schemes.iter()).position(|scheme| !matches!(scheme.as_deref(), Some("http" | "https")))
        {
            let number = at + 1;
            return wrong(format!(
                "number {number} is not a URL like https://etcd-1.example.org:2379"
            ));
        }
        if schemes.windows(2).any(|pair| pair.first() != pair.last()) {
            return wrong("use https for all of them, or http for all".to_owned());
        }
        let tls = schemes.iter().flatten().any(|scheme| scheme == "https");
        if tls && self.ca_file.is_none() {
            return wrong("https requires ca_file, the CA of etcd's certificates".to_owned());
        }
        if !tls && (self.ca_file.is_some() || self.cert_file.is_some()) {
            return wrong("certificates require https".to_owned());
        }
        Ok(())
    }

    fn login(&self, wrong: Wrong<'_>) -> Result<Option<(String, SecretText)>, ConfigError> {
        let password = match (&self.password, &self.password_file) {
            (Some(_), Some(_)) => {
                let why = "password_file is set too; keep one".to_owned();
                return Err(wrong("engine.etcd.password", why));
            }
            (Some(password), None) => Some(password.clone()),
            (None, Some(path)) => {
                let text = read("engine.etcd.password_file", path, wrong)?;
                Some(SecretText::new(
                    text.trim_end_matches(['\r', '\n']).to_owned(),
                ))
            }
            (None, None) => None,
        };
        match (&self.user, password) {
            (Some(user), Some(password)) => Ok(Some((user.clone(), password))),
            (None, None) => Ok(None),
            (Some(_), None) => {
                let why = "requires a password; set password_file".to_owned();
                Err(wrong("engine.etcd.user", why))
            }
            (None, Some(_)) => {
                let why = "a password requires a user; set user".to_owned();
                Err(wrong("engine.etcd.password", why))
            }
        }
    }
}

fn read(
    key: &'static str,
    path: &Path,
    wrong: Wrong<'_>,
) -> Result<Zeroizing<String>, ConfigError> {
    read_file(path).map_err(|why| wrong(key, why))
}
