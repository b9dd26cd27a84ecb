//! Findings for people: each with its source line, and a marker under the place.

use std::collections::BTreeMap;

use banyan_core::{Finding, Pos, Severity};

use super::{Report, harmless};

const RESET: &str = "\x1b[0m";
const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const BLUE: &str = "\x1b[1;34m";

/// Rules about values that must not be printed: the source line is omitted.
const SECRET: &str = "secret-exposed";
/// Rules whose source line is cut after the place: a password hash may follow.
const NOT_SEALED: &str = "not-sealed";

/// The longest excerpt of a line, in characters.
const WIDTH: usize = 120;

/// The report as text. `text_of` returns the text of a file, if available; colour only decorates.
#[must_use]
pub fn text(report: &Report<'_>, text_of: &dyn Fn(&str) -> Option<String>, colour: bool) -> String {
    let mut files: BTreeMap<&str, Option<String>> = BTreeMap::new();
    let mut out = Printer {
        out: String::new(),
        colour,
    };
    for finding in report.findings {
        let file = files
            .entry(&finding.path)
            .or_insert_with(|| text_of(&finding.path));
        out.finding(finding, file.as_deref());
    }
    out.line(&report.summary());
    out.out
}

struct Printer {
    out: String,
    colour: bool,
}

impl Printer {
    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour {
            format!("{colour}{text}{RESET}")
        } else {
            text.to_owned()
        }
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    fn finding(&mut self, finding: &Finding, file: Option<&str>) {
        let colour = match finding.severity {
            Severity::Error => RED,
            Severity::Warning => YELLOW,
        };
        let head = self.paint(colour, &format!("{}[{}]", finding.severity, finding.rule));
        let message = self.paint(BOLD, &harmless(&finding.message));
        self.line(&format!("{head}: {message}"));
        let source = finding
            .pos
            .filter(|_| finding.rule != SECRET)
            .and_then(|pos| Some((pos, source_line(file?, pos)?)));
        let width = finding.pos.map_or(1, |pos| pos.line.to_string().len());
        let arrow = self.paint(BLUE, &format!("{:width$}-->", ""));
        self.line(&format!("{arrow} {}", harmless(&finding.place())));
        if let Some((pos, line)) = source {
            let rest = finding.rule != NOT_SEALED;
            self.source(pos, (line, rest), width, colour);
        }
        if let Some(help) = &finding.help {
            let sign = self.paint(BLUE, &format!("{:width$} =", ""));
            self.line(&format!("{sign} help: {}", harmless(help)));
        }
        self.line("");
    }

    /// Shows a source line, with or without the part after the place.
    fn source(&mut self, pos: Pos, (line, rest): (&str, bool), width: usize, colour: &str) {
        let bar = self.paint(BLUE, &format!("{:width$} |", ""));
        let number = self.paint(BLUE, &format!("{:width$} |", pos.line));
        let column = usize::try_from(pos.column).unwrap_or(1).max(1) - 1;
        // Of a long line, show an excerpt that starts shortly before the place.
        let skipped = if column >= WIDTH {
            column - WIDTH / 2
        } else {
            0
        };
        let shown: Vec<char> = line.chars().skip(skipped).take(WIDTH).map(still).collect();
        let column = (column - skipped).min(shown.len());
        let (before, at) = shown.split_at_checked(column).unwrap_or((&shown, &[]));
        let blank: String = before
            .iter()
            .map(|c| if *c == '\t' { '\t' } else { ' ' })
            .collect();
        let length = word_length(at);
        let mark = self.paint(colour, &"^".repeat(length));
        let end = if rest { shown.len() } else { column + length };
        let ellipsis = if end < shown.len() { "…" } else { "" };
        let line: String = shown.iter().take(end).collect();
        self.line(&bar);
        self.line(&format!("{number} {line}{ellipsis}"));
        self.line(&format!("{bar} {blank}{mark}"));
    }
}

/// The line of a place. A byte order mark does not count as a column.
fn source_line(file: &str, pos: Pos) -> Option<&str> {
    let file = file.strip_prefix('\u{feff}').unwrap_or(file);
    let index = usize::try_from(pos.line).ok()?.checked_sub(1)?;
    file.split('\n')
        .nth(index)
        .map(|line| line.trim_end_matches('\r'))
}

/// Replaces one character by one, so that the marker stays under its place.
fn still(c: char) -> char {
    if c == '\t' || super::escape(c).eq(std::iter::once(c)) {
        c
    } else {
        '\u{fffd}'
    }
}

/// How long the word is that starts a text, at least 1.
fn word_length(text: &[char]) -> usize {
    let quote = text.first().filter(|c| matches!(c, '"' | '\''));
    let end = match quote {
        Some(quote) => text
            .iter()
            .skip(1)
            .position(|c| c == quote)
            .map(|at| at + 2),
        None => text
            .iter()
            .zip(text.iter().skip(1).chain(std::iter::once(&' ')))
            .position(|(c, next)| {
                c.is_whitespace()
                    || matches!(c, ',' | ']' | '}')
                    || (*c == ':' && next.is_whitespace())
            }),
    };
    end.unwrap_or(text.len()).max(1)
}
