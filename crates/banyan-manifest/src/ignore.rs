//! Which files are read: by name, and by `.banyanignore`.
//!
//! `.banyanignore` at the root of the cluster repo is a subset of `.gitignore`, one pattern a line:
//!
//! - empty lines and lines that start with `#` are comments;
//! - `*` stands for any characters but `/`, `**` as a whole part of the path for any number of parts;
//! - a pattern with a `/` at its start or inside counts from the root, any other matches at every depth;
//! - a `/` at the end matches folders only; what matches a folder matches all that is in it;
//! - `!` at the start takes back what an earlier line excludes; the last line that matches decides.
//!
//! `?`, `[…]` and `\` have no meaning of their own and are refused, so that no pattern means less than its author thinks.

use std::sync::Arc;

use banyan_core::{Finding, Pos};

use crate::find::{Findings, shown};
use crate::limits::{MAX_IGNORE_BYTES, MAX_IGNORE_PATTERNS};

/// The name of the file with the patterns.
pub(crate) const IGNORE_FILE: &str = ".banyanignore";

/// Whether a path can be that of a document: `*.yaml` or `*.yml`, and no part of it hidden.
pub(crate) fn is_document(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let named = [".yaml", ".yml"].iter().any(|end| name.ends_with(end));
    named && !path.split('/').any(|part| part.starts_with('.'))
}

/// The patterns of a `.banyanignore`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ignore {
    patterns: Arc<Vec<Pattern>>,
    findings: Arc<Vec<Finding>>,
}

#[derive(Debug)]
struct Pattern {
    parts: Vec<String>,
    takes_back: bool,
    folders_only: bool,
}

impl Ignore {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let mut findings = Findings::new(&IGNORE_FILE.into());
        let mut patterns: Vec<Pattern> = text_of(bytes, &mut findings)
            .lines()
            .zip(1..)
            .filter_map(|(line, number)| pattern(line, number, &mut findings))
            .collect();
        if patterns.len() > MAX_IGNORE_PATTERNS {
            let message = format!("a {IGNORE_FILE} has at most {MAX_IGNORE_PATTERNS} patterns");
            findings.whole("too-large", message, "shorten it; `*` and folders help");
            patterns.truncate(MAX_IGNORE_PATTERNS);
        }
        Self {
            patterns: Arc::new(patterns),
            findings: Arc::new(findings.into_vec()),
        }
    }

    pub(crate) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether a file is excluded.
    pub(crate) fn excludes(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        self.patterns
            .iter()
            .rev()
            .find(|pattern| pattern.matches(&parts))
            .is_some_and(|pattern| !pattern.takes_back)
    }
}

fn text_of<'a>(bytes: &'a [u8], findings: &mut Findings) -> &'a str {
    if bytes.len() > MAX_IGNORE_BYTES {
        let message = format!("a {IGNORE_FILE} has at most {MAX_IGNORE_BYTES} bytes");
        findings.whole("too-large", message, "shorten it; `*` and folders help");
        return "";
    }
    std::str::from_utf8(bytes).unwrap_or_else(|_| {
        findings.whole("not-utf8", "not UTF-8", "save the file as UTF-8");
        ""
    })
}

fn pattern(line: &str, number: u32, findings: &mut Findings) -> Option<Pattern> {
    let text = line.trim_end();
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let (takes_back, text) = match text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (folders_only, text) = match text.strip_suffix('/') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let rooted = text.contains('/');
    let text = text.strip_prefix('/').unwrap_or(text);
    let mut parts: Vec<String> = text.split('/').map(str::to_owned).collect();
    if parts.iter().any(|part| !is_sound(part)) {
        findings.error(
            Pos { line: number, column: 1 },
            "bad-ignore",
            format!("`{}` is no pattern", shown(line)),
            "patterns have `*`, `**` as a whole part, a leading `/` or `!` and a trailing `/`; `?`, `[`, `\\` and empty parts are not read",
        );
        return None;
    }
    if !rooted {
        parts.insert(0, "**".to_owned());
    }
    // A run of `**` means no more than one, and would only cost time. At the end, "all parts below" is "whatever is
    // right below", because what is in a folder shares its fate.
    parts.dedup_by(|a, b| a == "**" && b == "**");
    if let Some(last) = parts.last_mut().filter(|last| *last == "**") {
        *last = "*".to_owned();
    }
    Some(Pattern {
        parts,
        takes_back,
        folders_only,
    })
}

fn is_sound(part: &str) -> bool {
    let strange = part.contains(['?', '[', ']', '\\']) || matches!(part, "" | "." | "..");
    !strange && (part == "**" || !part.contains("**"))
}

impl Pattern {
    /// Whether the pattern matches the file, or a folder that it is in.
    fn matches(&self, path: &[&str]) -> bool {
        let mut reached = vec![false; self.parts.len() + 1];
        if let Some(start) = reached.first_mut() {
            *start = true;
        }
        self.skip_over(&mut reached);
        for (index, part) in path.iter().enumerate() {
            reached = self.step(&reached, part);
            let is_file = index + 1 == path.len();
            let whole = reached.last().copied().unwrap_or(false);
            if whole && !(is_file && self.folders_only) {
                return true;
            }
        }
        false
    }

    /// The places in the pattern that can be reached from these by one part of a path.
    fn step(&self, reached: &[bool], part: &str) -> Vec<bool> {
        let mut next = vec![false; reached.len()];
        for (index, (pattern, from)) in self.parts.iter().zip(reached).enumerate() {
            if !from {
                continue;
            }
            let to = if pattern == "**" {
                index
            } else if part_matches(pattern, part) {
                index + 1
            } else {
                continue;
            };
            if let Some(place) = next.get_mut(to) {
                *place = true;
            }
        }
        self.skip_over(&mut next);
        next
    }

    /// `**` may stand for nothing.
    fn skip_over(&self, reached: &mut [bool]) {
        for (index, pattern) in self.parts.iter().enumerate() {
            let here = reached.get(index).copied().unwrap_or(false);
            if here
                && pattern == "**"
                && let Some(next) = reached.get_mut(index + 1)
            {
                *next = true;
            }
        }
    }
}

/// Whether one part of a path matches one part of a pattern, where `*` stands for any run of characters.
fn part_matches(pattern: &str, part: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == part;
    };
    let Some(mut left) = part.strip_prefix(start) else {
        return false;
    };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return left.ends_with(piece);
        }
        match left.split_once(piece) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    true
}
