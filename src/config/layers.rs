//! The sources of settings, laid over one another: flags over variables over
//! the file over the defaults.
//!
//! Every mistake is found in one pass: a value that does not fit is noted with
//! its place and taken out of its layer, and the rest is read again, which
//! brings up the next one (or the value beneath it).

use std::fmt;
use std::path::PathBuf;

use figment::providers::Serialized;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::flags::Flags;
use super::settings::Settings;
use super::{Mistake, Variables, file};

/// What the variables of the gateway begin with.
pub const VARIABLE_PREFIX: &str = "FACE_LIVENESS_";

/// Where a value came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    Flag,
    Variable,
    File(PathBuf),
    /// A variable that AWS's tools share.
    Aws(&'static str),
    Default,
}

impl Source {
    /// The place of `key` in this source, as a user would look for it.
    pub(crate) fn place(&self, key: &str) -> String {
        match self {
            Self::Flag => format!("--{}", key.replace('_', "-")),
            Self::Variable => variable(key),
            Self::File(path) => format!("{}: {key}", path.display()),
            Self::Aws(name) => (*name).to_owned(),
            Self::Default => key.to_owned(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Variable => f.write_str("variable"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Aws(name) => f.write_str(name),
            Self::Default => f.write_str("default"),
        }
    }
}

/// The name of the variable that sets `key`.
pub(crate) fn variable(key: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", key.replace('.', "_").to_uppercase())
}

/// The values of one source. Some are secret: `Debug` shows none.
#[derive(Clone)]
struct Layer {
    source: Source,
    values: Dict,
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.to_string())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// All sources, the strongest first. The defaults lie beneath them.
#[derive(Debug)]
pub(crate) struct Layers {
    layers: Vec<Layer>,
    /// Whether a source could not be read, so that what seems unset may be in it.
    incomplete: bool,
}

impl Layers {
    /// Reads the sources. What cannot be read, and variables that set nothing,
    /// are added to `mistakes`.
    pub(crate) fn read(flags: &Flags, variables: &Variables, mistakes: &mut Vec<Mistake>) -> Self {
        let mut layers = vec![
            Layer {
                source: Source::Flag,
                values: as_dict(flags),
            },
            Layer {
                source: Source::Variable,
                values: from_variables(variables, mistakes),
            },
        ];
        let mut incomplete = false;
        if let Some((path, place)) = file::named(flags, variables) {
            match file::read(&path) {
                Ok(values) => layers.push(Layer {
                    source: Source::File(path),
                    values,
                }),
                Err(problem) => {
                    incomplete = true;
                    mistakes.push(Mistake { place, problem });
                }
            }
        }
        let names_regions = layers
            .iter()
            .any(|layer| layer.values.contains_key("regions"));
        layers.extend(of_aws(variables, names_regions));
        Self { layers, incomplete }
    }

    /// The values of a file alone, whose text is at hand.
    pub(crate) fn of_text(text: &str, mistakes: &mut Vec<Mistake>) -> Self {
        let values = file::parse(text).unwrap_or_else(|problem| {
            let place = "text".to_owned();
            mistakes.push(Mistake { place, problem });
            Dict::new()
        });
        let source = Source::File(PathBuf::from("text"));
        Self {
            layers: vec![Layer { source, values }],
            incomplete: false,
        }
    }

    /// Whether a variable that AWS's tools share sets `key`.
    pub(crate) fn is_of_aws(&self, key: &str) -> bool {
        matches!(self.source(key), Source::Aws(_))
    }

    /// Whether a source could not be read.
    pub(crate) fn are_incomplete(&self) -> bool {
        self.incomplete
    }

    /// Whether `key` is known to be set nowhere.
    pub(crate) fn lack(&self, key: &str) -> bool {
        !self.incomplete && self.source(key) == Source::Default
    }

    /// The strongest source that sets `key` (dotted).
    pub(crate) fn source(&self, key: &str) -> Source {
        // A list comes from one source as a whole.
        let key = key.split('[').next().unwrap_or(key);
        self.layers
            .iter()
            .find(|layer| Value::from(layer.values.clone()).find(key).is_some())
            .map_or(Source::Default, |layer| layer.source.clone())
    }

    /// The settings in force; values that do not fit are added to `mistakes`.
    pub(crate) fn settings(mut self, mistakes: &mut Vec<Mistake>) -> (Settings, Self) {
        let whole = Self {
            layers: self.layers.clone(),
            incomplete: self.incomplete,
        };
        loop {
            let error = match self.figment().extract_lossy::<Settings>() {
                Ok(settings) => return (settings, whole),
                Err(error) => error,
            };
            let Some(source) = self.remove(&error.path) else {
                mistakes.push(Mistake {
                    place: "configuration".to_owned(),
                    problem: error.to_string(),
                });
                return (Settings::default(), whole);
            };
            mistakes.push(Mistake {
                place: source.place(&dotted(&error.path)),
                problem: problem(&error.kind),
            });
        }
    }

    fn figment(&self) -> Figment {
        let defaults = Figment::from(Serialized::defaults(Settings::default()));
        self.layers
            .iter()
            .rev()
            .fold(defaults, |below, layer| below.merge(layer))
    }

    /// Removes the value at `path` from the strongest layer that has it.
    fn remove(&mut self, path: &[String]) -> Option<Source> {
        self.layers
            .iter_mut()
            .find_map(|layer| remove(&mut layer.values, path).then(|| layer.source.clone()))
    }
}

/// `regions.1.name` is written `regions[1].name`.
fn dotted(path: &[String]) -> String {
    let mut key = String::new();
    for part in path {
        if part.parse::<usize>().is_ok() {
            key.push_str(&format!("[{part}]"));
        } else {
            if !key.is_empty() {
                key.push('.');
            }
            key.push_str(part);
        }
    }
    key
}

/// What is wrong, in the user's words; the place is told apart from it.
fn problem(kind: &figment::error::Kind) -> String {
    match kind {
        figment::error::Kind::UnknownField(_, known) => {
            format!("unknown key; the keys here are {}", known.join(", "))
        }
        kind => with_example(kind.to_string()),
    }
}

/// The library that reads durations does not say how they are written.
fn with_example(problem: String) -> String {
    match problem.strip_suffix("a duration") {
        Some(found) => format!("{found}a duration with its unit, such as \"500ms\" or \"5s\""),
        None => problem,
    }
}

fn remove(values: &mut Dict, path: &[String]) -> bool {
    match path {
        [] => false,
        [key] => values.remove(key).is_some(),
        [key, rest @ ..] => values
            .get_mut(key)
            .is_some_and(|value| remove_below(value, rest)),
    }
}

fn remove_below(value: &mut Value, path: &[String]) -> bool {
    match value {
        Value::Dict(_, values) => remove(values, path),
        Value::Array(_, items) => {
            let item = path
                .first()
                .and_then(|index| items.get_mut(index.parse::<usize>().ok()?));
            match (item, path) {
                // The places of the others must stay as they are.
                (Some(item), [_]) => {
                    *item = Value::from(Dict::new());
                    true
                }
                (Some(item), [_, rest @ ..]) => remove_below(item, rest),
                _ => false,
            }
        }
        _ => false,
    }
}

/// The settings that AWS's own variables stand for, the weakest of all. Platforms
/// set `AWS_REGION` unasked, so it does not compete with a list of regions.
fn of_aws(variables: &Variables, names_regions: bool) -> Vec<Layer> {
    const VARIABLES: [(&str, &str); 4] = [
        ("AWS_ENDPOINT_URL_REKOGNITION", "endpoint_url"),
        ("AWS_ENDPOINT_URL", "endpoint_url"),
        ("AWS_REGION", "region"),
        ("AWS_DEFAULT_REGION", "region"),
    ];
    let set = |name: &str| variables.get(name).filter(|value| !value.trim().is_empty());
    VARIABLES
        .iter()
        .filter(|(_, key)| !(names_regions && *key == "region"))
        .filter_map(|(name, key)| Some((name, key, set(name)?)))
        .map(|(name, key, value)| Layer {
            source: Source::Aws(name),
            values: Dict::from([((*key).to_owned(), Value::from(value.as_str()))]),
        })
        .collect()
}

fn as_dict(flags: &Flags) -> Dict {
    match Value::serialize(flags) {
        Ok(Value::Dict(_, values)) => values,
        _ => Dict::new(),
    }
}

fn from_variables(variables: &Variables, mistakes: &mut Vec<Mistake>) -> Dict {
    let keys = settable_keys();
    let mut values = Dict::new();
    for (name, text) in variables {
        let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) else {
            continue;
        };
        if name == &variable("config") || is_service_link(rest, text) {
            continue;
        }
        match keys.iter().find(|key| &variable(key) == name) {
            Some(key) => insert(&mut values, key, text),
            None => mistakes.push(Mistake {
                place: name.clone(),
                problem: "unknown variable; `check-config` lists what can be set".to_owned(),
            }),
        }
    }
    values
}

/// Kubernetes sets such variables in every pod for a service that is called
/// `face-liveness` or `face-liveness-…`; they are nobody's configuration. What
/// else ends in `_PORT` is somebody's mistake.
fn is_service_link(rest: &str, value: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let link = format!("_{rest}");
    link.ends_with("_SERVICE_HOST")
        || link.contains("_SERVICE_PORT")
        || link.ends_with("_PORT") && value.contains("://")
        || link
            .rsplit_once("_PORT_")
            .is_some_and(|(_, port)| port.split('_').next().is_some_and(is_number))
}

fn insert(values: &mut Dict, key: &str, text: &str) {
    match key.split_once('.') {
        None => {
            values.insert(key.to_owned(), Value::from(text));
        }
        Some((table, key)) => {
            let below = values
                .entry(table.to_owned())
                .or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, below) = below {
                insert(below, key, text);
            }
        }
    }
}

/// Every key that a variable can set: all but those in lists.
pub(crate) fn settable_keys() -> Vec<String> {
    let mut keys = Vec::new();
    if let Ok(Value::Dict(_, values)) = Value::serialize(Settings::default()) {
        collect_keys("", &values, &mut keys);
    }
    keys
}

fn collect_keys(above: &str, values: &Dict, keys: &mut Vec<String>) {
    for (key, value) in values {
        match value {
            Value::Dict(_, below) => collect_keys(&format!("{above}{key}."), below, keys),
            Value::Array(..) => {}
            _ => keys.push(format!("{above}{key}")),
        }
    }
}
