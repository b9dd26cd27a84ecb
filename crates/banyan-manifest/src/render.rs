//! Findings as text for people, and as JSON, GitHub annotations and SARIF for tools. Equal findings give equal
//! bytes.

mod sarif;
mod text;

use std::fmt::Write as _;

use banyan_core::{Finding, Severity};
use serde_json::{Value, json};

use crate::find::escape;

pub use sarif::sarif;
pub use text::text;

/// The findings and counts of a repo.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// The findings, in display order.
    pub findings: &'a [Finding],
    /// How many files were read.
    pub files: usize,
    /// How many documents are valid by themselves.
    pub documents: usize,
    /// How many sealed values were not checked, because there is no identity.
    pub not_checked: usize,
}

impl Report<'_> {
    fn count(&self, severity: Severity) -> usize {
        let of = |finding: &&Finding| finding.severity == severity;
        self.findings.iter().filter(of).count()
    }

    /// How many findings are errors, which refuse a commit.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many findings are warnings.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    /// A one-line summary: `3 files, 4 documents: 1 error, 2 warnings; 1 sealed value not checked`.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut line = format!(
            "{}, {}: {}, {}",
            counted(self.files, "file"),
            counted(self.documents, "document"),
            counted(self.errors(), "error"),
            counted(self.warnings(), "warning"),
        );
        if self.not_checked > 0 {
            // Writing to a String cannot fail.
            let _ = write!(
                line,
                "; {} not checked",
                counted(self.not_checked, "sealed value")
            );
        }
        line
    }
}

fn counted(number: usize, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{s}")
}

/// One JSON object: `findings` and `summary`.
#[must_use]
pub fn json(report: &Report<'_>) -> String {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            json!({
                "path": &*finding.path,
                "line": finding.pos.map(|pos| pos.line),
                "column": finding.pos.map(|pos| pos.column),
                "severity": finding.severity,
                "rule": finding.rule,
                "message": finding.message,
                "help": finding.help,
            })
        })
        .collect();
    let value = json!({
        "findings": findings,
        "summary": {
            "files": report.files,
            "documents": report.documents,
            "errors": report.errors(),
            "warnings": report.warnings(),
            "notChecked": report.not_checked,
        },
    });
    format!("{value:#}\n")
}

/// GitHub's workflow commands, one a line; `prefix` (for example `cluster-repo/`) goes before each path.
#[must_use]
pub fn github(report: &Report<'_>, prefix: &str) -> String {
    let mut out = String::new();
    for finding in report.findings {
        let command = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut properties = Vec::new();
        if !finding.path.is_empty() {
            let path = format!("{prefix}{}", finding.path);
            properties.push(format!("file={}", property(&path)));
        }
        if let Some(pos) = finding.pos {
            properties.push(format!("line={},col={}", pos.line, pos.column));
        }
        properties.push(format!("title={}", property(&finding.rule)));
        let help = finding.help.as_ref();
        let help = help.map(|help| format!("\n{help}")).unwrap_or_default();
        let message = data(&format!("{}{help}", finding.message));
        let _ = writeln!(out, "::{command} {}::{message}", properties.join(","));
    }
    out
}

/// The escapes of GitHub's runner for messages.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Text without characters that could move a terminal's cursor or hide text.
fn harmless(text: &str) -> String {
    text.chars().flat_map(escape).collect()
}
