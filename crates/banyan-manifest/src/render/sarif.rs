//! Findings as SARIF 2.1.0 (OASIS), for code scanning.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use banyan_core::{Finding, Severity};
use serde_json::{Value, json};

use super::Report;

/// The report as a SARIF log. `version` is that of the program; `prefix` goes before each path.
#[must_use]
pub fn sarif(report: &Report<'_>, version: &str, prefix: &str) -> String {
    let rules: BTreeSet<&str> = report.findings.iter().map(|f| f.rule.as_ref()).collect();
    let rules: Vec<Value> = rules.into_iter().map(|rule| json!({"id": rule})).collect();
    let results: Vec<Value> = report.findings.iter().map(|f| result(f, prefix)).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "banyan", "version": version, "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

fn result(finding: &Finding, prefix: &str) -> Value {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let text = match &finding.help {
        Some(help) => format!("{}\n{help}", finding.message),
        None => finding.message.clone(),
    };
    let mut result = json!({
        "ruleId": finding.rule,
        "level": level,
        "message": {"text": text},
    });
    if !finding.path.is_empty()
        && let Value::Object(fields) = &mut result
    {
        fields.insert("locations".to_owned(), json!([location(finding, prefix)]));
    }
    result
}

fn location(finding: &Finding, prefix: &str) -> Value {
    let artifact = json!({"uri": uri(&format!("{prefix}{}", finding.path))});
    let physical = match finding.pos {
        None => json!({"artifactLocation": artifact}),
        Some(pos) => json!({
            "artifactLocation": artifact,
            "region": {"startLine": pos.line.max(1), "startColumn": pos.column.max(1)},
        }),
    };
    json!({"physicalLocation": physical})
}

/// A path as a relative URI (RFC 3986 §2).
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}
