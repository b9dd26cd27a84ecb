//! The stable shapes of `--output json` and `yaml` that several commands share: `docs/cli-output.md` lists them.
//! Keys are in camelCase, instants are RFC 3339 in UTC, and what is unknown is `null`.

use banyan_api::{from_finding, to_jiff, v1};
use jiff::Timestamp;
use serde::Serialize;

use crate::ui::Layout;

/// Where an object comes from.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Origin {
    from: String,
    commit: Option<String>,
    path: Option<String>,
    line: Option<u32>,
}

impl Origin {
    pub(crate) fn new(origin: Option<&v1::Origin>) -> Self {
        let origin = origin.cloned().unwrap_or_default();
        Self {
            from: origin.from,
            commit: some(origin.commit),
            path: some(origin.path),
            line: Some(origin.line).filter(|line| *line > 0),
        }
    }

    /// `users/alice.yaml:1`, or where the object comes from if git does not declare it.
    pub(crate) fn place(&self) -> String {
        match (&self.path, self.line) {
            (Some(path), Some(line)) => format!("{path}:{line}"),
            (Some(path), None) => path.clone(),
            (None, _) => self.from.clone(),
        }
    }

    /// As [`Origin::place`], with the commit, for a line of its own.
    pub(crate) fn long(&self) -> String {
        match &self.commit {
            Some(commit) => format!("{} as of commit {}", self.place(), short(commit)),
            None => self.place(),
        }
    }

    /// A sentence without its subject: `is declared in users/alice.yaml:1 as of commit 0123456789ab`.
    pub(crate) fn sentence(&self) -> String {
        match &self.commit {
            Some(commit) => {
                let place = self.place();
                format!("is declared in {place} as of commit {}", short(commit))
            }
            None => match self.from.as_str() {
                "built-in" => "is built in".to_owned(),
                "api" => "was created by a call to the engine".to_owned(),
                "file" => "comes from a whitelisted key file".to_owned(),
                "bootstrap" => "was created when the engine was set up".to_owned(),
                other => format!("comes from {other}"),
            },
        }
    }
}

/// A commit.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Commit {
    pub(crate) id: String,
    pub(crate) author: String,
    pub(crate) committed_at: Option<Timestamp>,
    pub(crate) summary: String,
}

impl Commit {
    pub(crate) fn new(commit: &v1::Commit) -> Self {
        Self {
            id: commit.id.clone(),
            author: commit.author.clone(),
            committed_at: at(commit.committed_at.as_ref()),
            summary: commit.summary.clone(),
        }
    }

    /// `0123456789ab users: add alice`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", short(&self.id), self.summary)
    }
}

/// A finding.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding {
    path: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
    severity: String,
    rule: String,
    message: String,
    help: Option<String>,
    /// The finding as people read it.
    #[serde(skip)]
    text: String,
}

impl Finding {
    pub(crate) fn all(findings: &[v1::Finding]) -> Vec<Self> {
        findings.iter().map(Self::new).collect()
    }

    /// Whether it breaks this rule.
    pub(crate) fn is_of(&self, rule: &str) -> bool {
        self.rule == rule
    }

    fn new(finding: &v1::Finding) -> Self {
        let known = |number: u32| Some(number).filter(|number| *number > 0);
        Self {
            path: some(finding.path.clone()),
            line: known(finding.line),
            column: known(finding.column),
            severity: finding.severity.clone(),
            rule: finding.rule.clone(),
            message: finding.message.clone(),
            help: some(finding.help.clone()),
            text: from_finding(finding).to_string(),
        }
    }

    /// The finding as people read it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// How many objects are added, changed and removed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    pub(crate) added: u64,
    pub(crate) changed: u64,
    pub(crate) removed: u64,
}

impl Counts {
    pub(crate) fn new(counts: Option<&v1::Counts>) -> Self {
        let counts = counts.copied().unwrap_or_default();
        Self {
            added: counts.added,
            changed: counts.changed,
            removed: counts.removed,
        }
    }
}

/// The state of a user or a machine in a few words, for a table: `active`, `expires in 3d`, `locked 2h ago`.
pub(crate) fn status(
    state: &str,
    expires: Option<Timestamp>,
    locked_at: Option<Timestamp>,
    layout: Layout,
) -> String {
    match (state, expires, locked_at) {
        ("active", Some(at), _) => format!("expires {}", layout.moment(Some(at))),
        ("expired", Some(at), _) => format!("expired {}", layout.past(Some(at))),
        ("locked", _, Some(at)) => format!("locked {}", layout.past(Some(at))),
        _ => state.to_owned(),
    }
}

/// An author without the address: `Ada <ada@example.org>` is `Ada`.
pub(crate) fn without_address(author: &str) -> String {
    let parts = author.split_once(" <");
    let parts = parts.and_then(|(name, rest)| Some((name, rest.split_once('>')?.1)));
    match parts {
        Some((name, rest)) if !name.is_empty() => format!("{name}{rest}"),
        _ => author.to_owned(),
    }
}

/// An instant on the wire.
pub(crate) fn at(at: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    to_jiff(at?)
}

/// A text, unless it is empty.
pub(crate) fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// The first 12 digits of an id.
pub(crate) fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_is_told_without_the_address() {
        for (author, told) in [
            ("Ada <ada@example.org>", "Ada"),
            ("git (Ada <ada@example.org>)", "git (Ada)"),
            ("ada", "ada"),
            ("Ada <ada", "Ada <ada"),
            (" <ada@example.org>", " <ada@example.org>"),
            ("", ""),
        ] {
            assert_eq!(without_address(author), told);
        }
    }
}
