//! Text tables.

use crate::words::{grouped, shown};

/// Maximum width of a column of a table in characters; longer cells stick out.
const MAX_WIDTH: usize = 1000;

/// A text table: columns as wide as their longest cell, numbers aligned right.
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Makes a table with these column titles.
    pub fn new<S: Into<String>>(head: impl IntoIterator<Item = S>) -> Self {
        Self { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Returns true when the table has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds a row.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(|c| shown(&c.into())).collect());
    }

    /// Returns the width of each column.
    pub fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.head.iter().map(|h| h.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths.iter().map(|width| (*width).min(MAX_WIDTH)).collect()
    }

    /// Returns the first rows as text, and the number of rows that were cut.
    pub fn first(&self, at_most: usize) -> String {
        let cut = self.rows.len().saturating_sub(at_most);
        if cut == 0 {
            return self.text();
        }
        let rows = self.rows.iter().take(at_most).cloned().collect();
        let text = Self { head: self.head.clone(), rows }.text();
        format!("{text}… and {} more\n", grouped(cut as u64))
    }

    /// Returns the table as text, a line per row.
    pub fn text(&self) -> String {
        let columns = self.head.len();
        let widths = self.widths();
        let mut numeric = vec![!self.rows.is_empty(); columns];
        for row in &self.rows {
            for (i, cell) in row.iter().enumerate().take(columns) {
                numeric[i] &= cell.is_empty()
                    || cell.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+');
            }
        }
        let mut text = String::new();
        let mut line = |cells: &[String]| {
            let mut out = String::new();
            for (i, width) in widths.iter().enumerate() {
                let cell = cells.get(i).map_or("", String::as_str);
                let gap = if i == 0 { "" } else { "  " };
                // Padded by hand: a format string takes no width beyond 65 535.
                let space = " ".repeat(width.saturating_sub(cell.chars().count()));
                let (before, after) =
                    if numeric[i] { (space.as_str(), "") } else { ("", space.as_str()) };
                out.extend([gap, before, cell, after]);
            }
            text.push_str(out.trim_end());
            text.push('\n');
        };
        line(&self.head);
        let rules: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
        line(&rules);
        for row in &self.rows {
            line(row);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_and_show_control_characters() {
        let mut table = Table::new(["file", "rows"]);
        table.row(["a\u{1b}[31m", "7"]);
        table.row(["b", "1234"]);
        assert_eq!(
            table.text(),
            "file       rows\n---------  ----\na\\x1b[31m     7\nb          1234\n"
        );
    }
}
