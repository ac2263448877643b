//! Answers as the AWS CLI prints them, byte for byte.

mod color;
mod json;
mod table;
mod text;

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value;

use crate::query::Query;

pub(crate) use json::compact_ascii;

/// How answers are printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// Indented JSON.
    Json,
    /// Values between tabs.
    Text,
    /// Boxes for people.
    Table,
}

impl Format {
    /// The names of the formats, in the AWS CLI's order.
    pub(crate) const NAMES: [&str; 3] = ["json", "text", "table"];

    /// The format of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "text" => Some(Self::Text),
            "table" => Some(Self::Table),
            _ => None,
        }
    }
}

/// Whether tables are in colour.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Color {
    /// Always.
    On,
    /// Never.
    Off,
    /// On a terminal.
    #[default]
    Auto,
}

impl Color {
    fn is_on(self) -> bool {
        match self {
            Self::On => true,
            Self::Off => false,
            Self::Auto => io::stdout().is_terminal(),
        }
    }
}

/// How to print an answer.
#[derive(Debug)]
pub(crate) struct Style {
    /// The format.
    pub(crate) format: Format,
    /// Whether tables are in colour.
    pub(crate) color: Color,
    /// What to print of the answer; all of it without.
    pub(crate) query: Option<Query>,
}

impl Style {
    /// Prints the answer to stdout. That nobody reads it is no failure.
    ///
    /// # Errors
    /// What the query or the table cannot do with the answer.
    pub(crate) fn print(&self, title: &str, answer: Value) -> Result<(), String> {
        let answer = match &self.query {
            Some(query) => query.search(answer)?,
            None => answer,
        };
        let rendered = match self.format {
            Format::Json => json::render(&answer),
            Format::Text => text::render(&answer),
            Format::Table => table::render(title, &answer, self.color.is_on(), terminal_width())?,
        };
        write(&rendered);
        Ok(())
    }
}

/// Prints a value as JSON, whatever the format of answers.
pub(crate) fn print_json(value: &Value) {
    write(&json::render(value));
}

/// Writes to stdout. A reader that hung up has what it wanted.
pub(crate) fn write(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

/// The width of stdout's terminal, or what terminals had for long.
fn terminal_width() -> usize {
    terminal_size::terminal_size_of(io::stdout()).map_or(80, |(width, _)| usize::from(width.0))
}
