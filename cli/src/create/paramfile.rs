//! `file://PATH` as an option's value: the file's contents stand for it.

use std::env;
use std::fs;
use std::io;

use crate::python;

/// Prefixes of values that name a file. The service takes no binary values, so
/// `fileb://` means the same as `file://` here.
const PREFIXES: [&str; 2] = ["file://", "fileb://"];

/// What the value names: the file's contents, with line ends as `\n`, or nothing
/// if it names no file. `~` and variables in the path are expanded.
///
/// # Errors
/// The AWS CLI's message if the file cannot be read.
pub(crate) fn load(value: &str) -> Result<Option<String>, String> {
    let Some(path) = PREFIXES
        .iter()
        .find_map(|prefix| value.strip_prefix(prefix))
    else {
        return Ok(None);
    };
    let path = expand_variables(&expand_home(path));
    let bytes = fs::read(&path).map_err(|error| {
        format!(
            "Unable to load paramfile {value}: {}",
            os_error(&error, &path)
        )
    })?;
    let text = String::from_utf8(bytes).map_err(|_| {
        format!("Unable to load paramfile ({path}), text contents could not be decoded as UTF-8")
    })?;
    Ok(Some(text.replace("\r\n", "\n").replace('\r', "\n")))
}

/// An error of the operating system as Python words it.
pub(crate) fn os_error(error: &io::Error, path: &str) -> String {
    let Some(number) = error.raw_os_error() else {
        return error.to_string();
    };
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    format!("[Errno {number}] {text}: {}", python::quoted(path))
}

fn expand_home(path: &str) -> String {
    match (path.strip_prefix('~'), env::home_dir()) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            format!("{}{rest}", home.display())
        }
        _ => path.to_owned(),
    }
}

/// `$NAME` and `${NAME}`; those that are not set stay as they are.
fn expand_variables(path: &str) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let (reference, after) = split_reference(from);
        let name = reference.trim_matches(['$', '{', '}']);
        match env::var(name) {
            Ok(value) if !name.is_empty() => out.push_str(&value),
            _ => out.push_str(reference),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Splits what begins with `$` behind the reference to a variable.
fn split_reference(text: &str) -> (&str, &str) {
    let end = match text.strip_prefix("${").map(|name| name.find('}')) {
        Some(Some(length)) => length + 3,
        Some(None) => 2,
        None => {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let length = text[1..].find(|c| !is_name(c));
            length.map_or(text.len(), |length| length + 1)
        }
    };
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_with_a_prefix_name_a_file() {
        for value in ["", "a", "http://x", "https://x/y", "File://x"] {
            assert_eq!(load(value), Ok(None));
        }
    }

    #[test]
    fn a_missing_file_is_told_as_by_aws() {
        let message =
            "Unable to load paramfile file://nope: [Errno 2] No such file or directory: 'nope'";
        assert_eq!(load("file://nope"), Err(message.to_owned()));
    }

    #[test]
    fn lines_end_alike_on_every_system() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value");
        fs::write(&path, "a\r\nb\rc\n").unwrap();
        let value = format!("file://{}", path.display());
        assert_eq!(load(&value), Ok(Some("a\nb\nc\n".to_owned())));
    }

    #[test]
    fn variables_in_a_path_are_expanded_and_unknown_ones_stay() {
        let path = env::var("PATH").unwrap();
        assert_eq!(expand_variables("a$PATH/b"), format!("a{path}/b"));
        assert_eq!(expand_variables("a${PATH}b"), format!("a{path}b"));
        for unchanged in [
            "$",
            "a$/b",
            "${",
            "$NOT_SET_ANYWHERE/x",
            "${NOT_SET_ANYWHERE}",
            "é$é",
        ] {
            assert_eq!(expand_variables(unchanged), unchanged);
        }
    }
}
