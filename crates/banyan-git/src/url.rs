//! Where a repository is: a path, `file://`, `https://` or `ssh://`.
//!
//! Credentials that someone wrote into a URL are kept for the transport and shown nowhere.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use zeroize::Zeroizing;

/// The longest URL, in bytes.
const MAX_LEN: usize = 4096;

/// A parsed repository address. `Display` and `Debug` leave out passwords, tokens and query strings.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteUrl(Arc<Address>);

#[derive(PartialEq, Eq)]
struct Address {
    place: Place,
    /// What people see.
    shown: String,
}

#[derive(PartialEq, Eq)]
enum Place {
    Local(PathBuf),
    Remote {
        scheme: &'static str,
        full: Zeroizing<String>,
    },
}

/// Why a text is no [`RemoteUrl`]. The text itself is not repeated, since it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Nothing there.
    #[error("the repository URL is empty: give an absolute path, file://, https:// or ssh://")]
    Empty,
    /// Longer than 4096 bytes.
    #[error("the repository URL has {0} bytes, at most {MAX_LEN} are taken")]
    TooLong(usize),
    /// A control character or a space at an end.
    #[error("the repository URL has a control character or a space at its start or end")]
    Character,
    /// A path that depends on the working directory.
    #[error("the repository path is relative: give an absolute path")]
    Relative,
    /// `git@host:path`.
    #[error("the short form host:path is not taken: write ssh://user@host/path")]
    ShortSsh,
    /// `http`, `git` and the like.
    #[error("the URL scheme {0:?} is not taken: use an absolute path, file://, https:// or ssh://")]
    Scheme(String),
    /// No host in `https://` or `ssh://`, or one in `file://`.
    #[error("the repository URL has {0}")]
    Host(&'static str),
    /// `%` without two digits, or an escaped NUL.
    #[error("the repository URL has a broken %-escape")]
    Escape,
}

impl RemoteUrl {
    /// `path`, `file`, `https` or `ssh`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match &self.0.place {
            Place::Local(_) if self.0.shown.starts_with("file://") => "file",
            Place::Local(_) => "path",
            Place::Remote { scheme, .. } => scheme,
        }
    }

    /// The directory of a repository on this host, if it is one.
    #[must_use]
    pub fn local_path(&self) -> Option<&Path> {
        match &self.0.place {
            Place::Local(path) => Some(path),
            Place::Remote { .. } => None,
        }
    }

    /// The address with its credentials, for a transport alone: never for a log, a status or an error.
    #[must_use]
    pub fn with_credentials(&self) -> Zeroizing<String> {
        match &self.0.place {
            Place::Local(_) => Zeroizing::new(self.0.shown.clone()),
            Place::Remote { full, .. } => full.clone(),
        }
    }
}

impl FromStr for RemoteUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        if text.len() > MAX_LEN {
            return Err(UrlError::TooLong(text.len()));
        }
        if text.chars().any(char::is_control) || text.trim() != text {
            return Err(UrlError::Character);
        }
        if text.starts_with('/') {
            return Ok(Self::local(PathBuf::from(text), text));
        }
        match text.split_once("://") {
            Some((scheme, rest)) => parse_scheme(scheme, rest, text),
            None if looks_like_short_ssh(text) => Err(UrlError::ShortSsh),
            None => Err(UrlError::Relative),
        }
    }
}

impl RemoteUrl {
    fn local(path: PathBuf, shown: &str) -> Self {
        Self(Arc::new(Address {
            place: Place::Local(path),
            shown: shown.to_owned(),
        }))
    }
}

fn parse_scheme(scheme: &str, rest: &str, text: &str) -> Result<RemoteUrl, UrlError> {
    match scheme.to_ascii_lowercase().as_str() {
        "file" => parse_file(rest, text),
        "https" => parse_remote("https", rest),
        "ssh" => parse_remote("ssh", rest),
        // A scheme is short and has no secret in it; a longer text before "://" is something else.
        other
            if other.len() <= 16
                && other
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'+') =>
        {
            Err(UrlError::Scheme(other.to_owned()))
        }
        _ => Err(UrlError::Relative),
    }
}

fn parse_file(rest: &str, text: &str) -> Result<RemoteUrl, UrlError> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(UrlError::Host(
            "a host after file://, only a path on this host is taken: write file:///path",
        ));
    }
    Ok(RemoteUrl::local(unescape(path)?, text))
}

fn parse_remote(scheme: &'static str, rest: &str) -> Result<RemoteUrl, UrlError> {
    let (authority, path) = rest
        .find(['/', '?', '#'])
        .map_or((rest, ""), |at| rest.split_at(at));
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    if host.is_empty() || host.starts_with(':') {
        return Err(UrlError::Host("no host"));
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let shown_user = match user {
        None => String::new(),
        // The account name of ssh is no secret; of https it may be a token.
        Some(user) if scheme == "ssh" => match user.split_once(':') {
            Some((name, _password)) => format!("{name}:***@"),
            None => format!("{user}@"),
        },
        Some(_) => "***@".to_owned(),
    };
    Ok(RemoteUrl(Arc::new(Address {
        place: Place::Remote {
            scheme,
            full: Zeroizing::new(format!("{scheme}://{rest}")),
        },
        shown: format!("{scheme}://{shown_user}{host}{path}"),
    })))
}

fn looks_like_short_ssh(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(host, _)| !host.is_empty() && !host.contains('/'))
}

fn unescape(text: &str) -> Result<PathBuf, UrlError> {
    use std::os::unix::ffi::OsStringExt as _;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let high = rest.next().and_then(hex_digit).ok_or(UrlError::Escape)?;
                let low = rest.next().and_then(hex_digit).ok_or(UrlError::Escape)?;
                high << 4 | low
            }
            other => other,
        });
    }
    if bytes.contains(&0) {
        return Err(UrlError::Escape);
    }
    Ok(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.shown)
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(text: &str) -> RemoteUrl {
        text.parse().unwrap()
    }

    #[test]
    fn paths_and_urls_are_told_apart() {
        assert_eq!(
            url("/srv/a b.git").local_path(),
            Some(Path::new("/srv/a b.git"))
        );
        assert_eq!(
            url("file:///srv/a%20b.git").local_path(),
            Some(Path::new("/srv/a b.git"))
        );
        assert_eq!(
            url("file://localhost/srv/x").local_path(),
            Some(Path::new("/srv/x"))
        );
        assert_eq!(url("/srv/x").scheme(), "path");
        assert_eq!(url("file:///srv/x").scheme(), "file");
        assert_eq!(url("HTTPS://forge.example/x.git").scheme(), "https");
        assert_eq!(
            url("ssh://git@forge.example:22/x.git").to_string(),
            "ssh://git@forge.example:22/x.git"
        );
        assert_eq!(url("https://forge.example/x.git").local_path(), None);
    }

    #[test]
    fn what_is_no_url_is_refused_with_the_way_out() {
        let refused = |text: &str| text.parse::<RemoteUrl>().unwrap_err();
        assert_eq!(refused(""), UrlError::Empty);
        assert_eq!(refused("repo"), UrlError::Relative);
        assert_eq!(refused("./a:b"), UrlError::Relative);
        assert_eq!(refused("git@forge.example:x.git"), UrlError::ShortSsh);
        assert_eq!(refused("http://x/y"), UrlError::Scheme("http".into()));
        assert!(matches!(refused("file://other/x"), UrlError::Host(_)));
        assert!(matches!(refused("https:///x"), UrlError::Host(_)));
        assert!(matches!(refused("https://u@/x"), UrlError::Host(_)));
        assert_eq!(refused("file:///x%2"), UrlError::Escape);
        assert_eq!(refused("file:///x%00"), UrlError::Escape);
        assert_eq!(refused("/x\n"), UrlError::Character);
        assert_eq!(refused(&"/x".repeat(4000)), UrlError::TooLong(8000));
    }

    #[test]
    fn credentials_are_kept_but_never_shown() {
        for text in [
            "https://hunter2@forge.example/x.git",
            "https://bob:hunter2@forge.example/x.git",
            "https://bob:p@hunter2@forge.example/x.git",
            "ssh://git:hunter2@forge.example/x.git",
            "https://forge.example/x.git?token=hunter2",
            "https://forge.example/x.git#hunter2",
            "https://forge.example?hunter2",
        ] {
            let url = url(text);
            assert!(!format!("{url} {url:?}").contains("hunter2"), "{url}");
            assert_eq!(url.with_credentials().as_str(), text);
        }
        let error = "hunter2://bob:x@y".parse::<RemoteUrl>().unwrap_err();
        assert!(!error.to_string().contains("bob"));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,60}", scheme in "(https://|ssh://|file://|/)?") {
            if let Ok(url) = format!("{scheme}{text}").parse::<RemoteUrl>() {
                let _ = (url.to_string(), url.scheme(), url.local_path());
            }
        }

        #[test]
        fn no_password_shows(secret in "[A-Za-z0-9@:]{6,20}", ssh: bool) {
            let scheme = if ssh { "ssh" } else { "https" };
            let url: RemoteUrl = format!("{scheme}://u:{secret}@-/p").parse().unwrap();
            let shown = format!("{url}{url:?}");
            prop_assert!(!shown.contains(&secret));
        }
    }
}
