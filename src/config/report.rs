//! The configuration in force, as TOML that could be a configuration file, with
//! the source of each value beside it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

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
    digests: BTreeMap<String, Digest>,
}

/// The configuration in force, for people. It holds no secret.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// As TOML, with the source of each value.
    pub text: Arc<str>,
    /// A short name of the values.
    pub digest: Arc<str>,
}

/// Of a value: tells whether it has changed, and not what it is.
type Digest = [u8; 32];

impl Effective {
    pub(super) fn new(
        settings: &Settings,
        layers: Layers,
        found_region: Option<Region>,
        shown: Settings,
    ) -> Self {
        Self {
            digests: digests(settings, found_region.as_ref()),
            settings: shown,
            layers,
            found_region,
        }
    }

    /// The keys whose values differ.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let keys = self.digests.iter();
        keys.filter(|(key, digest)| other.digests.get(*key) != Some(digest))
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// Counts as having the values of `other` at `keys`.
    pub(crate) fn take_over(&mut self, other: &Self, keys: &[String]) {
        for key in keys {
            if let Some(digest) = other.digests.get(key) {
                self.digests.insert(key.clone(), *digest);
            }
        }
    }

    /// A name of the values, whatever their sources: replicas with the same one
    /// are configured alike, but for secrets.
    fn digest(&self) -> String {
        let values = toml::to_string(&self.settings).unwrap_or_default();
        let found = self.found_region.as_ref().map_or("", Region::as_str);
        let digest = Sha256::digest(format!("{found}\n{values}"));
        digest
            .iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// What there is to show to people.
    pub(super) fn shown(&self) -> Shown {
        Shown {
            text: self.to_string().into(),
            digest: self.digest().into(),
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

/// A digest of every value, lists as a whole.
fn digests(settings: &Settings, found_region: Option<&Region>) -> BTreeMap<String, Digest> {
    let values = toml::Table::try_from(settings).unwrap_or_default();
    let lists = ["regions", "callers", "tokens"].map(str::to_owned);
    let keys = settable_keys().into_iter().chain(lists);
    let digest = |key: String| {
        let mut text = find(&values, &key).map_or_else(String::new, ToString::to_string);
        if let ("region", Some(found)) = (key.as_str(), found_region) {
            text.push_str(found.as_str());
        }
        (key, Sha256::digest(text).into())
    };
    keys.map(digest).collect()
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
