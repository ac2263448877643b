//! The command line.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command, Parser};
use rekognition_emulator::{
    Builder, Credentials, CredentialsParseError, DEFAULT_JOURNAL_SIZE, DEFAULT_REGION, Emulator,
    Fault, Latency, Quota, REGIONS,
};

/// Emulates Amazon Rekognition Face Liveness for tests.
///
/// Point an SDK or the AWS CLI at it with an endpoint URL. Sessions can be made and read; nobody
/// can stream a face. See /_emulator/journal for what it saw, and change its faults there.
#[derive(Debug, Parser)]
#[command(name = "rekognition-emulator", version)]
pub(crate) struct Cli {
    /// Address to listen on; port 0 takes a free one
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:4580",
        env = "REKOGNITION_EMULATOR_LISTEN"
    )]
    listen: SocketAddr,

    /// Key pair whose signatures are accepted, ACCESS_KEY:SECRET or ACCESS_KEY:SECRET:ACCOUNT
    ///
    /// Repeat it for several (separate them with commas in the variable).
    #[arg(
        long,
        value_name = "KEY:SECRET",
        default_value = "test:test",
        value_delimiter = ',',
        value_parser = CredentialsParser,
        hide_env_values = true,
        env = "REKOGNITION_EMULATOR_CREDENTIALS"
    )]
    credentials: Vec<Credentials>,

    /// Answer requests whatever their signature, and unsigned ones too
    #[arg(long, env = "REKOGNITION_EMULATOR_NO_VERIFY_SIGNATURES")]
    no_verify_signatures: bool,

    /// Region of requests without a signature
    #[arg(
        long,
        value_name = "REGION",
        default_value = DEFAULT_REGION,
        env = "REKOGNITION_EMULATOR_DEFAULT_REGION"
    )]
    default_region: String,

    /// Region that has Face Liveness, in place of AWS's eight; repeat it for several
    ///
    /// Other regions answer AccessDeniedException, as AWS's do.
    #[arg(
        long = "region",
        value_name = "REGION",
        default_values = REGIONS,
        value_delimiter = ',',
        hide_default_value = true,
        env = "REKOGNITION_EMULATOR_REGION"
    )]
    regions: Vec<String>,

    /// Calls per second, of creates and of gets each; 0 or off for no limit
    ///
    /// Without it AWS's default of each region applies: 25 in us-east-1 and us-west-2, else 5.
    #[arg(long, value_name = "N", env = "REKOGNITION_EMULATOR_TPS")]
    tps: Option<Limit>,

    /// Concurrent sessions; 0 or off for no limit
    ///
    /// Without it AWS's default of each region applies: 75 in us-east-1 and us-west-2, else 15.
    #[arg(
        long,
        value_name = "N",
        env = "REKOGNITION_EMULATOR_CONCURRENT_SESSIONS"
    )]
    concurrent_sessions: Option<Limit>,

    /// How long a session counts as concurrent, in seconds
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 10.0,
        value_parser = seconds,
        env = "REKOGNITION_EMULATOR_SESSION_SECONDS"
    )]
    session_seconds: f64,

    /// Hold every answer back: 20ms, 10ms..50ms, normal(20ms,5ms) or exponential(20ms)
    #[arg(long, value_name = "LATENCY", env = "REKOGNITION_EMULATOR_LATENCY")]
    latency: Option<Latency>,

    /// Something that goes wrong: NAME[:VALUE][=PROBABILITY][@CALL[..CALL]][#TIMES]
    ///
    /// For example throttling=0.1, throttling:500ms@1..2, reset-after-create@3. It concerns
    /// CreateFaceLivenessSession unless get/ or any/ stands in front. Repeat it for several
    /// (separate them with semicolons in the variable); the first that hits a call counts.
    ///
    /// Names: latency:LATENCY, throttling[:RETRY-AFTER], internal-server-error, access-denied,
    /// expired-token, invalid-parameter, provisioned-throughput-exceeded, unrecognized-client,
    /// service-unavailable, reset, hang, reset-after-create, cut-short, not-json, no-session-id,
    /// malformed-session-id[:ID].
    #[arg(
        long = "fault",
        value_name = "FAULT",
        value_delimiter = ';',
        env = "REKOGNITION_EMULATOR_FAULT"
    )]
    faults: Vec<Fault>,

    /// Seed of what is random about faults; without it a random one
    #[arg(long, value_name = "N", env = "REKOGNITION_EMULATOR_SEED")]
    seed: Option<u64>,

    /// Requests that the journal remembers
    #[arg(
        long,
        value_name = "N",
        default_value_t = DEFAULT_JOURNAL_SIZE,
        env = "REKOGNITION_EMULATOR_JOURNAL_SIZE"
    )]
    journal_size: usize,
}

/// Reads a key pair; unlike clap's own parsers it does not repeat what it cannot
/// read, which may hold a secret.
#[derive(Clone, Debug)]
struct CredentialsParser;

impl TypedValueParser for CredentialsParser {
    type Value = Credentials;

    fn parse_ref(
        &self,
        command: &Command,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Credentials, clap::Error> {
        let parsed = value.to_str().unwrap_or_default().parse();
        parsed.map_err(|error: CredentialsParseError| {
            let problem = format!("--credentials: {error}\n");
            clap::Error::raw(ErrorKind::ValueValidation, problem).with_cmd(command)
        })
    }
}

impl Cli {
    /// The emulator that the flags describe.
    pub(crate) fn builder(&self) -> Builder {
        let mut builder = Emulator::builder()
            .listen(self.listen)
            .credentials(self.credentials.clone())
            .verify_signatures(!self.no_verify_signatures)
            .default_region(&self.default_region)
            .regions(&self.regions)
            .session_length(Duration::from_secs_f64(self.session_seconds))
            .faults(self.faults())
            .journal_size(self.journal_size);
        for (region, quota) in self.quotas() {
            builder = builder.region_quota(region, quota);
        }
        match self.seed {
            Some(seed) => builder.seed(seed),
            None => builder,
        }
    }

    /// The faults of `--fault`, and `--latency` after them: a fault's own latency goes first.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let everywhere = |latency| Fault::latency(latency).on_any_operation();
        let mut faults = self.faults.clone();
        faults.extend(self.latency.map(everywhere));
        faults
    }

    /// Every served region's quota.
    pub(crate) fn quotas(&self) -> Vec<(String, Quota)> {
        let quota_of = |region: &String| (region.clone(), self.quota(region));
        self.regions.iter().map(quota_of).collect()
    }

    fn quota(&self, region: &str) -> Quota {
        let mut quota = Quota::of_region(region);
        if let Some(Limit(calls)) = self.tps {
            quota.creates_per_second = calls;
            quota.gets_per_second = calls;
        }
        if let Some(Limit(sessions)) = self.concurrent_sessions {
            quota.concurrent_sessions = sessions;
        }
        quota
    }

    pub(crate) fn describe_signatures(&self) -> String {
        if self.no_verify_signatures {
            return "not verified".into();
        }
        let keys: Vec<&str> = self
            .credentials
            .iter()
            .map(Credentials::access_key)
            .collect();
        format!("verified for {}", keys.join(", "))
    }
}

/// A quota in words.
pub(crate) fn describe_quota(quota: &Quota) -> String {
    let limit = |limit: Option<u32>| limit.map_or("unlimited".into(), |n| n.to_string());
    format!(
        "{} creates/s, {} gets/s, {} concurrent sessions",
        limit(quota.creates_per_second),
        limit(quota.gets_per_second),
        limit(quota.concurrent_sessions)
    )
}

/// A limit that can be off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit(Option<u32>);

impl FromStr for Limit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "0" | "off" => Ok(Self(None)),
            _ => text
                .parse()
                .map(|n| Self(Some(n)))
                .map_err(|_| "a whole number, or 0 or off for no limit"),
        }
    }
}

fn seconds(text: &str) -> Result<f64, &'static str> {
    let number = text.parse().ok();
    number
        .filter(|seconds| (0.0..=86_400.0).contains(seconds))
        .ok_or("a number of seconds from 0 to 86400, as in 10 or 0.5")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn limits_override_the_table_one_by_one() {
        let cli = Cli::parse_from(["x", "--tps", "7"]);
        assert_eq!(cli.quota("us-east-1").creates_per_second, Some(7));
        assert_eq!(cli.quota("us-east-1").concurrent_sessions, Some(75));
        let cli = Cli::parse_from(["x", "--concurrent-sessions", "off", "--tps", "0"]);
        assert_eq!(cli.quota("eu-west-1"), Quota::UNLIMITED);
    }

    #[test]
    fn mistakes_say_what_is_allowed() {
        for (flag, value, said) in [
            ("--fault", "throtling", "reset-after-create"),
            ("--latency", "soon", "10ms..50ms"),
            ("--tps", "many", "0 or off"),
            ("--credentials", "hunter2", "ACCESS_KEY:SECRET"),
            ("--session-seconds", "-1", "from 0"),
        ] {
            let arguments = ["x".to_owned(), format!("{flag}={value}")];
            let error = Cli::try_parse_from(arguments).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(flag), "{error}");
        }
    }
}
