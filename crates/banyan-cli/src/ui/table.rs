//! Columns that stand under each other.

use super::{Paint, harmless};

/// Rows of cells under a head.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        let head = head.iter().map(|text| (*text).to_owned()).collect();
        Self { rows: vec![head] }
    }

    /// Adds a row; an empty cell is shown as `-`.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cell = |text: String| match text.is_empty() {
            true => "-".to_owned(),
            false => harmless(&text).replace('\n', " "),
        };
        self.rows.push(cells.into_iter().map(cell).collect());
    }

    /// The table as text: columns two spaces apart, as wide as their widest cell in characters.
    pub(crate) fn text(&self, paint: Paint) -> String {
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

/// A number of bytes for people: `1.5 MiB`.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut tenths = u128::from(number) * 10 / 1024;
    let mut unit = "KiB";
    for next in UNITS.into_iter().skip(1) {
        if tenths < 10240 {
            break;
        }
        tenths /= 1024;
        unit = next;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
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

    #[test]
    fn bytes_are_told_in_their_unit() {
        for (number, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1 << 20, "1.0 MiB"),
            (5 << 40, "5.0 TiB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }

    proptest! {
        #[test]
        fn any_cell_keeps_to_its_line(cells in proptest::collection::vec(any::<String>(), 0..6), number in any::<u64>()) {
            let mut table = Table::new(&["A", "B"]);
            table.row(cells);
            let text = table.text(Paint::new(false));
            prop_assert_eq!(text.matches('\n').count(), 2);
            prop_assert!(!text.replace('\n', "").contains(char::is_control));
            bytes(number);
        }
    }
}
