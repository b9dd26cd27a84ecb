//! Findings: what is wrong with a cluster repo, where, and how to fix it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Pos;

/// Whether a finding prevents a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The commit is refused.
    Error,
    /// Worth checking; the commit is valid.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The file, relative to the root of the cluster repo; empty when the finding is about the repo as a whole.
    pub path: Arc<str>,
    /// The position in the file, if known.
    #[serde(flatten)]
    pub pos: Option<Pos>,
    /// Whether it prevents a commit.
    pub severity: Severity,
    /// The rule, a stable lower-case word such as `dangling-role`.
    pub rule: std::borrow::Cow<'static, str>,
    /// What is wrong.
    pub message: String,
    /// How to fix it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Finding {
    /// An error at a position.
    pub fn error(
        path: &Arc<str>,
        pos: Pos,
        rule: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Error, path, Some(pos), rule, message.into())
    }

    /// A warning at a position.
    pub fn warning(
        path: &Arc<str>,
        pos: Pos,
        rule: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Warning, path, Some(pos), rule, message.into())
    }

    /// An error about a whole file, or with an empty path about the whole repo.
    pub fn whole(path: &Arc<str>, rule: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, path, None, rule, message.into())
    }

    fn new(
        severity: Severity,
        path: &Arc<str>,
        pos: Option<Pos>,
        rule: &'static str,
        message: String,
    ) -> Self {
        Self {
            path: Arc::clone(path),
            pos,
            severity,
            rule: rule.into(),
            message,
            help: None,
        }
    }

    /// Adds how to fix it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// `file:line:col`, as far as known.
    #[must_use]
    pub fn place(&self) -> String {
        match self.pos {
            Some(pos) => format!("{}:{}:{}", self.path, pos.line, pos.column),
            None if self.path.is_empty() => "(repository)".to_owned(),
            None => self.path.to_string(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place(), self.severity, self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// Sorts findings for reading: by path, position, severity, rule.
pub fn sort_findings(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        (&a.path, a.pos, a.severity, &a.rule, &a.message)
            .cmp(&(&b.path, b.pos, b.severity, &b.rule, &b.message))
    });
}

/// Whether at least one is an error.
#[must_use]
pub fn any_error(findings: &[Finding]) -> bool {
    findings.iter().any(|f| f.severity == Severity::Error)
}
