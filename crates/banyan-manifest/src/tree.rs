//! YAML text to documents: trees of nodes with source positions. This layer does not know what fields mean.
//!
//! It uses the event parser beneath `serde-saphyr` directly: through serde, the first error ends a file, and keys have no
//! positions. Here one run finds every problem of a file, and a document that is not valid YAML does not hide the others.

use std::borrow::Cow;

use banyan_core::Pos;
use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};

use crate::find::{Findings, shown};
use crate::limits::{MAX_DEPTH, MAX_DOCUMENTS_PER_FILE};

/// A value and its place.
pub(crate) struct Node<'a> {
    pub(crate) pos: Pos,
    pub(crate) value: Value<'a>,
}

pub(crate) enum Value<'a> {
    Scalar(Scalar<'a>),
    List(Vec<Node<'a>>),
    Map(Vec<Entry<'a>>),
    /// A node that already has a finding.
    Refused,
}

/// A scalar as written; its type depends on whether it is plain, that is, unquoted.
pub(crate) struct Scalar<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) plain: bool,
}

pub(crate) struct Entry<'a> {
    pub(crate) key: Cow<'a, str>,
    pub(crate) key_pos: Pos,
    pub(crate) value: Node<'a>,
}

/// What the core schema of YAML 1.2 (§10.3.2) reads a plain scalar as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reading {
    Nothing,
    Truth(bool),
    Number,
    Text,
}

impl Scalar<'_> {
    pub(crate) fn reading(&self) -> Reading {
        if self.plain {
            plain_reading(&self.text)
        } else {
            Reading::Text
        }
    }
}

/// How a text without quotes is read.
pub(crate) fn plain_reading(text: &str) -> Reading {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Reading::Nothing,
        "true" | "True" | "TRUE" => Reading::Truth(true),
        "false" | "False" | "FALSE" => Reading::Truth(false),
        _ if is_number(text) => Reading::Number,
        _ => Reading::Text,
    }
}

fn is_number(text: &str) -> bool {
    let all = |digits: &str, fits: fn(&char) -> bool| {
        !digits.is_empty() && digits.chars().all(|c| fits(&c))
    };
    if let Some(octal) = text.strip_prefix("0o") {
        return all(octal, |c| matches!(c, '0'..='7'));
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return all(hex, char::is_ascii_hexdigit);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    // The remaining number forms are what Rust parses as a float, except words such as `inf`.
    unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.parse::<f64>().is_ok()
}

/// A document of a file.
pub(crate) struct Tree<'a> {
    pub(crate) root: Node<'a>,
    /// Whether it was read without findings.
    pub(crate) sound: bool,
}

/// Every valid YAML document of a file; empty ones are skipped.
pub(crate) fn documents<'a>(text: &'a str, findings: &mut Findings) -> Vec<Tree<'a>> {
    let mut options = granit_parser::options! {
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
    };
    options.set_emit_comments(false);
    let mut stream = Stream {
        directives: Directives::of(text),
        parser: Parser::new_from_str_with_options(text, options),
        builder: Builder::default(),
        seen: 0,
        found_before: 0,
        found: Vec::new(),
    };
    while stream.step(findings) {}
    stream.found
}

struct Stream<'a> {
    directives: Directives<'a>,
    parser: Parser<'a, StrInput<'a>>,
    builder: Builder<'a>,
    seen: usize,
    /// How many findings there were when the current document started.
    found_before: usize,
    found: Vec<Tree<'a>>,
}

impl<'a> Stream<'a> {
    /// Takes one event; `false` at the end of the file.
    fn step(&mut self, findings: &mut Findings) -> bool {
        match self.parser.next_event() {
            None => false,
            Some(Ok((Event::DocumentStart(..), span))) => {
                let starts = self.may_start(span, findings);
                self.directives.check(span.start.line(), findings);
                starts
            }
            Some(Ok((Event::DocumentEnd, span))) => {
                self.directives.skip_to(span.start.line());
                let sound = findings.count() == self.found_before;
                let root = self.builder.finish();
                self.found.extend(root.map(|root| Tree { root, sound }));
                true
            }
            Some(Ok((event, span))) => self.builder.take(event, span, findings) || self.abandon(),
            Some(Err(error)) => {
                broken(&error, findings);
                // A document that ends within its directives has no start event.
                self.seen += 1;
                self.seen < MAX_DOCUMENTS_PER_FILE && self.abandon()
            }
        }
    }

    fn may_start(&mut self, span: Span, findings: &mut Findings) -> bool {
        self.seen += 1;
        self.found_before = findings.count();
        let fits = self.seen <= MAX_DOCUMENTS_PER_FILE;
        if !fits {
            findings.error(
                place(span.start),
                "too-many-documents",
                format!("the file has more than {MAX_DOCUMENTS_PER_FILE} documents"),
                "split it into several files",
            );
        }
        fits
    }

    /// Skips the current document; `false` if it was the last.
    fn abandon(&mut self) -> bool {
        self.builder = Builder::default();
        matches!(self.parser.proceed_next_document(), Ok(true))
    }
}

/// The lines of a file, of which those before a document may hold directives (YAML 1.2, §6.8).
struct Directives<'a> {
    /// The next line and its number, from 1.
    lines: std::iter::Peekable<std::iter::Enumerate<std::str::Lines<'a>>>,
}

impl<'a> Directives<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            lines: text.lines().enumerate().peekable(),
        }
    }

    /// Skips the lines before this one, which are the content of a document.
    fn skip_to(&mut self, line: usize) {
        while self.lines.next_if(|(index, _)| index + 1 < line).is_some() {}
    }

    /// Checks the directives of the document that starts in this line.
    fn check(&mut self, line: usize, findings: &mut Findings) {
        while let Some((index, text)) = self.lines.next_if(|(index, _)| index + 1 < line) {
            if text.starts_with('%') && !is_supported(text) {
                let pos = Pos {
                    line: u32::try_from(index + 1).unwrap_or(u32::MAX),
                    column: 1,
                };
                findings.error(
                    pos,
                    "yaml-directive",
                    format!("the directive `{}` is not supported", shown(text)),
                    "remove it; only `%YAML 1.1` and `%YAML 1.2` are accepted",
                );
            }
        }
    }
}

/// Whether a directive names a version of YAML whose documents mean the same here.
fn is_supported(directive: &str) -> bool {
    let content = directive.split(" #").next().unwrap_or_default();
    let words: Vec<&str> = content.split_ascii_whitespace().collect();
    matches!(words[..], ["%YAML", "1.1" | "1.2"])
}

fn broken(error: &ScanError, findings: &mut Findings) {
    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
        return too_deep(place(*error.marker()), findings);
    }
    findings.error(
        place(*error.marker()),
        "yaml",
        format!("invalid YAML: {}", shown(&error.info())),
        "check this line and the one before it: indentation, quotes, brackets and tabs are the usual causes",
    );
}

fn too_deep(pos: Pos, findings: &mut Findings) {
    findings.error(
        pos,
        "too-deep",
        format!("nested more than {MAX_DEPTH} deep"),
        "documents never need that: look for an extra bracket",
    );
}

fn place(marker: Marker) -> Pos {
    Pos {
        line: u32::try_from(marker.line()).unwrap_or(u32::MAX),
        column: u32::try_from(marker.col() + 1).unwrap_or(u32::MAX),
    }
}

/// Builds trees from events with an explicit stack, so that deep nesting cannot overflow the program's.
#[derive(Default)]
struct Builder<'a> {
    open: Vec<Open<'a>>,
    root: Option<Node<'a>>,
}

enum Open<'a> {
    List(Pos, Vec<Node<'a>>),
    Map(Pos, Vec<Entry<'a>>, Pending<'a>),
}

/// What a mapping expects next.
enum Pending<'a> {
    Key,
    ValueOf(Cow<'a, str>, Pos),
    /// A value whose key was refused.
    Dropped,
}

impl<'a> Builder<'a> {
    /// Handles an event; `false` if the document is too deep.
    fn take(&mut self, event: Event<'a>, span: Span, findings: &mut Findings) -> bool {
        let pos = place(span.start);
        refuse_properties(&event, span, findings);
        match event {
            Event::Scalar(text, style, _, _) => {
                let plain = style == ScalarStyle::Plain;
                self.add(pos, Value::Scalar(Scalar { text, plain }), findings);
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                findings.error(pos, "yaml-alias", "aliases are not supported", WRITE_OUT);
                self.add(pos, Value::Refused, findings);
            }
            Event::SequenceStart(..) => return self.start(Open::List(pos, Vec::new()), findings),
            Event::MappingStart(..) => {
                return self.start(Open::Map(pos, Vec::new(), Pending::Key), findings);
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(findings),
            _ => {}
        }
        true
    }

    fn start(&mut self, open: Open<'a>, findings: &mut Findings) -> bool {
        let (Open::List(pos, _) | Open::Map(pos, ..)) = &open;
        if self.open.len() >= MAX_DEPTH {
            too_deep(*pos, findings);
            return false;
        }
        self.open.push(open);
        true
    }

    fn close(&mut self, findings: &mut Findings) {
        match self.open.pop() {
            Some(Open::List(pos, items)) => self.add(pos, Value::List(items), findings),
            Some(Open::Map(pos, mut entries, _)) => {
                drop_duplicates(&mut entries, findings);
                self.add(pos, Value::Map(entries), findings);
            }
            None => {}
        }
    }

    fn add(&mut self, pos: Pos, value: Value<'a>, findings: &mut Findings) {
        let node = Node { pos, value };
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, entries, pending)) => {
                *pending = match std::mem::replace(pending, Pending::Key) {
                    Pending::Key => as_key(node, findings),
                    Pending::Dropped => Pending::Key,
                    Pending::ValueOf(key, key_pos) => {
                        entries.push(Entry {
                            key,
                            key_pos,
                            value: node,
                        });
                        Pending::Key
                    }
                };
            }
        }
    }

    fn finish(&mut self) -> Option<Node<'a>> {
        self.open.clear();
        self.root.take().filter(|root| match &root.value {
            Value::Scalar(scalar) => scalar.reading() != Reading::Nothing,
            _ => true,
        })
    }
}

const WRITE_OUT: &str = "repeat the value where it is needed";

fn refuse_properties(event: &Event<'_>, span: Span, findings: &mut Findings) {
    if matches!(event, Event::Anchor(..)) {
        let pos = place(span.start);
        findings.error(pos, "yaml-alias", "anchors are not supported", WRITE_OUT);
    }
    if let Some(tag) = event.tag() {
        findings.error(
            place(span.tag_span().map_or(span.start, |tag| tag.start)),
            "yaml-tag",
            format!("the tag `{}` is not supported", shown(&tag.original())),
            "remove it; quote the value to make it a string",
        );
    }
}

fn as_key<'a>(node: Node<'a>, findings: &mut Findings) -> Pending<'a> {
    match node.value {
        Value::Scalar(scalar) => Pending::ValueOf(scalar.text, node.pos),
        Value::Refused => Pending::Dropped,
        Value::List(_) | Value::Map(_) => {
            findings.error(
                node.pos,
                "wrong-type",
                "a key must be a string",
                "quote a value that contains braces",
            );
            Pending::Dropped
        }
    }
}

/// Keeps the first of duplicate keys.
fn drop_duplicates(entries: &mut Vec<Entry<'_>>, findings: &mut Findings) {
    let mut order: Vec<&Entry<'_>> = entries.iter().collect();
    order.sort_by(|a, b| (&a.key, a.key_pos).cmp(&(&b.key, b.key_pos)));
    let again: Vec<Pos> = order
        .chunk_by(|a, b| a.key == b.key)
        .filter_map(<[_]>::split_first)
        .flat_map(|(first, rest)| rest.iter().map(move |entry| (first, *entry)))
        .map(|(first, entry)| {
            findings.error(
                entry.key_pos,
                "duplicate-key",
                format!(
                    "duplicate key `{}`; first in line {}",
                    shown(&entry.key),
                    first.key_pos.line
                ),
                "keep one of them",
            );
            entry.key_pos
        })
        .collect();
    if !again.is_empty() {
        let again: std::collections::BTreeSet<Pos> = again.into_iter().collect();
        entries.retain(|entry| !again.contains(&entry.key_pos));
    }
}
