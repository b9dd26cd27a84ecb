//! Colour. It only decorates: every text says the same without it.

/// Colours texts, or leaves them as they are.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// Colours if `on`.
    #[must_use]
    pub fn new(on: bool) -> Self {
        Self { on }
    }

    /// Whether it colours.
    #[must_use]
    pub fn is_on(self) -> bool {
        self.on
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// For what to see first.
    #[must_use]
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// For failures.
    #[must_use]
    pub fn red(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// For success.
    #[must_use]
    pub fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    /// For what needs attention.
    #[must_use]
    pub fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }
}

/// Whether the environment allows colour: <https://no-color.org>, and not a dumb terminal.
#[must_use]
pub fn environment_allows_color() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}
