//! Which files are read: by name, and by `.banyanignore`.
//!
//! `.banyanignore` at the root of the cluster repo is a subset of `.gitignore`, one pattern a line:
//!
//! - empty lines and lines that start with `#` are comments;
//! - `*` stands for any characters but `/`, `**` as a whole part of the path for any number of parts;
//! - a pattern with a `/` at its start or inside is anchored at the root, any other matches at every depth;
//! - a `/` at the end matches directories only; a pattern that matches a directory matches everything in it;
//! - `!` at the start re-includes what an earlier line excludes; the last matching line wins.
//!
//! `?`, `[…]` and `\` are not supported and are refused, so that no pattern matches less than its author expects.

use std::sync::Arc;

use banyan_core::{Finding, Pos};

use crate::find::{Findings, shown};
use crate::limits::{MAX_IGNORE_BYTES, MAX_IGNORE_PATTERNS};

/// The name of the file with the patterns.
pub(crate) const IGNORE_FILE: &str = ".banyanignore";

/// Whether a path can hold a document: `*.yaml` or `*.yml`, with no hidden component.
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
            let message = format!("{IGNORE_FILE} has more than {MAX_IGNORE_PATTERNS} patterns");
            findings.whole("too-large", message, "shorten it; use `*` and directories");
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
        let message = format!("{IGNORE_FILE} is larger than {MAX_IGNORE_BYTES} bytes");
        findings.whole("too-large", message, "shorten it; use `*` and directories");
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
            format!("`{}` is not a valid pattern", shown(line)),
            "a pattern may have `*`, `**` as a whole component, a leading `/` or `!` and a trailing `/`; `?`, `[`, `\\` and empty components are not supported",
        );
        return None;
    }
    if !rooted {
        parts.insert(0, "**".to_owned());
    }
    // A run of `**` equals one, and would only cost time. At the end it equals `*`, because a directory's contents are
    // excluded with it.
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
    /// Whether the pattern matches the file, or a directory that contains it.
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

    /// The positions in the pattern reachable from these by one path component.
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

    /// `**` may match nothing.
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

/// Whether a path component matches a pattern component, in which `*` matches any run of characters.
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
