//! One section of a table: a title, a line of headers and rows of cells.

use icu_properties::CodePointMapData;
use icu_properties::props::EastAsianWidth;

use super::super::color::Stream;

/// Spaces of a cell and its right edge, besides its text.
const CELL_PADDING: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Section {
    title: String,
    level: usize,
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
    columns: Option<usize>,
    /// The widest text of each column.
    widths: Vec<usize>,
}

impl Section {
    pub(super) fn new(title: &str, level: usize) -> Self {
        Self {
            title: title.to_owned(),
            level,
            ..Self::default()
        }
    }

    pub(super) fn header(&mut self, names: &[&str]) {
        self.headers = names.iter().map(|name| (*name).to_owned()).collect();
        self.columns.get_or_insert(names.len());
        let headers = std::mem::take(&mut self.headers);
        self.widen(&headers);
        self.headers = headers;
    }

    pub(super) fn row(&mut self, cells: Vec<String>) -> Result<(), String> {
        let columns = *self.columns.get_or_insert(cells.len());
        if cells.len() != columns {
            return Err(format!(
                "Row should have {columns} elements, instead it has {}",
                cells.len()
            ));
        }
        self.widen(&cells);
        self.rows.push(cells);
        Ok(())
    }

    fn widen(&mut self, cells: &[String]) {
        self.widths.resize(cells.len().max(self.widths.len()), 0);
        for (width, cell) in self.widths.iter_mut().zip(cells) {
            *width = text_width(cell).max(*width);
        }
    }

    /// Makes a single row a column, its headers in front.
    pub(super) fn turn_if_single_row(&mut self) {
        if self.rows.len() != 1 || self.headers.is_empty() {
            return;
        }
        let mut turned = Self::new(&self.title, self.level);
        let cells = self.rows.pop().unwrap_or_default();
        for pair in std::mem::take(&mut self.headers).into_iter().zip(cells) {
            turned.columns = Some(2);
            turned.widen(&[pair.0.clone(), pair.1.clone()]);
            turned.rows.push(vec![pair.0, pair.1]);
        }
        *self = turned;
    }

    /// What the section would need of the table's width.
    pub(super) fn total_width(&self) -> usize {
        let edges = 2;
        let indent = 2 * self.level;
        let cells: usize = self.widths.iter().map(|width| width + CELL_PADDING).sum();
        (text_width(&self.title) + edges + indent).max(cells + edges + indent)
    }

    pub(super) fn render(&self, table_width: usize, stream: &mut Stream) {
        let width = table_width - 2 * self.level;
        if !self.title.is_empty() {
            stream.indented_line(self.level, &centered(&self.title, width, "|"));
            if self.headers.is_empty() && self.rows.is_empty() {
                stream.indented_line(self.level, &format!("+{}+", "-".repeat(width - 2)));
            }
        }
        if !self.headers.is_empty() {
            let widths = self.column_widths(width);
            self.line_break(&widths, stream);
            let cells = widths.iter().zip(&self.headers).enumerate();
            let cells =
                cells.map(|(index, (width, header))| centered(header, *width, left_edge(index)));
            stream.indented_line(self.level, &cells.collect::<String>());
        }
        let widths = self.column_widths(width);
        if self.rows.is_empty() || widths.is_empty() {
            return;
        }
        self.line_break(&widths, stream);
        for row in &self.rows {
            let cells = widths.iter().zip(row).enumerate();
            let cells = cells.map(|(index, (width, text))| {
                aligned(text, &stream.cell(text), *width, left_edge(index))
            });
            let line: String = cells.collect();
            stream.indented_line(self.level, &line);
        }
        self.line_break(&widths, stream);
    }

    fn line_break(&self, widths: &[usize], stream: &mut Stream) {
        let line: String = widths
            .iter()
            .enumerate()
            .map(|(index, width)| match index {
                0 => format!("+{}+", "-".repeat(width.saturating_sub(2))),
                _ => format!("{}+", "-".repeat(width.saturating_sub(1))),
            })
            .collect();
        stream.indented_line(self.level, &line);
    }

    /// The columns' widths, stretched so that their sum is `total`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "widths of columns are small, and the arithmetic is Python's"
    )]
    fn column_widths(&self, total: usize) -> Vec<usize> {
        let natural: Vec<_> = self
            .widths
            .iter()
            .map(|width| width + CELL_PADDING)
            .collect();
        let sum: usize = natural.iter().sum();
        if sum == 0 {
            return natural;
        }
        let scale = total as f64 / sum as f64;
        let mut scaled: Vec<_> = natural
            .iter()
            .map(|width| (scale * *width as f64).round_ties_even() as usize)
            .collect();
        let mut at = 0;
        // Too wide: from the left; too narrow: from the right.
        while scaled.iter().sum::<usize>() > total {
            scaled[at] -= 1;
            at = (at + 1) % scaled.len();
        }
        at = scaled.len();
        while scaled.iter().sum::<usize>() < total {
            at = at.checked_sub(1).unwrap_or(scaled.len() - 1);
            scaled[at] += 1;
        }
        scaled
    }
}

/// The first cell of a line brings the table's left edge.
fn left_edge(index: usize) -> &'static str {
    if index == 0 { "|" } else { "" }
}

fn centered(text: &str, width: usize, left_edge: &str) -> String {
    let text_width = text_width(text);
    let before = (width / 2).saturating_sub(text_width / 2 + 1);
    let used = left_edge.len() + before + text_width + 1;
    let after = width.saturating_sub(used);
    format!(
        "{left_edge}{}{text}{}|",
        " ".repeat(before),
        " ".repeat(after)
    )
}

/// `shown` is the text with its style.
fn aligned(text: &str, shown: &str, width: usize, left_edge: &str) -> String {
    let needed = text_width(text) + left_edge.len() + 1;
    let before = if width >= needed + 2 { 2 } else { 0 };
    let after = width.saturating_sub(needed + before);
    format!(
        "{left_edge}{}{shown}{}|",
        " ".repeat(before),
        " ".repeat(after)
    )
}

/// The width on a terminal: two cells for wide characters and for those that
/// East Asian fonts make wide.
pub(super) fn text_width(text: &str) -> usize {
    let widths = CodePointMapData::<EastAsianWidth>::new();
    text.chars()
        .map(|character| match widths.get(character) {
            EastAsianWidth::Wide | EastAsianWidth::Fullwidth | EastAsianWidth::Ambiguous => 2,
            _ => 1,
        })
        .sum()
}
