//! The configuration in force, as TOML that could be a configuration file, with
//! the source of each value beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use sha2::{Digest as _, Sha256};
use toml::{Table, Value};

use super::Settings;
use super::layers::{Layers, Source, settable_keys, variable};
use crate::region::Region;

/// A setting as TOML, and its source.
type Line = (String, String);

/// The lists of tables, of which each comes from one source as a whole.
const LISTS: [&str; 3] = ["regions", "callers", "tokens"];

/// Shown in the place of a source where a value is not in force yet.
const WAITING: &str = "; a new value waits for a restart";

/// The configuration in force. Its `Display` is TOML; it holds no secret.
#[derive(Debug)]
pub struct Effective {
    values: Table,
    /// By key.
    sources: BTreeMap<String, String>,
    found_region: Option<Region>,
    digests: BTreeMap<String, Digest>,
    /// The keys that have another value in what was read last.
    waiting: BTreeSet<String>,
}

/// The configuration in force, for people. It holds no secret.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// As TOML, with the source of each value.
    pub text: Arc<str>,
    /// A short name of the values.
    pub digest: Arc<str>,
}

/// What is shown at the moment. A clone is another handle of the same.
#[derive(Clone, Debug)]
pub(crate) struct InForce(Arc<ArcSwap<Shown>>);

impl InForce {
    /// Begins with `shown`.
    pub(crate) fn new(shown: Shown) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(shown)))
    }

    /// What is shown now.
    pub(crate) fn get(&self) -> Arc<Shown> {
        self.0.load_full()
    }

    /// Shows this from now on.
    pub(crate) fn replace(&self, shown: Shown) {
        self.0.store(Arc::new(shown));
    }
}

/// Of a value: tells whether it has changed, and not what it is.
type Digest = [u8; 32];

impl Effective {
    /// `settings` and where they come from; `shown` are the same without secrets.
    pub(super) fn new(
        settings: &Settings,
        layers: &Layers,
        found_region: Option<Region>,
        shown: &Settings,
    ) -> Self {
        let lists = LISTS.map(str::to_owned);
        let keys = settable_keys().into_iter().chain(lists);
        Self {
            digests: digests(settings, found_region.as_ref()),
            values: Table::try_from(shown).unwrap_or_default(),
            sources: keys
                .map(|key| (key.clone(), source(layers, &key)))
                .collect(),
            found_region,
            waiting: BTreeSet::new(),
        }
    }

    /// The keys whose values differ.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let keys: BTreeSet<_> = self.digests.keys().chain(other.digests.keys()).collect();
        let differ = |key: &&String| self.digests.get(*key) != other.digests.get(*key);
        let differing: Vec<_> = keys.into_iter().filter(differ).cloned().collect();
        // Of a region that comes or goes nothing else needs to be told.
        let whole = |key: &String| {
            let region = key.rsplit_once('.').map(|(region, _)| region.to_owned());
            region.is_some_and(|it| it.starts_with("regions.") && differing.contains(&it))
        };
        let told = differing.iter().filter(|key| !whole(key));
        told.cloned().collect()
    }

    /// Has the values of `other` at the keys of `applied` from now on; those at
    /// `waiting` are for after a restart.
    pub(crate) fn take_over(&mut self, other: &Self, applied: &[String], waiting: &[String]) {
        for key in applied {
            match other.digests.get(key) {
                Some(digest) => self.digests.insert(key.clone(), *digest),
                None => self.digests.remove(key),
            };
            copy(&mut self.values, &other.values, key);
            let list = list_of(key);
            if let Some(source) = other.sources.get(list) {
                self.sources.insert(list.to_owned(), source.clone());
            }
        }
        self.waiting = waiting.iter().map(|key| list_of(key).to_owned()).collect();
    }

    /// A name of the values, whatever their sources: replicas with the same one
    /// are configured alike, but for secrets.
    fn digest(&self) -> String {
        let values = toml::to_string(&self.values).unwrap_or_default();
        let found = self.found_region.as_ref().map_or("", Region::as_str);
        let digest = Sha256::digest(format!("{found}\n{values}"));
        digest
            .iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// What there is to show to people.
    pub(crate) fn shown(&self) -> Shown {
        Shown {
            text: self.to_string().into(),
            digest: self.digest().into(),
        }
    }

    fn line(&self, key: &str) -> Line {
        let name = key.rsplit('.').next().unwrap_or(key);
        let value = find(&self.values, key);
        if let (None, "region", Some(found)) = (value, key, &self.found_region) {
            let source = "AWS's own configuration".to_owned();
            return (format!("region = \"{found}\""), source);
        }
        match value {
            Some(value) => (format!("{name} = {value}"), self.source(key)),
            None => (format!("# {name} ="), format!("not set{}", self.note(key))),
        }
    }

    fn source(&self, key: &str) -> String {
        let source = self.sources.get(key).map_or("default", String::as_str);
        format!("{source}{}", self.note(key))
    }

    fn note(&self, key: &str) -> &'static str {
        if self.waiting.contains(key) {
            WAITING
        } else {
            ""
        }
    }

    /// One item of a list of tables.
    fn item(&self, f: &mut fmt::Formatter<'_>, list: &str, item: &Value) -> fmt::Result {
        let mut whole = Table::new();
        let item = item.as_table().cloned().unwrap_or_default();
        let items = vec![Value::Table(without_empty(item))];
        whole.insert(list.to_owned(), items.into());
        let text = toml::to_string(&whole).map_err(|_| fmt::Error)?;
        let (heading, rest) = text.split_once('\n').unwrap_or((&text, ""));
        write!(f, "\n{heading}  # {}\n{rest}", self.source(list))
    }

    /// The lines by table, those of no table first.
    fn sections(&self) -> Vec<(Option<String>, Vec<Line>)> {
        let mut sections: Vec<(Option<String>, Vec<Line>)> = vec![(None, Vec::new())];
        for key in settable_keys() {
            let table = key.rsplit_once('.').map(|(table, _)| table.to_owned());
            let line = self.line(&key);
            match sections.iter_mut().find(|(name, _)| *name == table) {
                Some((_, lines)) => lines.push(line),
                None => sections.push((table, vec![line])),
            }
        }
        sections
    }
}

fn source(layers: &Layers, key: &str) -> String {
    match layers.source(key) {
        Source::Variable => variable(key),
        source @ Source::Flag => source.place(key),
        source => source.to_string(),
    }
}

/// A digest of every value, lists as a whole but for the regions, whose limits can
/// change one by one.
fn digests(settings: &Settings, found_region: Option<&Region>) -> BTreeMap<String, Digest> {
    let values = Table::try_from(settings).unwrap_or_default();
    let lists = ["callers", "tokens"].map(str::to_owned);
    let keys = settable_keys().into_iter().chain(lists);
    let digest = |key: String| {
        let mut text = find(&values, &key).map_or_else(String::new, ToString::to_string);
        if let ("region", Some(found)) = (key.as_str(), found_region) {
            text.push_str(found.as_str());
        }
        (key, Sha256::digest(text).into())
    };
    let mut digests: BTreeMap<_, _> = keys.map(digest).collect();
    digests.extend(digests_of_regions(&values));
    digests
}

/// Which there are, in which order, and what is set of each, by its name.
fn digests_of_regions(values: &Table) -> BTreeMap<String, Digest> {
    let mut digests = BTreeMap::new();
    let mut names = Vec::new();
    for region in items(values, "regions").filter_map(Value::as_table) {
        let name = region.get("name").and_then(Value::as_str).unwrap_or("");
        names.push(name);
        digests.insert(format!("regions.{name}"), Sha256::digest(name).into());
        for (key, value) in region {
            let key = format!("regions.{name}.{key}");
            digests.insert(key, Sha256::digest(value.to_string()).into());
        }
    }
    let names = Sha256::digest(names.join(" ")).into();
    digests.insert("regions".to_owned(), names);
    digests
}

/// Of a key of one of the [`LISTS`] the list, else the key.
fn list_of(key: &str) -> &str {
    let first = key.split('.').next().unwrap_or(key);
    if LISTS.contains(&first) { first } else { key }
}

fn items<'a>(values: &'a Table, list: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    let items = values.get(list).and_then(Value::as_array);
    items.into_iter().flatten()
}

/// Sets `key` to what it is in `from`; `regions.NAME.KEY` is one of a region.
fn copy(into: &mut Table, from: &Table, key: &str) {
    let of_region = key
        .strip_prefix("regions.")
        .and_then(|key| key.split_once('.'));
    let (Some((name, key)), Some(Value::Array(regions))) = (of_region, into.get_mut("regions"))
    else {
        return set(into, key, find(from, key).cloned());
    };
    let is_it = |region: &Value| region.get("name").and_then(Value::as_str) == Some(name);
    let source = items(from, "regions").find(|region| is_it(region));
    let value = source.and_then(|region| region.get(key)).cloned();
    let mut tables = regions.iter_mut().filter(|region| is_it(region));
    if let Some(Value::Table(region)) = tables.next() {
        set(region, key, value);
    }
}

/// Without a value, `key` is not set any more.
fn set(into: &mut Table, key: &str, value: Option<Value>) {
    match (key.split_once('.'), value) {
        (Some((table, key)), value) => {
            let below = into.entry(table).or_insert_with(|| Table::new().into());
            if let Value::Table(below) = below {
                set(below, key, value);
            }
        }
        (None, Some(value)) => drop(into.insert(key.to_owned(), value)),
        (None, None) => drop(into.remove(key)),
    }
}

/// A table that sets nothing need not be shown.
fn without_empty(table: Table) -> Table {
    let shown = table.into_iter().filter_map(|(key, value)| match value {
        Value::Table(below) => {
            let below = without_empty(below);
            (!below.is_empty()).then_some((key, Value::Table(below)))
        }
        value => Some((key, value)),
    });
    shown.collect()
}

fn find<'a>(values: &'a Table, key: &str) -> Option<&'a Value> {
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
        for list in LISTS {
            for item in items(&self.values, list) {
                self.item(f, list, item)?;
            }
        }
        Ok(())
    }
}
