//! A cluster's certificates, made by `openssl`: an authority, the servers', a client's.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use super::Security;
use crate::netns::require;

const NEW_KEY: [&str; 6] = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-batch",
];

pub(super) fn make(dir: &Path, address: Ipv4Addr) -> Result<()> {
    require("openssl", "openssl")?;
    let authority = ["req", "-x509", "-days", "2", "-subj", "/CN=test authority"];
    let files = ["-keyout", "ca.key", "-out", "ca.pem"];
    openssl(dir, &[&authority[..], &NEW_KEY, &files].concat())?;
    let extensions =
        format!("subjectAltName=IP:{address}\nextendedKeyUsage=serverAuth,clientAuth\n");
    std::fs::write(dir.join("extensions"), extensions)?;
    sign(dir, "server")?;
    sign(dir, "client")
}

fn sign(dir: &Path, name: &str) -> Result<()> {
    let [key, request, cert] = ["key", "csr", "pem"].map(|kind| format!("{name}.{kind}"));
    let subject = format!("/CN={name}");
    let ask = [
        "req", "-new", "-subj", &subject, "-keyout", &key, "-out", &request,
    ];
    openssl(dir, &[&ask[..], &NEW_KEY].concat())?;
    let authority = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
    let sign = ["x509", "-req", "-days", "2", "-in", &request, "-out", &cert];
    openssl(
        dir,
        &[&sign[..], &authority, &["-extfile", "extensions"]].concat(),
    )
}

fn openssl(dir: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(dir)
        .output()?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "`openssl {}`: {complaint}",
        arguments.join(" ")
    );
    Ok(())
}

pub(super) fn server_arguments(security: Security, dir: &Path) -> Vec<String> {
    let mut arguments = Vec::new();
    if security != Security::None {
        arguments.push(file("--cert-file", dir, "server.pem"));
        arguments.push(file("--key-file", dir, "server.key"));
    }
    if security == Security::MutualTls {
        arguments.push("--client-cert-auth".to_owned());
        arguments.push(file("--trusted-ca-file", dir, "ca.pem"));
    }
    arguments
}

pub(super) fn client_arguments(security: Security, dir: &Path) -> Vec<String> {
    if security == Security::None {
        return Vec::new();
    }
    vec![
        file("--cacert", dir, "ca.pem"),
        file("--cert", dir, "client.pem"),
        file("--key", dir, "client.key"),
    ]
}

fn file(option: &str, dir: &Path, name: &str) -> String {
    format!("{option}={}", dir.join(name).display())
}
