//! The configuration file: a section a profile.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::create::os_error;
use crate::failure::Failure;
use crate::variables::Variables;

/// The profile that applies when none is named, if the file has it.
const DEFAULT: &str = "default";

/// The file's variable.
const FILE_VARIABLE: &str = "FACE_LIVENESS_CLI_CONFIG_FILE";

/// The profile's variable.
const PROFILE_VARIABLE: &str = "FACE_LIVENESS_CLI_PROFILE";

/// A section of the file. Everything is optional.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// As `--endpoint-url`.
    pub(crate) endpoint_url: Option<String>,
    /// As `--region`.
    pub(crate) region: Option<String>,
    /// As `--output`.
    pub(crate) output: Option<String>,
    /// As `--token`.
    pub(crate) token: Option<String>,
    /// As `--ca-bundle`, relative to the file.
    pub(crate) ca_bundle: Option<PathBuf>,
    /// As `--client-cert`, relative to the file.
    pub(crate) client_cert: Option<PathBuf>,
    /// As `--client-key`, relative to the file.
    pub(crate) client_key: Option<PathBuf>,
}

/// Loads the profile that is asked for.
///
/// # Errors
/// A profile that is named and does not exist; a file that cannot be read.
pub(crate) fn load(asked: Option<String>, variables: &Variables) -> Result<Profile, Failure> {
    let from_variable = variables.get(PROFILE_VARIABLE);
    let asked = asked.or(from_variable);
    let name = asked.as_deref().unwrap_or(DEFAULT);
    let found = match file(variables) {
        Some(file) => profiles(&file)?.remove(name),
        None => None,
    };
    match (found, asked) {
        (Some(profile), _) => Ok(profile),
        (None, None) => Ok(Profile::default()),
        (None, Some(name)) => Err(Failure::exception(format_args!(
            "The config profile ({name}) could not be found"
        ))),
    }
}

/// Where the file is. One that a variable names must exist.
fn file(variables: &Variables) -> Option<PathBuf> {
    if let Some(path) = variables.get(FILE_VARIABLE) {
        return Some(path.into());
    }
    let folder = match variables.get("XDG_CONFIG_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::home_dir()?.join(".config"),
    };
    let path = folder.join("face-liveness/config.toml");
    path.exists().then_some(path)
}

fn profiles(path: &Path) -> Result<BTreeMap<String, Profile>, Failure> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| {
        let error = os_error(&error, &shown);
        Failure::exception(format_args!(
            "Unable to read the configuration file: {error}"
        ))
    })?;
    let mut profiles: BTreeMap<String, Profile> = toml::from_str(&text).map_err(|error| {
        // The error's own display quotes the line, which may hold a token.
        let line = error.span().map_or(1, |span| line_of(&text, span.start));
        let reason = error.message();
        Failure::exception(format_args!(
            "Unable to parse the configuration file {shown}, line {line}: {reason}"
        ))
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    for profile in profiles.values_mut() {
        let paths = [
            &mut profile.ca_bundle,
            &mut profile.client_cert,
            &mut profile.client_key,
        ];
        for path in paths.into_iter().flatten() {
            *path = folder.join(&*path);
        }
    }
    Ok(profiles)
}

fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[default]\nregion = \"eu-west-1\"\n\n[staging]\nendpoint_url = \"https://g\"\nca_bundle = \"ca.pem\"\n";

    fn load_from(contents: &str, asked: Option<&str>) -> Result<Profile, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, contents).unwrap();
        let variables = Variables::of([(FILE_VARIABLE, path.to_str().unwrap())]);
        load(asked.map(str::to_owned), &variables)
    }

    #[test]
    fn a_profile_is_a_section_of_the_file() {
        let default = load_from(FILE, None).unwrap();
        assert_eq!(default.region.as_deref(), Some("eu-west-1"));
        let staging = load_from(FILE, Some("staging")).unwrap();
        assert_eq!(staging.endpoint_url.as_deref(), Some("https://g"));
        assert_eq!(staging.region, None);
        let ca = staging.ca_bundle.unwrap();
        assert!(ca.is_absolute() && ca.ends_with("ca.pem"), "{ca:?}");
    }

    #[test]
    fn a_profile_that_does_not_exist_is_told_as_by_aws() {
        let told = load_from(FILE, Some("nope")).err().unwrap().to_string();
        assert_eq!(told, "\nThe config profile (nope) could not be found\n");
        assert!(load_from("", None).is_ok());
    }

    #[test]
    fn a_mistake_in_the_file_is_told_with_its_line_and_without_secrets() {
        for contents in [
            "[a]\ntokn = \"secret\"",
            "[a]\ntoken = secret",
            "[a]\ntoken = 5",
        ] {
            let told = load_from(contents, None).err().unwrap().to_string();
            assert!(told.contains("config.toml, line 2: "), "{told}");
            assert!(!told.contains("secret"), "{told}");
        }
    }
}
