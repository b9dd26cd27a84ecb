//! Columns that stand under each other.

use crate::paint::Paint;
use crate::text::harmless;

/// Rows of cells under a head.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this head.
    #[must_use]
    pub fn new(head: &[&str]) -> Self {
        let head = head.iter().map(|text| (*text).to_owned()).collect();
        Self { rows: vec![head] }
    }

    /// Adds a row; an empty cell is shown as `-`.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cell = |text: String| match text.is_empty() {
            true => "-".to_owned(),
            false => harmless(&text).replace('\n', " "),
        };
        self.rows.push(cells.into_iter().map(cell).collect());
    }

    /// The table as text: columns two spaces apart, as wide as their widest cell in characters.
    #[must_use]
    pub fn text(&self, paint: Paint) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(|column| self.width(column)).collect();
        let mut text = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths);
            let line: Vec<String> = cells
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            let line = line.join("  ");
            let line = line.trim_end();
            text.push_str(&if index == 0 {
                paint.bold(line)
            } else {
                line.to_owned()
            });
            text.push('\n');
        }
        text
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn columns_stand_under_each_other_counted_in_characters() {
        let mut table = Table::new(&["NAME", "ROLES"]);
        table.row(["ü".to_owned(), String::new()]);
        table.row(["worker-1".to_owned(), "a\u{1b}[2J, b".to_owned()]);
        assert_eq!(
            table.text(Paint::new(false)),
            "NAME      ROLES\nü         -\nworker-1  a\u{fffd}[2J, b\n"
        );
    }

    proptest! {
        #[test]
        fn any_cell_keeps_to_its_line(cells in proptest::collection::vec(any::<String>(), 0..6)) {
            let mut table = Table::new(&["A", "B"]);
            table.row(cells);
            let text = table.text(Paint::new(false));
            prop_assert_eq!(text.matches('\n').count(), 2);
            prop_assert!(!text.replace('\n', "").contains(char::is_control));
        }
    }
}
