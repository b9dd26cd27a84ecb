//! Output: data on stdout, everything else on stderr, colour only if wanted.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use banyan_terminal::{Fit, Size, environment_allows_color, size_of_stdout};
pub(crate) use banyan_terminal::{
    Paint, Table, absolute, ago, bytes, harmless, moment, past_moment, relative,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::args::{ColorWhen, Output, TableArgs};
use crate::error::Failure;

/// Where output goes.
#[derive(Clone, Copy)]
pub(crate) struct Ui {
    out: Paint,
    err: Paint,
}

/// A value as YAML.
pub(crate) fn yaml<T: Serialize>(value: &T) -> Result<String, Failure> {
    let yaml = serde_saphyr::to_string(value).map_err(|e| shapeless(&e))?;
    Ok(format!("{}\n", yaml.trim_end()))
}

/// A value cannot be written in one of the stable shapes.
pub(crate) fn shapeless(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::refused("cannot write the answer in this format").because(error)
}

/// How tables are laid out: to fit the terminal, with relative times; or as wide as they are, with absolute times.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) paint: Paint,
    pub(crate) now: Timestamp,
    pub(crate) wide: bool,
    width: Option<usize>,
}

impl Layout {
    /// A table as text.
    pub(crate) fn text(self, table: &Table) -> String {
        let fit = match (self.wide, self.width) {
            (true, _) => Fit::Wide,
            (false, None) => Fit::Whole,
            (false, Some(width)) => Fit::Within(width),
        };
        table.text(self.paint, fit)
    }

    /// A cell with an instant that lies in the past.
    pub(crate) fn past(self, at: Option<Timestamp>) -> String {
        let told = if self.wide { past_moment } else { ago };
        at.map(|at| told(at, self.now)).unwrap_or_default()
    }

    /// A cell with an instant that may lie ahead.
    pub(crate) fn moment(self, at: Option<Timestamp>) -> String {
        let told = if self.wide { moment } else { relative };
        at.map(|at| told(at, self.now)).unwrap_or_default()
    }
}

/// Lines of a label and a value.
pub(crate) struct Lines {
    text: String,
    width: usize,
    paint: Paint,
}

impl Lines {
    /// No lines yet; labels are as wide as given.
    pub(crate) fn new(width: usize, paint: Paint) -> Self {
        let text = String::new();
        Self { text, width, paint }
    }

    /// Adds a line.
    pub(crate) fn add(&mut self, label: &str, value: &str) {
        let width = self.width;
        let label = self.paint.bold(&format!("{label:width$}"));
        self.text
            .push_str(&format!("{label} {}\n", harmless(value).replace('\n', " ")));
    }

    /// Adds a line without a label.
    pub(crate) fn bare(&mut self, line: &str) {
        let line = harmless(line).replace('\n', " ");
        self.text.push_str(&format!("{line}\n"));
    }

    /// Adds a line if there is a value.
    pub(crate) fn maybe(&mut self, label: &str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.add(label, value);
        }
    }

    pub(crate) fn text(self) -> String {
        self.text
    }
}

impl Ui {
    pub(crate) fn new(when: ColorWhen) -> Self {
        let wanted = |is_terminal: bool| match when {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => is_terminal && environment_allows_color(),
        };
        Self {
            out: Paint::new(wanted(io::stdout().is_terminal())),
            err: Paint::new(wanted(io::stderr().is_terminal())),
        }
    }

    /// How to lay out tables on stdout.
    pub(crate) fn layout(&self, wide: bool, now: Timestamp) -> Layout {
        Layout {
            paint: self.out,
            now,
            wide,
            width: size_of_stdout().map(|size| size.columns),
        }
    }

    /// How to decorate what goes to stdout.
    pub(crate) fn paint(&self) -> Paint {
        self.out
    }

    /// Whether stdout goes to a terminal on which the cursor can be moved.
    pub(crate) fn can_redraw(&self) -> bool {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
        io::stdout().is_terminal() && !dumb
    }

    /// The size of the terminal, as large as can be without one.
    pub(crate) fn size(&self) -> Size {
        size_of_stdout().unwrap_or(Size {
            columns: usize::MAX,
            rows: usize::MAX,
        })
    }

    /// How to decorate what goes to stderr.
    pub(crate) fn paint_err(&self) -> Paint {
        self.err
    }

    /// Writes data to stdout. A reader that has gone away is not a failure.
    pub(crate) fn data(&self, text: &str) -> Result<(), Failure> {
        self.write(text).map(|_| ())
    }

    /// Writes data to stdout; `false` if nothing reads it any more.
    pub(crate) fn write(&self, text: &str) -> Result<bool, Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(Failure::refused("cannot write to standard output").because(&error)),
        }
    }

    /// Writes a value in one of its stable shapes, or as text for people.
    pub(crate) fn show<T: Serialize>(
        &self,
        output: Output,
        value: &T,
        text: impl FnOnce(Paint) -> String,
    ) -> Result<(), Failure> {
        self.data(&match output {
            Output::Table => text(self.out),
            Output::Json => {
                let json = serde_json::to_string_pretty(value).map_err(|e| shapeless(&e))?;
                format!("{json}\n")
            }
            Output::Yaml => yaml(value)?,
        })
    }

    /// Writes a value in one of its stable shapes, or as a table.
    pub(crate) fn show_table<T: Serialize>(
        &self,
        args: &TableArgs,
        value: &T,
        now: Timestamp,
        table: impl FnOnce(Layout) -> Table,
    ) -> Result<(), Failure> {
        let layout = self.layout(args.wide, now);
        self.show(args.output.output, value, |_| layout.text(&table(layout)))
    }

    /// Writes to stderr without changes. A closed stream changes nothing.
    pub(crate) fn aside(&self, text: &str) {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// A line on stderr.
    pub(crate) fn say(&self, text: &str) {
        self.aside(&format!("{}\n", harmless(text)));
    }

    /// A remark on stderr.
    pub(crate) fn note(&self, text: &str) {
        let note = self.err.bold("note");
        self.aside(&format!("{note}: {}\n", harmless(text)));
    }

    /// A failure on stderr.
    pub(crate) fn failure(&self, failure: &Failure) {
        for (what, text) in failure.lines() {
            let label = match what {
                "error" => self.err.red(what),
                _ => format!("  {}", self.err.bold(what)),
            };
            self.aside(&format!("{label}: {}\n", harmless(text)));
        }
    }
}
