//! Tables that fit the terminal.

use crate::paint::Paint;
use crate::text::harmless;

/// A column of running text is wrapped down to its longest word, within these limits, before any cell is cut; in
/// characters.
const NARROWEST_TEXT: (usize, usize) = (8, 20);
/// The narrowest that any column gets by cutting its cells, in characters.
const NARROWEST: usize = 4;
/// The gap between two columns.
const GAP: &str = "  ";

/// How much room a table gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// All columns, and nothing is wrapped or cut.
    Wide,
    /// The columns that matter most, and nothing is wrapped or cut.
    Whole,
    /// The columns that matter most, in lines of at most so many characters.
    Within(usize),
}

/// Rows of cells under a head.
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

struct Column {
    head: String,
    /// Contains running text.
    wrapped: bool,
    cuttable: bool,
    /// Shown in wide tables only.
    extra: bool,
}

impl Table {
    /// A table with this head.
    #[must_use]
    pub fn new(head: &[&str]) -> Self {
        let column = |head: &&str| Column {
            head: (*head).to_owned(),
            wrapped: false,
            cuttable: true,
            extra: false,
        };
        Self {
            columns: head.iter().map(column).collect(),
            rows: Vec::new(),
        }
    }

    /// Marks columns of running text: they are wrapped if the table is too wide.
    #[must_use]
    pub fn wrapping(self, columns: &[&str]) -> Self {
        self.mark(columns, |column| column.wrapped = true)
    }

    /// Marks columns that are never cut, because a part of a cell is useless.
    #[must_use]
    pub fn whole(self, columns: &[&str]) -> Self {
        self.mark(columns, |column| column.cuttable = false)
    }

    /// Marks columns that only a [`Fit::Wide`] table shows.
    #[must_use]
    pub fn extra(self, columns: &[&str]) -> Self {
        self.mark(columns, |column| column.extra = true)
    }

    fn mark(mut self, columns: &[&str], mark: impl Fn(&mut Column)) -> Self {
        let marked = self.columns.iter_mut();
        marked
            .filter(|column| columns.contains(&&*column.head))
            .for_each(mark);
        self
    }

    /// Adds a row; an empty cell is shown as `-`, and cells without a head are left out.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cell = |text: String| match text.is_empty() {
            true => "-".to_owned(),
            false => harmless(&text).replace('\n', " "),
        };
        let cells = cells.into_iter().take(self.columns.len()).map(cell);
        self.rows.push(cells.collect());
    }

    /// The table as text: columns two spaces apart, as wide as their widest cell in characters. With a limit, no line is
    /// longer: columns of running text are wrapped, and if that is not enough the longest cells are cut, which `…` shows.
    #[must_use]
    pub fn text(&self, paint: Paint, fit: Fit) -> String {
        let shown: Vec<(usize, &Column)> = (self.columns.iter().enumerate())
            .filter(|(_, column)| fit == Fit::Wide || !column.extra)
            .collect();
        let widths = self.widths(&shown, fit);
        let head: Vec<String> = shown.iter().map(|(_, c)| c.head.clone()).collect();
        let mut text = paint.bold(&line(&head, &widths));
        text.push('\n');
        for row in &self.rows {
            for cells in lines(row, &shown, &widths) {
                text.push_str(&line(&cells, &widths));
                text.push('\n');
            }
        }
        text
    }

    fn widths(&self, shown: &[(usize, &Column)], fit: Fit) -> Vec<usize> {
        let natural = shown.iter().map(|(index, column)| {
            let cells = self.rows.iter().filter_map(|row| row.get(*index));
            let texts = std::iter::once(&column.head).chain(cells);
            texts.map(|text| text.chars().count()).max().unwrap_or(0)
        });
        let mut widths: Vec<usize> = natural.collect();
        let Fit::Within(limit) = fit else {
            return widths;
        };
        let gaps = GAP.len() * widths.len().saturating_sub(1);
        let room = limit.saturating_sub(gaps);
        let floors = shown.iter().zip(&widths);
        let floors: Vec<usize> = floors
            .map(|((index, column), width)| match column.wrapped {
                true => self.longest_word(*index),
                false => *width,
            })
            .collect();
        narrow(&mut widths, room, &floors);
        let floors = shown.iter().zip(&widths);
        let floors: Vec<usize> = floors
            .map(|((_, column), width)| match column.cuttable {
                true => NARROWEST,
                false => *width,
            })
            .collect();
        narrow(&mut widths, room, &floors);
        widths
    }

    /// The longest word of a column, within limits.
    fn longest_word(&self, index: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(index));
        let words = cells.flat_map(|cell| cell.split(' '));
        let longest = words.map(|word| word.chars().count()).max().unwrap_or(0);
        longest.clamp(NARROWEST_TEXT.0, NARROWEST_TEXT.1)
    }
}

/// A row as one line or, where text is wrapped, several.
fn lines(row: &[String], shown: &[(usize, &Column)], widths: &[usize]) -> Vec<Vec<String>> {
    let cells = shown.iter().zip(widths).map(|((index, column), width)| {
        let cell = row.get(*index).map(String::as_str).unwrap_or_default();
        match column.wrapped {
            true => wrap(cell, *width),
            false => vec![cut(cell, *width)],
        }
    });
    let columns: Vec<Vec<String>> = cells.collect();
    let height = columns.iter().map(Vec::len).max().unwrap_or(0);
    let line = |index| {
        let cell = |column: &Vec<String>| column.get(index).cloned().unwrap_or_default();
        columns.iter().map(cell).collect()
    };
    (0..height.max(1)).map(line).collect()
}

/// Narrows the widest column, again and again, until all fit or each is as narrow as its floor.
fn narrow(widths: &mut [usize], room: usize, floors: &[usize]) {
    let mut over = widths.iter().sum::<usize>().saturating_sub(room);
    while over > 0 {
        let widest = (widths.iter_mut().zip(floors))
            .filter(|(width, floor)| **width > **floor)
            .max_by_key(|(width, _)| **width);
        let Some((width, _)) = widest else {
            return;
        };
        *width -= 1;
        over -= 1;
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let cells = cells.iter().zip(widths);
    let cells: Vec<String> = cells
        .map(|(cell, width)| format!("{:width$}", cut(cell, *width)))
        .collect();
    cells.join(GAP).trim_end().to_owned()
}

/// A text, or its start and `…`.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let start: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{start}…")
}

/// A text on lines of at most so many characters, at spaces where that is possible.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let mut rest: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + rest.len() > width {
            lines.push(String::new());
            used = 0;
        }
        if used > 0 {
            push(&mut lines, " ");
            used += 1;
        }
        while rest.len() > width && width > 0 {
            let next = rest.split_off(width);
            push(&mut lines, &String::from_iter(&rest));
            lines.push(String::new());
            rest = next;
        }
        push(&mut lines, &String::from_iter(&rest));
        used += rest.len();
    }
    lines
}

fn push(lines: &mut [String], text: &str) {
    if let Some(last) = lines.last_mut() {
        last.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: fn() -> Paint = || Paint::new(false);

    fn table() -> Table {
        let mut table = Table::new(&["NAME", "ROLES", "ORIGIN"]).wrapping(&["ROLES"]);
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        table.row(row(["ü", "", "api"]));
        table.row(row([
            "worker-1",
            "network-admin, deployer, viewer",
            "machines/berlin/worker-1.yaml:1",
        ]));
        table
    }

    #[test]
    fn columns_are_aligned_counted_in_characters() {
        let mut table = Table::new(&["NAME", "ROLES"]);
        table.row(["ü".to_owned(), String::new()]);
        table.row(["worker-1".to_owned(), "a\u{1b}[2J, b".to_owned()]);
        assert_eq!(
            table.text(PLAIN(), Fit::Whole),
            "NAME      ROLES\nü         -\nworker-1  a\u{fffd}[2J, b\n"
        );
    }

    #[test]
    fn without_a_limit_or_with_enough_room_nothing_is_cut() {
        let expected = "\
NAME      ROLES                            ORIGIN
ü         -                                api
worker-1  network-admin, deployer, viewer  machines/berlin/worker-1.yaml:1
";
        assert_eq!(table().text(PLAIN(), Fit::Whole), expected);
        assert_eq!(table().text(PLAIN(), Fit::Within(74)), expected);
    }

    #[test]
    fn running_text_is_wrapped_before_anything_is_cut() {
        let expected = "\
NAME      ROLES                     ORIGIN
ü         -                         api
worker-1  network-admin, deployer,  machines/berlin/worker-1.yaml:1
          viewer
";
        assert_eq!(table().text(PLAIN(), Fit::Within(67)), expected);
        let expected = "\
NAME      ROLES           ORIGIN
ü         -               api
worker-1  network-admin,  machines/berlin/worker-…
          deployer,
          viewer
";
        assert_eq!(table().text(PLAIN(), Fit::Within(50)), expected);
    }

    #[test]
    fn what_is_of_use_only_as_a_whole_is_not_cut() {
        let mut table = Table::new(&["ID", "FROM"]).whole(&["ID"]);
        table.row(["0123456789abcdef".to_owned(), "192.0.2.17".to_owned()]);
        assert_eq!(
            table.text(PLAIN(), Fit::Within(24)),
            "ID                FROM\n0123456789abcdef  192.0…\n"
        );
    }

    #[test]
    fn extra_columns_are_shown_where_there_is_all_the_room() {
        let mut table = Table::new(&["NAME", "SENT", "ORIGIN"]).extra(&["SENT"]);
        table.row(["w1", "3 B", "api"].map(str::to_owned));
        assert_eq!(table.text(PLAIN(), Fit::Whole), "NAME  ORIGIN\nw1    api\n");
        assert_eq!(
            table.text(PLAIN(), Fit::Wide),
            "NAME  SENT  ORIGIN\nw1    3 B   api\n"
        );
    }

    #[test]
    fn a_word_that_is_longer_than_its_column_is_broken() {
        assert_eq!(wrap("a bcdefg hi", 3), ["a", "bcd", "efg", "hi"]);
        assert_eq!(wrap("", 3), [""]);
    }

    proptest! {
        #[test]
        fn any_cell_keeps_to_its_line(cells in proptest::collection::vec(any::<String>(), 0..6)) {
            let mut table = Table::new(&["A", "B"]);
            table.row(cells);
            let text = table.text(PLAIN(), Fit::Whole);
            prop_assert_eq!(text.matches('\n').count(), 2);
            prop_assert!(!text.replace('\n', "").contains(char::is_control));
        }

        #[test]
        fn no_line_is_longer_than_the_limit_and_wrapping_loses_nothing(
            rows in proptest::collection::vec(proptest::collection::vec("\\PC{0,60}", 3), 0..4),
            limit in 40_usize..90
        ) {
            let mut table = Table::new(&["A", "B", "C"]).wrapping(&["B"]);
            for row in &rows {
                table.row(row.clone());
            }
            for line in table.text(PLAIN(), Fit::Within(limit)).lines() {
                prop_assert!(line.chars().count() <= limit, "{}", line);
            }
            for cell in rows.iter().flatten() {
                let wrapped = wrap(cell, 7).concat();
                prop_assert_eq!(wrapped.replace(' ', ""), cell.replace(' ', ""));
            }
        }
    }
}
