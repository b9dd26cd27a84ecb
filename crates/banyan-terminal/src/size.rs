//! The size of the terminal.

use std::io::{self, IsTerminal as _};

use rustix::termios::tcgetwinsize;

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// How many characters fit on a line.
    pub columns: usize,
    /// How many lines fit on the screen.
    pub rows: usize,
}

/// The size of the terminal that standard output goes to, 80 by 24 if it does not report one; `None` if the output is not a
/// terminal.
#[must_use]
pub fn size_of_stdout() -> Option<Size> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let said = |number: u16, otherwise: usize| match number {
        0 => otherwise,
        number => usize::from(number),
    };
    let (columns, rows) = tcgetwinsize(&stdout).map_or((0, 0), |size| (size.ws_col, size.ws_row));
    Some(Size {
        columns: said(columns, 80),
        rows: said(rows, 24),
    })
}
