//! The flags that set something. Each is also a variable and a key of the file;
//! values stay text here, so that the flags' mistakes are found together with
//! those of the other sources.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

/// The flags of `serve` and `check-config`. `--listen` is also the variable
/// `FACE_LIVENESS_LISTEN` and the key `listen`, and so on.
#[derive(Args, Clone, Debug, Default, Serialize)]
pub struct Flags {
    /// The configuration file (TOML) [env: FACE_LIVENESS_CONFIG]
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// Address to serve gRPC on [default: 0.0.0.0:50051]
    #[arg(long, value_name = "ADDRESS:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,

    /// Address of the admin port (metrics, readiness, status), or off
    /// [default: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDRESS:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_listen: Option<String>,

    /// Serve the network although nobody is authenticated (dangerous)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure_no_auth: Option<String>,

    /// AWS region to create sessions in; the default one if the file lists several
    /// [default: as AWS's SDKs find it]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,

    /// Accept a region that is not known to have Face Liveness
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_unlisted_region: Option<String>,

    /// Profile of the AWS configuration files to take credentials from
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,

    /// URL of Amazon Rekognition [default: AWS's own for the region]
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,

    /// Send requests to AWS unsigned and load no credentials
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_sign_request: Option<String>,

    /// Do not verify AWS's certificate (dangerous: for tests only)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_verify_ssl: Option<String>,

    /// Certificate authorities to trust instead of the system's (PEM)
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,

    /// How long connecting to AWS may take, such as 500ms [default: 3s 100ms]
    #[arg(long, value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<String>,

    /// How long one attempt may wait for AWS's answer [default: 5s]
    #[arg(long, value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_timeout: Option<String>,

    /// Where the account's quota is kept: memory, or the URL of a Redis or Valkey that
    /// all replicas share (redis://, rediss://, redis-cluster://, rediss-cluster://) [default: memory]
    #[arg(long, value_name = "STORE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_store: Option<String>,

    /// How log lines are written: text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<String>,

    /// Log at level debug
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debug: Option<String>,
}
