//! The command line: what there is, and how the words are read.

mod argparse;
mod read;

use std::time::Duration;

use clap::{Command, CommandFactory as _, Parser, Subcommand};

use crate::output::Color;

pub(crate) use read::{Read, read};

/// Create Amazon Rekognition Face Liveness sessions through the face liveness gateway.
///
/// `create-face-liveness-session` takes what `aws rekognition
/// create-face-liveness-session` takes, prints what it prints and exits as it does; no AWS
/// credentials are needed.
#[derive(Debug, Parser)]
#[command(
    name = "face-liveness",
    version,
    disable_help_subcommand = true,
    max_term_width = 100,
    args_override_self = true,
    after_help = "Settings also come from the variables FACE_LIVENESS_ENDPOINT_URL and\n\
        FACE_LIVENESS_CLI_PROFILE, _REGION, _OUTPUT, _CA_BUNDLE, _TOKEN, _CLIENT_CERT, _CLIENT_KEY\n\
        and _CONFIG_FILE, and from a profile in ~/.config/face-liveness/config.toml.\n\n\
        Exit status: 0 success, 2 a command line that cannot be read, 255 anything else.\n\n\
        Examples:\n  \
        face-liveness create-face-liveness-session\n  \
        face-liveness health --endpoint-url https://gateway:50051 --ca-bundle ca.pem\n  \
        face-liveness --profile staging create --query SessionId --output text"
)]
pub(crate) struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub(crate) globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Task,
}

/// Options of every command, before or after its name.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// Log the request, the answer and how long they took to stderr, without secrets
    #[arg(long, global = true)]
    pub(crate) debug: bool,

    /// The gateway [default: http://127.0.0.1:50051]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) endpoint_url: Option<String>,

    /// Take any certificate: encrypted, but nobody knows with whom
    #[arg(long, global = true)]
    pub(crate) no_verify_ssl: bool,

    /// Accepted for scripts; nothing here has pages
    #[arg(long, global = true)]
    pub(crate) no_paginate: bool,

    /// How to print the answer [default: json]
    #[arg(long, global = true, value_name = "FORMAT", value_parser = crate::output::Format::NAMES)]
    pub(crate) output: Option<String>,

    /// What to print of the answer, as a JMESPath expression
    #[arg(long, global = true, value_name = "EXPRESSION")]
    pub(crate) query: Option<String>,

    /// The section of the configuration file to take settings from [default: default]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// The AWS region of the session [default: the gateway's first]
    #[arg(long, global = true)]
    pub(crate) region: Option<String>,

    /// Whether tables are in colour
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        hide_possible_values = true,
        value_name = "on|off|auto"
    )]
    pub(crate) color: Color,

    /// Send no credentials: neither the token nor the client's certificate
    #[arg(long, global = true)]
    pub(crate) no_sign_request: bool,

    /// Trust the certificates in this PEM file instead of the system's
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca_bundle: Option<String>,

    /// Wait this long for an answer, all retries included; 0 for ever [default: 60]
    #[arg(long, global = true, value_name = "SECONDS")]
    pub(crate) cli_read_timeout: Option<String>,

    /// Wait this long for a connection; 0 for ever [default: 60]
    #[arg(long, global = true, value_name = "SECONDS")]
    pub(crate) cli_connect_timeout: Option<String>,

    /// The bearer token that says who calls, or file://PATH of a file with it
    #[arg(long, global = true)]
    pub(crate) token: Option<String>,

    /// The client's certificate, a PEM file; needs --client-key
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) client_cert: Option<String>,

    /// The key of the client's certificate, a PEM file; needs --client-cert
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) client_key: Option<String>,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Create a session, as aws rekognition create-face-liveness-session does
    #[command(visible_alias = "create")]
    CreateFaceLivenessSession(Create),
    /// Ask the gateway whether it serves
    Health(Health),
    /// Show the services, methods and messages that the gateway offers
    Describe(Describe),
    /// Create sessions at a steady rate and report latencies and refusals
    Bench(Bench),
    /// Print a completion script for a shell
    Completions(Completions),
}

/// Options of `create-face-liveness-session`.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(after_help = "Examples:\n  \
    face-liveness create-face-liveness-session --query SessionId --output text\n  \
    face-liveness create --settings 'OutputConfig={S3Bucket=my-bucket,S3KeyPrefix=p/},AuditImagesLimit=2'\n  \
    face-liveness create --settings 'ChallengePreferences=[{Type=FaceMovementChallenge}]'\n  \
    face-liveness create --generate-cli-skeleton > input.json\n  \
    face-liveness create --cli-input-json file://input.json --region eu-west-1")]
pub(crate) struct Create {
    /// The KMS key that encrypts the images in the bucket
    #[arg(long, value_name = "ID")]
    pub(crate) kms_key_id: Option<String>,

    /// Output, audit images and challenges, in shorthand or JSON, or file://PATH
    #[arg(long)]
    pub(crate) settings: Option<String>,

    /// Calls with the same token get the same session [default: random]
    #[arg(long, value_name = "TOKEN")]
    pub(crate) client_request_token: Option<String>,

    /// All parameters as JSON, or file://PATH; other options win over it
    #[arg(long, value_name = "JSON")]
    pub(crate) cli_input_json: Option<String>,

    /// Send nothing: print the input to fill in, or check the input and print a sample answer
    #[arg(long, value_name = "input|output", num_args = 0..=1, default_missing_value = "input",
          value_parser = ["input", "output"], hide_possible_values = true)]
    pub(crate) generate_cli_skeleton: Option<String>,

    /// Print the region, the times and whether it is an earlier session, too
    #[arg(long)]
    pub(crate) verbose_output: bool,
}

/// Options of `health`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 serving, 1 not serving, 255 no answer.\n\nExamples:\n  \
    face-liveness health\n  \
    face-liveness health --service faceliveness.v1.FaceLivenessService --output text"
)]
pub(crate) struct Health {
    /// The service to ask for; the gateway as a whole without
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) service: String,
}

/// Options of `describe`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    face-liveness describe\n  \
    face-liveness describe --symbol faceliveness.v1.CreateSessionRequest")]
pub(crate) struct Describe {
    /// Only this service, method, message or enumeration, by its full name
    #[arg(long, value_name = "NAME")]
    pub(crate) symbol: Option<String>,
}

/// Options of `bench`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Every call makes a session: against AWS it spends quota and may cost money.\n\
    Calls wait as the gateway asks them to, and stop at the first refusal that no retry helps.\n\n\
    Examples:\n  \
    face-liveness bench --rate 5 --duration 30s\n  \
    face-liveness bench --rate 100 --concurrency 20 --duration 1m --output json"
)]
pub(crate) struct Bench {
    /// Sessions to begin each second
    #[arg(long, default_value_t = 1.0, value_parser = rate)]
    pub(crate) rate: f64,

    /// The most calls at a time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) concurrency: u16,

    /// How long to begin new sessions, such as 10s or 1m
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub(crate) duration: Duration,
}

/// Options of `completions`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    face-liveness completions bash > ~/.local/share/bash-completion/completions/face-liveness\n  \
    face-liveness completions fish > ~/.config/fish/completions/face-liveness.fish\n  \
    face-liveness completions zsh > ~/.zfunc/_face-liveness")]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// The definition of the command line.
pub(crate) fn definition() -> Command {
    Cli::command()
}

/// Timers count in milliseconds, which bounds the rate; nobody waits for a first
/// call for longer than minutes.
fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.001..=1000.0).contains(&rate) => Ok(rate),
        _ => Err("must be a number from 0.001 to 1000".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= DAY => Ok(duration),
        Ok(_) => Err("must be at most one day".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_definition_is_consistent() {
        super::definition().debug_assert();
    }
}
