//! Trailers: the `Key: value` lines that end a commit message, by the rules of `git interpret-trailers`.
//!
//! The rules are those of `--parse --no-divider`, which is also what `git log --format=%(trailers)` shows of a
//! commit: a `---` line in a message is text like any other. What git would not call a trailer must not be one here,
//! since a trailer can lift a guard.

/// Lines that git itself writes; one of them lets a block hold other text too.
const WRITTEN_BY_GIT: [&str; 2] = ["Signed-off-by: ", "(cherry picked from commit "];
const COMMENT: char = '#';
const SCISSORS: &str = "# ------------------------ >8 ------------------------";

/// The trailers of a commit message, in order; keys as written, values unfolded onto one line.
#[must_use]
pub fn parse_trailers(message: &str) -> Vec<(String, String)> {
    let mut message = std::borrow::Cow::from(message);
    if !message.is_empty() && !message.ends_with('\n') {
        message.to_mut().push('\n');
    }
    let lines: Vec<&str> = log_lines(&message);
    let Some(block) = block_start(&lines).and_then(|at| lines.get(at..)) else {
        return Vec::new();
    };
    unfolded(block)
        .iter()
        .filter(|line| !line.starts_with(COMMENT))
        .filter_map(|line| key_end(line).and_then(|at| line.split_at_checked(at)))
        .map(|(key, rest)| (trim(key).to_owned(), value(rest)))
        .collect()
}

/// The message's lines without what git ignores at its end: comments, an old `Conflicts:` list, a scissors tail.
fn log_lines(message: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = message.split_inclusive('\n').collect();
    if let Some(cut) = lines
        .iter()
        .position(|line| line.trim_end_matches('\n') == SCISSORS && line.ends_with('\n'))
    {
        lines.truncate(cut);
    }
    let mut ignored_from = None;
    let mut in_conflicts = false;
    for (at, line) in lines.iter().enumerate() {
        if line.starts_with(COMMENT) || *line == "\n" {
            ignored_from.get_or_insert(at);
        } else if *line == "Conflicts:\n" {
            in_conflicts = true;
            ignored_from.get_or_insert(at);
        } else if in_conflicts && line.starts_with('\t') {
            // A path in the list.
        } else {
            ignored_from = None;
            in_conflicts = false;
        }
    }
    if let Some(at) = ignored_from {
        lines.truncate(at);
    }
    lines
}

/// Where the trailer block starts, if the last paragraph is one. The first paragraph is the title and never is.
fn block_start(lines: &[&str]) -> Option<usize> {
    let title_end = lines
        .iter()
        .position(|line| !line.starts_with(COMMENT) && is_blank(line))?;
    let mut count = Count::default();
    let mut only_blank = true;
    for (at, line) in lines.iter().enumerate().skip(title_end).rev() {
        if line.starts_with(COMMENT) {
            count.break_continuation();
        } else if is_blank(line) {
            if only_blank {
                continue;
            }
            return count.is_block().then_some(at + 1);
        } else {
            only_blank = false;
            count.line(line);
        }
    }
    None
}

#[derive(Default)]
struct Count {
    trailers: usize,
    others: usize,
    /// Indented lines that continue a trailer if one stands above them.
    continuations: usize,
    by_git: bool,
}

impl Count {
    fn line(&mut self, line: &str) {
        if WRITTEN_BY_GIT.iter().any(|prefix| line.starts_with(prefix)) {
            self.by_git = true;
            self.trailers += 1;
            self.continuations = 0;
        } else if line.starts_with(is_space) {
            self.continuations += 1;
        } else if key_end(line).is_some() {
            self.trailers += 1;
            self.continuations = 0;
        } else {
            self.others += 1;
            self.break_continuation();
        }
    }

    fn break_continuation(&mut self) {
        self.others += self.continuations;
        self.continuations = 0;
    }

    fn is_block(&mut self) -> bool {
        self.break_continuation();
        (self.by_git && self.trailers * 3 >= self.others) || (self.trailers > 0 && self.others == 0)
    }
}

/// A trailer and the indented lines below it make one text.
fn unfolded(block: &[&str]) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let mut open = false;
    for line in block {
        match texts.last_mut() {
            Some(last) if open && line.starts_with(is_space) => last.push_str(line),
            _ => {
                open = key_end(line).is_some();
                texts.push((*line).to_owned());
            }
        }
    }
    texts
}

/// The place of the colon after a key: letters, digits and hyphens, then perhaps blanks.
fn key_end(line: &str) -> Option<usize> {
    let mut blank_seen = false;
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b':' => return (at > 0).then_some(at),
            b'-' if !blank_seen => {}
            byte if byte.is_ascii_alphanumeric() && !blank_seen => {}
            b' ' | b'\t' if at > 0 => blank_seen = true,
            _ => return None,
        }
    }
    None
}

/// What follows the colon, each line break with the blanks after it made one space.
fn value(rest: &str) -> String {
    let text = trim(rest.get(1..).unwrap_or_default());
    let mut parts = text.split('\n');
    let mut value = parts.next().unwrap_or_default().to_owned();
    let mut pending = false;
    for part in parts {
        let part = part.trim_start_matches(is_space);
        if !pending {
            value.push(' ');
        }
        // A line of nothing but blanks belongs to the same break.
        pending = part.is_empty();
        value.push_str(part);
    }
    trim(&value).to_owned()
}

fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

fn is_blank(line: &str) -> bool {
    line.chars().all(is_space)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &str, expect: &[(&str, &str)]) {
        let found = parse_trailers(message);
        let found: Vec<_> = found
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(found, expect, "{message:?}");
    }

    #[test]
    fn the_last_paragraph_is_read() {
        check(
            "title\n\nBanyan-Allow-Removals: Machine=3\n",
            &[("Banyan-Allow-Removals", "Machine=3")],
        );
        check(
            "t\n\ntext\n\nA: 1\nB: 2\n  more\n",
            &[("A", "1"), ("B", "2 more")],
        );
        check("t\n\nA: 1", &[("A", "1")]);
    }

    #[test]
    fn what_only_looks_like_a_trailer_is_text() {
        check("Banyan-Allow-Removals: Machine=3\n", &[]);
        check("t\n\nA: 1\n\nmore text\n", &[]);
        check("t\n\nA: 1\nmore text\n", &[]);
        check("t\n\nA: 1\n---\nmore\n", &[]);
        check("", &[]);
    }
}
