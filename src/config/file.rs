//! The configuration file: who names it, and what is in it.

use std::io;
use std::path::{Path, PathBuf};

use figment::value::Dict;

use super::Variables;
use super::flags::Flags;
use super::layers::variable;
use crate::files;

/// The largest file that is read, in bytes: some ten thousand callers.
const MAX_FILE: u64 = 8 * 1024 * 1024;

/// The file, and who named it.
pub(super) fn named(flags: &Flags, variables: &Variables) -> Option<(PathBuf, String)> {
    let name = variable("config");
    let by_flag = flags
        .config
        .clone()
        .map(|path| (path, "--config".to_owned()));
    by_flag.or_else(|| variables.get(&name).map(|path| (PathBuf::from(path), name)))
}

/// The values in the file, or what is wrong with it.
pub(super) fn read(path: &Path) -> Result<Dict, String> {
    let text = files::read(path, MAX_FILE)
        .and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other))
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    parse(&text).map_err(|problem| format!("{} {problem}", path.display()))
}

/// The values in the text of a file, or what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Dict, String> {
    let mut values: Dict = toml::from_str(text).map_err(|error| format!("is not TOML: {error}"))?;
    // The table of one caller may be called so.
    if let Some(callers) = values.remove("caller")
        && values.insert("callers".to_owned(), callers).is_some()
    {
        return Err(
            "has [[caller]] and [[callers]], which are one list: use one of the names".to_owned(),
        );
    }
    Ok(values)
}
