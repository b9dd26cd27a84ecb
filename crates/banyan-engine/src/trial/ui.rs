//! The trial's output on standard output.

use std::io::{IsTerminal as _, Write as _};

/// Prints a text. A closed terminal must not stop the engine.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// The style of a piece of text.
#[derive(Clone, Copy)]
pub(super) enum Style {
    Good,
    Bad,
    Strong,
    Dim,
}

/// The text in a style, if the terminal has colours and the user wants them.
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

/// The text with each line indented.
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
