//! One call of `git http-backend`: the request is passed in the environment and on standard input (RFC 3875); the
//! response is read as headers and a body.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::super::git;

/// The maximum size of a push, in bytes.
const MAX_BODY: usize = 64 * 1024 * 1024;
/// The time limit of a call.
const LIMIT: Duration = Duration::from_secs(120);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CgiError {
    /// The request body is too large or incomplete.
    #[error("the request cannot be read; a push to the trial has at most 64 MiB")]
    Request(#[source] axum::Error),
    /// The program cannot be run.
    #[error(
        "git http-backend cannot be run; install git with it (on Fedora: git-core, on Alpine: git-daemon)"
    )]
    Run(#[source] std::io::Error),
    /// It exceeded the time limit.
    #[error("git http-backend took too long")]
    Slow,
    /// Its output is not a valid response.
    #[error("git http-backend gave no response: {0}")]
    Response(String),
}

/// Answers a request for a repo below `root`; `user` is the authenticated user.
pub(super) async fn run(
    root: &Path,
    request: Request,
    user: Option<&str>,
) -> Result<Response, CgiError> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY)
        .await
        .map_err(CgiError::Request)?;
    let mut command = git::command(root);
    environment(&mut command, root, &parts, body.len(), user);
    let exchange = exchange(command, body);
    let output = tokio::time::timeout(LIMIT, exchange)
        .await
        .map_err(|_| CgiError::Slow)?;
    response(&output.map_err(CgiError::Run)?)
}

fn environment(
    command: &mut Command,
    root: &Path,
    parts: &axum::http::request::Parts,
    length: usize,
    user: Option<&str>,
) {
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
    };
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GATEWAY_INTERFACE", "CGI/1.1")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", length.to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(user) = user {
        command.env("REMOTE_USER", user);
    }
}

async fn exchange(mut command: Command, body: Bytes) -> std::io::Result<std::process::Output> {
    let mut child = command.spawn()?;
    let stdin = child.stdin.take();
    let feed = async move {
        if let Some(mut stdin) = stdin {
            // A backend that has read enough closes its input; its response is still valid.
            let _ = stdin.write_all(&body).await;
        }
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), feed);
    output
}

fn response(output: &std::process::Output) -> Result<Response, CgiError> {
    let (head, body) = split(&output.stdout).ok_or_else(|| {
        CgiError::Response(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    })?;
    let mut response = Response::new(Body::from(body.to_vec()));
    for line in head.lines() {
        let Some((name, value)) = line.split_once(':') else {
            return Err(CgiError::Response(format!("{line:?} is not a header")));
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().unwrap_or_default();
            let status = StatusCode::from_bytes(code.as_bytes());
            *response.status_mut() =
                status.map_err(|_| CgiError::Response(format!("{value:?} is not a status")))?;
        } else if let (Ok(name), Ok(value)) =
            (name.parse::<HeaderName>(), HeaderValue::from_str(value))
            && name != header::CONTENT_LENGTH
        {
            response.headers_mut().append(name, value);
        }
    }
    Ok(response)
}

/// Splits the output into headers and body.
fn split(output: &[u8]) -> Option<(&str, &[u8])> {
    let at = output.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, rest) = output.split_at(at);
    Some((std::str::from_utf8(head).ok()?, rest.get(4..)?))
}
