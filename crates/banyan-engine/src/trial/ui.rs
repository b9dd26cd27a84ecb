//! What the trial shows people, on standard output.

use std::io::{IsTerminal as _, Write as _};

/// Shows a text. A terminal that is gone is no reason to stop the engine.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// How a piece of text stands out.
#[derive(Clone, Copy)]
pub(super) enum Style {
    Good,
    Bad,
    Strong,
    Dim,
}

/// The text in a style, where the terminal has colours and the user wants them.
pub(super) fn styled(style: Style, text: &str) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
        || std::env::var_os("TERM").is_some_and(|v| v == "dumb")
        || !std::io::stdout().is_terminal();
    if plain {
        return text.to_owned();
    }
    let code = match style {
        Style::Good => 32,
        Style::Bad => 31,
        Style::Strong => 1,
        Style::Dim => 2,
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// The text with each line moved to the right.
pub(super) fn indented(text: &str) -> String {
    let lines = text.trim_end().lines();
    let moved: Vec<_> = lines
        .map(|l| {
            if l.is_empty() {
                String::new()
            } else {
                format!("  {l}")
            }
        })
        .collect();
    moved.join("\n")
}
