//! The configuration in force, as TOML that could be a configuration file, with
//! the source of each value beside it.

use std::fmt;

use serde::Serialize;

use super::Settings;
use super::layers::{Layers, Source, settable_keys, variable};
use crate::region::Region;

/// A setting as TOML, and its source.
type Line = (String, String);

/// The configuration in force. Its `Display` is TOML; it holds no secret.
#[derive(Debug)]
pub struct Effective {
    settings: Settings,
    layers: Layers,
    found_region: Option<Region>,
}

impl Effective {
    pub(super) fn new(settings: Settings, layers: Layers, found_region: Option<Region>) -> Self {
        Self {
            settings,
            layers,
            found_region,
        }
    }

    fn line(&self, key: &str, values: &toml::Table) -> Line {
        let name = key.rsplit('.').next().unwrap_or(key);
        if let (None, "region", Some(found)) = (find(values, key), key, &self.found_region) {
            return (
                format!("region = \"{found}\""),
                "AWS's own configuration".to_owned(),
            );
        }
        match find(values, key) {
            Some(value) => (format!("{name} = {value}"), self.source(key)),
            None => (format!("# {name} ="), "not set".to_owned()),
        }
    }

    fn source(&self, key: &str) -> String {
        match self.layers.source(key) {
            Source::Variable => variable(key),
            source @ Source::Flag => source.place(key),
            source => source.to_string(),
        }
    }

    /// One item of a list of tables.
    fn item(&self, f: &mut fmt::Formatter<'_>, list: &str, item: &impl Serialize) -> fmt::Result {
        let mut whole = toml::Table::new();
        let item = toml::Table::try_from(item).map_err(|_| fmt::Error)?;
        let items = vec![toml::Value::Table(without_empty(item))];
        whole.insert(list.to_owned(), items.into());
        let text = toml::to_string(&whole).map_err(|_| fmt::Error)?;
        let (heading, rest) = text.split_once('\n').unwrap_or((&text, ""));
        write!(f, "\n{heading}  # {}\n{rest}", self.source(list))
    }

    /// The lines by table, those of no table first.
    fn sections(&self) -> Vec<(Option<String>, Vec<Line>)> {
        let values = toml::Table::try_from(&self.settings).unwrap_or_default();
        let mut sections: Vec<(Option<String>, Vec<Line>)> = vec![(None, Vec::new())];
        for key in settable_keys() {
            let table = key.rsplit_once('.').map(|(table, _)| table.to_owned());
            let line = self.line(&key, &values);
            match sections.iter_mut().find(|(name, _)| *name == table) {
                Some((_, lines)) => lines.push(line),
                None => sections.push((table, vec![line])),
            }
        }
        sections
    }
}

/// A table that sets nothing need not be shown.
fn without_empty(table: toml::Table) -> toml::Table {
    let shown = table.into_iter().filter_map(|(key, value)| match value {
        toml::Value::Table(below) => {
            let below = without_empty(below);
            (!below.is_empty()).then_some((key, toml::Value::Table(below)))
        }
        value => Some((key, value)),
    });
    shown.collect()
}

fn find<'a>(values: &'a toml::Table, key: &str) -> Option<&'a toml::Value> {
    match key.split_once('.') {
        None => values.get(key),
        Some((table, key)) => find(values.get(table)?.as_table()?, key),
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sections = self.sections();
        let width = sections
            .iter()
            .flat_map(|(_, lines)| lines)
            .map(|(line, _)| line.len())
            .max()
            .unwrap_or(0);
        for (table, lines) in &sections {
            if let Some(table) = table {
                writeln!(f, "\n[{table}]")?;
            }
            for (line, source) in lines {
                writeln!(f, "{line:width$}  # {source}")?;
            }
        }
        for region in &self.settings.regions {
            self.item(f, "regions", region)?;
        }
        for caller in &self.settings.callers {
            self.item(f, "callers", caller)?;
        }
        for token in &self.settings.tokens {
            self.item(f, "tokens", token)?;
        }
        Ok(())
    }
}
