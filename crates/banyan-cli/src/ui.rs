//! Output: data on stdout, everything else on stderr, colour only where it is wanted.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use banyan_terminal::environment_allows_color;
pub(crate) use banyan_terminal::{Paint, Table, ago, bytes, harmless, moment};
use serde::Serialize;

use crate::args::{ColorWhen, Output};
use crate::error::Failure;

/// Where output goes.
pub(crate) struct Ui {
    out: Paint,
    err: Paint,
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

    /// How to decorate what goes to stdout.
    pub(crate) fn paint(&self) -> Paint {
        self.out
    }

    /// How to decorate what goes to stderr.
    pub(crate) fn paint_err(&self) -> Paint {
        self.err
    }

    /// Writes data to stdout. A reader that has gone away is no failure.
    pub(crate) fn data(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Failure::refused("cannot write to standard output").because(&error))
            }
            _ => Ok(()),
        }
    }

    /// Writes a value in one of its stable shapes, or as text for people.
    pub(crate) fn show<T: Serialize>(
        &self,
        output: Output,
        value: &T,
        text: impl FnOnce(Paint) -> String,
    ) -> Result<(), Failure> {
        let shapeless = |error: &(dyn std::error::Error + 'static)| {
            Failure::refused("cannot write the answer in this shape").because(error)
        };
        match output {
            Output::Table => self.data(&text(self.out)),
            Output::Json => {
                let json = serde_json::to_string_pretty(value).map_err(|e| shapeless(&e))?;
                self.data(&format!("{json}\n"))
            }
            Output::Yaml => {
                let yaml = serde_saphyr::to_string(value).map_err(|e| shapeless(&e))?;
                self.data(&format!("{}\n", yaml.trim_end()))
            }
        }
    }

    /// Writes to stderr as it is. Nobody may be listening; that changes nothing.
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
