//! Watching on a terminal: redraws in place.

use std::time::Duration;

use jiff::Timestamp;

use super::Sink;
use crate::error::Failure;
use crate::ui::{Ui, ago, harmless};

/// Clears the screen.
const CLEAR: &str = "\x1b[2J";
const TOP: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// A terminal that shows the last answer.
pub(super) struct Screen<T, F> {
    ui: Ui,
    text: F,
    last: Option<T>,
    /// Since when the engine has not answered.
    silent_since: Option<Timestamp>,
    drawn: Option<String>,
}

impl<T, F: Fn(&T, Timestamp) -> String> Screen<T, F> {
    pub(super) fn new(ui: Ui, text: F) -> Self {
        Self {
            ui,
            text,
            last: None,
            silent_since: None,
            drawn: None,
        }
    }

    /// Draws the last answer and a line below it, unless the screen shows exactly that.
    fn draw(&mut self, below: Option<&str>, now: Timestamp) -> Result<bool, Failure> {
        let mut text = String::new();
        if let Some(value) = &self.last {
            text = (self.text)(value, now);
        }
        let below = below.map(harmless);
        let size = self.ui.size();
        // The cursor ends on a line of its own.
        let taken = 1 + below.as_ref().map_or(0, |line| height(line, size.columns));
        let mut lines = fitting(&text, size.rows.saturating_sub(taken), size.columns);
        lines.extend(below);
        let frame = frame(&lines);
        if self.drawn.as_ref() == Some(&frame) {
            return Ok(true);
        }
        let clear = if self.drawn.is_none() { CLEAR } else { "" };
        let read = self.ui.write(&format!("{clear}{frame}"))?;
        self.drawn = Some(frame);
        Ok(read)
    }
}

impl<T, F: Fn(&T, Timestamp) -> String> Sink<T> for Screen<T, F> {
    fn answer(&mut self, value: T, now: Timestamp) -> Result<bool, Failure> {
        self.last = Some(value);
        self.silent_since = None;
        self.draw(None, now)
    }

    fn silence(&mut self, why: &Failure, pause: Duration, now: Timestamp) -> Result<bool, Failure> {
        let since = *self.silent_since.get_or_insert(now);
        let (since, pause) = (ago(since, now), pause.as_secs_f64());
        let why = why.in_one_line();
        let below = format!("no answer, noticed {since}: {why}; next attempt in {pause:.0} s");
        self.draw(Some(&below), now)
    }

    fn end(&mut self) -> Result<(), Failure> {
        // After the ^C that the terminal echoes.
        self.ui.data("\n")
    }
}

/// The lines that fit on the screen, the last of which says how many more there are.
fn fitting(text: &str, rows: usize, columns: usize) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    let shown = |rows: usize| {
        let mut used = 0;
        let fits = |line: &&&str| {
            used += height(line, columns);
            used <= rows
        };
        lines.iter().take_while(fits).count()
    };
    if shown(rows) == lines.len() {
        return owned(&lines);
    }
    let shown = shown(rows.saturating_sub(1));
    let mut fitting: Vec<String> = owned(lines.get(..shown).unwrap_or_default());
    fitting.push(format!("… and {} more lines", lines.len() - shown));
    fitting
}

/// How many rows of the screen a line takes. Colour takes no room.
fn height(line: &str, columns: usize) -> usize {
    let mut in_escape = false;
    let visible = line.chars().filter(|c| {
        let hidden = in_escape || *c == '\x1b';
        in_escape = hidden && *c != 'm';
        !hidden
    });
    visible.count().div_ceil(columns.max(1)).max(1)
}

/// The sequence that draws these lines over the current content of the screen.
fn frame(lines: &[String]) -> String {
    let lines = lines.iter().map(|line| format!("{line}{CLEAR_LINE}\n"));
    let lines: String = lines.collect();
    format!("{TOP}{lines}{CLEAR_BELOW}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_on_the_screen_is_counted() {
        let fitting = |text, rows| fitting(text, rows, 5);
        assert_eq!(fitting("a\nb\nc\n", 3), ["a", "b", "c"]);
        assert_eq!(fitting("a\nb\nc\nd\n", 3), ["a", "b", "… and 2 more lines"]);
        assert_eq!(fitting("a\nb\n", 0), ["… and 2 more lines"]);
        // A line that is longer than the screen is wide takes two rows.
        assert_eq!(fitting("123456\nb\n", 3), ["123456", "b"]);
        assert_eq!(
            fitting("123456\nb\nc\n", 3),
            ["123456", "… and 2 more lines"]
        );
        assert_eq!(height("\x1b[1;31m12345\x1b[0m", 5), 1);
        assert_eq!(height("", 5), 1);
    }

    #[test]
    fn a_frame_leaves_nothing_of_the_one_before() {
        let frame = frame(&["a".to_owned(), "b".to_owned()]);
        assert_eq!(frame, "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
    }
}
