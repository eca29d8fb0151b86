//! Tables that line up, in the shape of Heroku's.

use std::fmt;

/// Rows of text under column titles.
#[derive(Debug)]
pub(crate) struct Table {
    titles: Vec<String>,
    rows: Vec<Vec<String>>,
}

const GAP: &str = "   ";

impl Table {
    pub(crate) fn new<const COLUMNS: usize>(
        titles: [&str; COLUMNS],
        rows: impl IntoIterator<Item = [String; COLUMNS]>,
    ) -> Self {
        Self {
            titles: titles.map(str::to_owned).to_vec(),
            rows: rows.into_iter().map(Vec::from).collect(),
        }
    }

    /// One more column at its end.
    pub(crate) fn and(mut self, title: &str, cells: impl IntoIterator<Item = String>) -> Self {
        self.titles.push(title.to_owned());
        for (row, cell) in self.rows.iter_mut().zip(cells) {
            row.push(cell);
        }
        self
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize, title: &str| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or_default().max(title.chars().count())
        };
        self.titles
            .iter()
            .enumerate()
            .map(|(column, title)| width(column, title))
            .collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let padded: Vec<_> = cells
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            format!("  {}", padded.join(GAP)).trim_end().to_owned()
        };
        let total = widths.iter().sum::<usize>() + GAP.len() * (widths.len() - 1);
        writeln!(f, "{}", line(&mut self.titles.iter().map(String::as_str)))?;
        writeln!(f, " {}", "─".repeat(total + 2))?;
        for row in &self.rows {
            writeln!(f, "{}", line(&mut row.iter().map(String::as_str)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["web", "Basic"], ["a-long-worker", "Eco"]].map(|row| row.map(str::to_owned));
        assert_eq!(
            Table::new(["type", "size"], rows).to_string(),
            "  type            size\n ───────────────────────\n  web             Basic\n  a-long-worker   Eco\n"
        );
    }
}
