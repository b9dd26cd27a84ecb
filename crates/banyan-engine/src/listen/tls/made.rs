//! Certificates and configurations for tests.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

use crate::config::Config;

/// A configuration with its state in this directory and these lines in section `engine:`.
pub(crate) fn config(folder: &Path, lines: &str) -> Config {
    let text = format!(
        "engine:\n  state_dir: {}\n  gitops: {{url: /x}}\n{lines}",
        folder.join("state").display()
    );
    Config::parse(Path::new("banyan.yaml"), &text).unwrap()
}

/// A configuration with the given certificate files.
pub(crate) fn given(folder: &Path, cert: &Path, key: &Path) -> Config {
    let (cert, key) = (cert.display(), key.display());
    config(
        folder,
        &format!("  tls: {{cert_file: {cert}, key_file: {key}}}\n"),
    )
}

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// Writes a certificate for `localhost` and its key; `years` are the first and last year of validity.
    pub(crate) fn write(&self, folder: &Path, name: &str, years: (i32, i32)) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let path = |kind: &str| folder.join(format!("{name}.{kind}"));
        fs::write(path("pem"), certificate.pem()).unwrap();
        fs::write(path("key"), key.serialize_pem()).unwrap();
        (path("pem"), path("key"))
    }
}

/// A range of validity that includes the time of the tests.
pub(crate) const GOOD: (i32, i32) = (2020, 2120);
