//! The command line of `face-liveness-gateway`.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};

use crate::config::{Flags, Mistake};
use crate::{VERSION, dev, healthcheck};

/// A gRPC gateway to Amazon Rekognition's CreateFaceLivenessSession.
#[derive(Debug, Parser)]
#[command(
    name = "face-liveness-gateway",
    version = VERSION,
    max_term_width = 100,
    args_override_self = true
)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve in production: needs AWS credentials and a region with Face Liveness
    ///
    /// Each flag is also a variable (--listen is FACE_LIVENESS_LISTEN) and a key of the
    /// configuration file (listen). Flags win over variables, variables over the file. The
    /// file and the variables can set more; check-config lists all of it.
    Serve(Flags),
    /// Try it out: plaintext on loopback, an embedded emulator instead of AWS
    Dev(dev::Flags),
    /// Print the configuration in force and where each value comes from, or every
    /// mistake in it (exit status 64)
    ///
    /// With --as it prints what that caller may do instead, and why; exit status 1 if the
    /// caller, or its --request, would be refused.
    CheckConfig(CheckFlags),
    /// Ask a gateway whether it serves; for containers
    ///
    /// Exit status: 0 serving, 1 wrong arguments, 2 no connection, 3 the call failed,
    /// 4 not serving.
    Healthcheck(healthcheck::Flags),
}

/// What can be asked of `check-config`.
#[derive(clap::Args, Debug)]
pub struct CheckFlags {
    /// The configuration.
    #[command(flatten)]
    pub config: Flags,

    /// Tell what this caller may do
    #[arg(long = "as", value_name = "CALLER")]
    pub caller: Option<String>,

    /// Tell what would become of this request of the caller's (protobuf's JSON)
    #[arg(long, value_name = "JSON", requires = "caller")]
    pub request: Option<String>,
}

impl Args {
    /// Parses a command line. Unknown flags are mistakes like any other of the
    /// configuration, to be told together with them.
    ///
    /// # Errors
    /// Whatever else is wrong, and requests for help or the version.
    pub fn parse_leniently(
        args: impl IntoIterator<Item = OsString>,
    ) -> Result<(Self, Vec<Mistake>), clap::Error> {
        let mut args: Vec<OsString> = args.into_iter().collect();
        let mut mistakes = Vec::new();
        loop {
            let error = match Self::try_parse_from(&args) {
                Ok(parsed) => return Ok((parsed, mistakes)),
                Err(error) => error,
            };
            let Some(at) = place_of(&error, &args) else {
                return Err(error);
            };
            let place = name(&args[at]).unwrap_or_default().to_owned();
            mistakes.push(Mistake {
                place,
                problem: problem(&error),
            });
            let value = usize::from(args.get(at + 1).is_some_and(|next| !is_flag(next)));
            args.drain(at..=at + value);
        }
    }
}

/// Where the flag stands that the error is about, if it is about one.
fn place_of(error: &clap::Error, args: &[OsString]) -> Option<usize> {
    let Some(ContextValue::String(about)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    // "--region <REGION>" when its value is missing.
    let flag = about
        .split([' ', '='])
        .next()
        .filter(|flag| flag.starts_with('-'))?;
    args.iter().position(|arg| name(arg) == Some(flag))
}

fn problem(error: &clap::Error) -> String {
    match error.kind() {
        ErrorKind::UnknownArgument => hint(error),
        ErrorKind::InvalidValue => "a value is missing".to_owned(),
        kind => kind.to_string(),
    }
}

fn hint(error: &clap::Error) -> String {
    match error.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(similar)) => format!("unknown flag; did you mean {similar}?"),
        _ => "unknown flag; --help lists those that there are".to_owned(),
    }
}

/// The flag that `arg` is, without a value behind `=`.
fn name(arg: &OsStr) -> Option<&str> {
    arg.to_str()?.split('=').next()
}

fn is_flag(arg: &OsStr) -> bool {
    arg.as_encoded_bytes().starts_with(b"-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parse(line: &str) -> (Args, Vec<Mistake>) {
        let words = line.split_whitespace().map(OsString::from);
        Args::parse_leniently(words).unwrap()
    }

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_unknown_flag_is_told_and_the_rest_is_still_read() {
        let (args, mistakes) =
            parse("gateway serve --lisen 1.2.3.4:5 --bogus=x --region eu-west-1 --debug");
        let places: Vec<_> = mistakes
            .iter()
            .map(|mistake| mistake.place.as_str())
            .collect();
        assert_eq!(places, ["--lisen", "--bogus"]);
        assert_eq!(mistakes[0].problem, "unknown flag; did you mean --listen?");
        let Command::Serve(flags) = args.command else {
            panic!("not serve")
        };
        assert_eq!(flags.region.as_deref(), Some("eu-west-1"));
        assert_eq!(flags.debug.as_deref(), Some("true"));
    }
}
