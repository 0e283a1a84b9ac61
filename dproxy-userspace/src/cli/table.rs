//! Aligned tables.

use super::style::{Paint, Style, printable};

/// A column is made at most so wide. What is longer shifts its own row only.
const WIDEST: usize = 44;
/// Between two columns.
const GAP: usize = 2;

/// Where the text of a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A table with a heading.
pub(super) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

/// The text of one row in one column.
pub(super) struct Cell {
    text: String,
    paint: Paint,
}

impl Cell {
    /// With a colour.
    pub(super) fn painted(text: impl ToString, paint: Paint) -> Self {
        Self { text: printable(&text.to_string()), paint }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::painted(text, Paint::Plain)
    }
}

impl Table {
    /// Without rows yet.
    pub(super) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row, a cell for each column.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Keeps so many rows; tells how many there were more.
    pub(super) fn truncate(&mut self, rows: usize) -> usize {
        let more = self.rows.len().saturating_sub(rows);
        self.rows.truncate(rows);
        more
    }

    /// Is there no row?
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as lines.
    pub(super) fn lines(&self, style: Style) -> Vec<String> {
        let heading: Vec<Cell> =
            self.columns.iter().map(|(name, _)| Cell::painted(name, Paint::Heading)).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column)).map(Cell::width);
                cells.filter(|width| *width <= WIDEST).chain([heading[column].width()]).max().unwrap_or(0)
            })
            .collect();
        [&heading].into_iter().chain(&self.rows).map(|row| self.line(row, &widths, style)).collect()
    }

    fn line(&self, row: &[Cell], widths: &[usize], style: Style) -> String {
        let mut line = String::new();
        let mut owed = 0;
        for ((cell, (_, align)), width) in row.iter().zip(&self.columns).zip(widths) {
            let padding = width.saturating_sub(cell.width());
            let (before, after) = match align {
                Align::Left => (0, padding),
                Align::Right => (padding, 0),
            };
            // Blanks are owed until something follows, so that no line ends with them.
            if !cell.text.is_empty() {
                line += &" ".repeat(owed + before);
                line += &style.paint(cell.paint, &cell.text);
                owed = after + GAP;
            } else {
                owed += width + GAP;
            }
        }
        line
    }
}

/// A number with a comma in front of each group of three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_with_text() {
        let mut table = Table::new(&[("NAME", Align::Left), ("COUNT", Align::Right), ("NOTE", Align::Left)]);
        table.row(["a".into(), 7.into(), "x".into()]);
        table.row(["longer".into(), 1234567.into(), "".into()]);
        table.row(["".into(), "".into(), "below".into()]);
        table.row(["n".repeat(60).into(), 1.into(), "y".into()]);
        let lines = table.lines(Style::PLAIN);
        let long = format!("{}        1  y", "n".repeat(60));
        let expected = [
            "NAME      COUNT  NOTE",
            "a             7  x",
            "longer  1234567",
            "                 below",
            &long,
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn control_characters_are_shown_and_colours_take_no_room() {
        let mut table = Table::new(&[("A", Align::Left), ("B", Align::Left)]);
        table.row([Cell::painted("x\u{1b}[2J", Paint::Bad), "y".into()]);
        assert_eq!(table.lines(Style::PLAIN)[1], "x\\u{1b}[2J  y");
        assert_eq!(table.lines(Style::COLOUR)[1], "\u{1b}[31mx\\u{1b}[2J\u{1b}[0m  y");
    }

    #[test]
    fn groups_of_digits() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1234567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
