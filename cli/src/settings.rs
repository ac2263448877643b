//! What applies of options, variables and the profile: options win over this
//! tool's variables, those over AWS's, those over the profile.

use std::path::PathBuf;
use std::time::Duration;

use crate::args::Globals;
use crate::create::load_file;
use crate::failure::Failure;
use crate::output::{Format, Style};
use crate::profile::{self, Profile};
use crate::query::Query;
use crate::variables::Variables;

/// Where a gateway listens on the same machine, by its own default.
const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:50051";

/// The AWS CLI's own.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Longer than anyone waits, and short enough for gRPC to say: as good as for ever.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Everything that commands need to know besides their own options.
pub(crate) struct Settings {
    /// Whether to log to stderr.
    pub(crate) debug: bool,
    /// The region to ask for.
    pub(crate) region: Option<String>,
    /// How to print.
    pub(crate) style: Style,
    /// How to reach the gateway.
    pub(crate) connection: Connection,
}

/// How to reach the gateway, and as whom.
pub(crate) struct Connection {
    /// The gateway's URL.
    pub(crate) endpoint: String,
    /// Whether to check the gateway's certificate.
    pub(crate) verify: bool,
    /// What to check it against; the system's certificates without.
    pub(crate) ca_bundle: Option<PathBuf>,
    /// The client's certificate and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// The bearer token.
    pub(crate) token: Option<String>,
    /// How long to wait for an answer.
    pub(crate) read_timeout: Option<Duration>,
    /// How long to wait for a connection.
    pub(crate) connect_timeout: Option<Duration>,
}

impl Settings {
    /// Resolves the settings.
    ///
    /// # Errors
    /// Values that mean nothing, in the AWS CLI's words.
    pub(crate) fn resolve(globals: &Globals, variables: &Variables) -> Result<Self, Failure> {
        let query = globals.query.as_deref().map(Query::parse);
        let query = query.transpose().map_err(Failure::exception)?;
        if let Some(url) = &globals.endpoint_url {
            check_endpoint(url)?;
        }
        let timeouts = [
            Timeout::parse("read", globals.cli_read_timeout.as_deref())?,
            Timeout::parse("connect", globals.cli_connect_timeout.as_deref())?,
        ];
        let profile = profile::load(given(&globals.profile), variables)?;
        let sources = Sources { variables, profile };
        Ok(Self {
            debug: globals.debug,
            region: sources.region(globals),
            style: Style {
                format: sources.format(globals)?,
                color: globals.color,
                query,
            },
            connection: sources.connection(globals, timeouts)?,
        })
    }
}

/// Where values come from that no option gives.
struct Sources<'a> {
    variables: &'a Variables,
    profile: Profile,
}

impl Sources<'_> {
    fn region(&self, globals: &Globals) -> Option<String> {
        let variables = [
            "FACE_LIVENESS_CLI_REGION",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
        ];
        self.text(&globals.region, &variables, &self.profile.region)
    }

    fn format(&self, globals: &Globals) -> Result<Format, Failure> {
        let variables = ["FACE_LIVENESS_CLI_OUTPUT", "AWS_DEFAULT_OUTPUT"];
        let name = self.text(&globals.output, &variables, &self.profile.output);
        let name = name.as_deref().unwrap_or("json");
        Format::named(name).ok_or_else(|| {
            let names = Format::NAMES.join(", ");
            Failure::exception(format_args!(
                "Unknown output type: {name}, must be one of: {names}"
            ))
        })
    }

    fn connection(&self, globals: &Globals, timeouts: [Timeout; 2]) -> Result<Connection, Failure> {
        let signs = !globals.no_sign_request;
        let [read_timeout, connect_timeout] = timeouts;
        Ok(Connection {
            endpoint: self.endpoint(globals)?,
            verify: !globals.no_verify_ssl,
            ca_bundle: self.path(
                &globals.ca_bundle,
                &["FACE_LIVENESS_CLI_CA_BUNDLE", "AWS_CA_BUNDLE"],
                &self.profile.ca_bundle,
            ),
            identity: if signs { self.identity(globals)? } else { None },
            token: if signs { self.token(globals)? } else { None },
            read_timeout: read_timeout.above_zero()?,
            connect_timeout: connect_timeout.above_zero()?,
        })
    }

    fn endpoint(&self, globals: &Globals) -> Result<String, Failure> {
        let variables = ["FACE_LIVENESS_ENDPOINT_URL"];
        let endpoint = self.text(
            &globals.endpoint_url,
            &variables,
            &self.profile.endpoint_url,
        );
        let endpoint = endpoint.unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
        check_endpoint(&endpoint)?;
        Ok(endpoint)
    }

    fn identity(&self, globals: &Globals) -> Result<Option<(PathBuf, PathBuf)>, Failure> {
        let certificate = self.path(
            &globals.client_cert,
            &["FACE_LIVENESS_CLI_CLIENT_CERT"],
            &self.profile.client_cert,
        );
        let key = self.path(
            &globals.client_key,
            &["FACE_LIVENESS_CLI_CLIENT_KEY"],
            &self.profile.client_key,
        );
        let (given, missing) = match (certificate, key) {
            (Some(certificate), Some(key)) => return Ok(Some((certificate, key))),
            (None, None) => return Ok(None),
            (Some(_), None) => ("certificate", "--client-key"),
            (None, Some(_)) => ("key", "--client-cert"),
        };
        Err(Failure::exception(format_args!(
            "The client's {given} is given alone; add {missing}, its variable or its line in the profile"
        )))
    }

    /// The token, or the contents of the file that it names without the line's end.
    fn token(&self, globals: &Globals) -> Result<Option<String>, Failure> {
        let variables = ["FACE_LIVENESS_CLI_TOKEN"];
        let Some(token) = self.text(&globals.token, &variables, &self.profile.token) else {
            return Ok(None);
        };
        let contents = load_file(&token).map_err(|error| Failure::parameter("--token", error))?;
        Ok(Some(
            contents.map_or(token, |contents| contents.trim().to_owned()),
        ))
    }

    fn text(
        &self,
        option: &Option<String>,
        variables: &[&str],
        profile: &Option<String>,
    ) -> Option<String> {
        given(option)
            .or_else(|| self.variables.first(variables))
            .or_else(|| profile.clone())
    }

    fn path(
        &self,
        option: &Option<String>,
        variables: &[&str],
        profile: &Option<PathBuf>,
    ) -> Option<PathBuf> {
        self.text(option, variables, &None)
            .map(PathBuf::from)
            .or_else(|| profile.clone())
    }
}

/// An option's value; one that is empty counts as not given, as in the AWS CLI.
fn given(option: &Option<String>) -> Option<String> {
    option.clone().filter(|value| !value.is_empty())
}

fn check_endpoint(url: &str) -> Result<(), Failure> {
    let scheme = url
        .split_once("://")
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    let reason = match scheme.as_deref() {
        Some("http" | "https") => return Ok(()),
        Some("") | None => "scheme is missing.".to_owned(),
        Some(scheme) => format!("scheme {scheme} is not supported."),
    };
    Err(Failure::exception(format_args!(
        "Bad value for --endpoint-url \"{url}\": {reason}  Must be of the form \
         http://<hostname>/ or https://<hostname>/"
    )))
}

/// A timeout as it was given: AWS refuses those below zero only when it connects.
struct Timeout {
    kind: &'static str,
    seconds: Option<i64>,
}

impl Timeout {
    fn parse(kind: &'static str, given: Option<&str>) -> Result<Self, Failure> {
        let seconds = given.map(crate::python::int).transpose();
        let seconds = seconds.map_err(Failure::exception)?;
        Ok(Self { kind, seconds })
    }

    fn above_zero(&self) -> Result<Option<Duration>, Failure> {
        let Some(seconds) = self.seconds else {
            return Ok(Some(DEFAULT_TIMEOUT));
        };
        let kind = self.kind;
        let above = u64::try_from(seconds).map_err(|_| {
            Failure::exception(format_args!(
                "Attempted to set {kind} timeout to {seconds}, but the timeout cannot be set to \
                 a value less than or equal to 0."
            ))
        })?;
        let timeout = Duration::from_secs(above);
        Ok((timeout > Duration::ZERO && timeout <= LONGEST_TIMEOUT).then_some(timeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve<const N: usize>(globals: &Globals, variables: [(&str, &str); N]) -> Settings {
        Settings::resolve(globals, &Variables::of(variables)).unwrap()
    }

    fn refused(globals: &Globals) -> String {
        let refused = Settings::resolve(globals, &Variables::default());
        refused.err().unwrap().to_string()
    }

    #[test]
    fn options_win_over_own_variables_and_those_over_the_aws_clis() {
        let none = Globals::default();
        let aws = ("AWS_DEFAULT_REGION", "aws");
        let own = ("FACE_LIVENESS_CLI_REGION", "own");
        assert_eq!(resolve(&none, []).region, None);
        assert_eq!(resolve(&none, [aws]).region.as_deref(), Some("aws"));
        assert_eq!(resolve(&none, [aws, own]).region.as_deref(), Some("own"));
        let given = Globals {
            region: Some("given".to_owned()),
            ..Globals::default()
        };
        assert_eq!(resolve(&given, [aws, own]).region.as_deref(), Some("given"));
        let empty = Globals {
            region: Some(String::new()),
            ..Globals::default()
        };
        assert_eq!(resolve(&empty, [own]).region.as_deref(), Some("own"));
        let empty = ("FACE_LIVENESS_CLI_REGION", "");
        assert_eq!(resolve(&none, [aws, empty]).region.as_deref(), Some("aws"));
    }

    #[test]
    fn a_timeout_of_zero_or_of_ages_means_none() {
        let timeouts = |given: Option<&str>| {
            let globals = Globals {
                cli_read_timeout: given.map(str::to_owned),
                ..Globals::default()
            };
            resolve(&globals, []).connection.read_timeout
        };
        assert_eq!(timeouts(None), Some(Duration::from_secs(60)));
        assert_eq!(timeouts(Some("5")), Some(Duration::from_secs(5)));
        for forever in ["0", "99999999999", "99999999999999999999"] {
            assert_eq!(timeouts(Some(forever)), None);
        }
    }

    #[test]
    fn no_credentials_are_kept_where_none_shall_be_sent() {
        let globals = Globals {
            token: Some("t".to_owned()),
            client_cert: Some("c".to_owned()),
            client_key: Some("k".to_owned()),
            no_sign_request: true,
            ..Globals::default()
        };
        let connection = resolve(&globals, []).connection;
        assert!(connection.token.is_none() && connection.identity.is_none());
    }

    #[test]
    fn half_an_identity_is_refused() {
        let globals = Globals {
            client_cert: Some("c".to_owned()),
            ..Globals::default()
        };
        assert!(refused(&globals).contains("add --client-key"));
    }

    #[test]
    fn endpoints_of_other_schemes_are_refused() {
        for (url, reason) in [
            ("x:1", "scheme is missing."),
            ("ftp://x", "scheme ftp is not supported."),
        ] {
            let globals = Globals {
                endpoint_url: Some(url.to_owned()),
                ..Globals::default()
            };
            assert!(refused(&globals).contains(reason), "{url}");
        }
    }
}
