//! From the configuration to clients of the AWS SDK.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_rekognition::Client;
use aws_sdk_rekognition::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_rekognition::config::retry::RetryConfig;
use aws_sdk_rekognition::config::timeout::TimeoutConfig;
use aws_sdk_rekognition::config::{
    ConfigBag, Intercept, Region as AwsRegion, RuntimeComponents, SharedHttpClient,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;

use super::connector::Connect;
use super::credentials::{Chain, Kept};
use super::error::is_caused_by;
use super::{Cause, Error, Rekognition};
use crate::config::{AwsConfig, AwsIdentity, Config, RegionConfig};
use crate::region::Region;

/// One configuration of the SDK a region, with credentials that all clients
/// made from it share.
#[derive(Clone, Debug)]
pub struct Aws {
    regions: Vec<(Region, SdkConfig)>,
    connect: Connect,
    /// Whether requests go out unsigned.
    anonymous: bool,
    trace_header: bool,
}

impl Aws {
    /// Prepares the SDK. Calls nobody: credentials are loaded when first needed
    /// (see [`load_credentials`](Self::load_credentials)), and renewed on the present
    /// runtime.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub async fn prepare(config: &Config) -> Result<Self, BoxError> {
        let connect = Connect::new(&config.aws.trust)?;
        let mut regions = Vec::new();
        for region in &config.regions {
            let sdk = sdk_config(region, &config.aws, connect.http_client()).await;
            regions.push((region.region.clone(), sdk));
        }
        let anonymous = matches!(config.aws.identity, AwsIdentity::Anonymous);
        Ok(Self {
            regions,
            connect,
            anonymous,
            trace_header: config.telemetry.aws_trace_header,
        })
    }

    /// Clients with HTTP connections of their own, for use in one runtime.
    #[must_use]
    pub fn rekognition(&self) -> Rekognition {
        let http = self.connect.http_client();
        let clients = self
            .regions
            .iter()
            .map(|(region, sdk)| (region.clone(), self.client(sdk, http.clone())));
        Rekognition::new(clients, self.trace_header)
    }

    /// Loads the credentials, so that the first call need not wait for them.
    ///
    /// # Errors
    /// When the credential chain finds none, or they cannot be had now.
    pub async fn load_credentials(&self) -> Result<(), Error> {
        let http = self.connect.http_client();
        for (_, sdk) in &self.regions {
            rehearse(&self.client(sdk, http.clone())).await?;
        }
        Ok(())
    }

    fn client(&self, sdk: &SdkConfig, http: SharedHttpClient) -> Client {
        let config = aws_sdk_rekognition::config::Builder::from(sdk)
            .http_client(http)
            // The stack retries by itself: the SDK knows neither the deadline
            // nor the quota.
            .retry_config(RetryConfig::disabled());
        let config = if self.anonymous {
            config.allow_no_auth()
        } else {
            config
        };
        Client::from_conf(config.build())
    }
}

async fn sdk_config(
    region: &RegionConfig,
    config: &AwsConfig,
    http: SharedHttpClient,
) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(config.connect_timeout)
        .read_timeout(config.read_timeout)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(AwsRegion::new(region.region.as_str().to_owned()))
        .http_client(http.clone())
        .timeout_config(timeouts);
    if let Some(url) = &region.endpoint_url {
        loader = loader.endpoint_url(url.as_str());
    }
    loader = match &config.identity {
        AwsIdentity::DefaultChain { profile } => {
            let chain = Chain {
                profile: profile.clone(),
                region: region.region.clone(),
                http,
            };
            let loader = profile
                .iter()
                .fold(loader, |loader, profile| loader.profile_name(profile));
            loader.credentials_provider(SharedCredentialsProvider::new(Kept::new(chain)))
        }
        AwsIdentity::Static(credentials) => {
            loader.credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
        }
        AwsIdentity::Anonymous => loader.no_credentials(),
    };
    loader.load().await
}

/// Prepares and signs a call and stops before it is sent: what remains of it are
/// the credentials, in the cache that real calls use.
async fn rehearse(client: &Client) -> Result<(), Error> {
    let rehearsal = client
        .create_face_liveness_session()
        .customize()
        .interceptor(StopBeforeTransmit)
        .send();
    match rehearsal.await {
        Err(error) if is_caused_by::<Stopped>(&error) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(Error::new(Cause::Malformed, None)),
    }
}

/// Ends a call when it is signed and about to be sent.
#[derive(Debug)]
struct StopBeforeTransmit;

/// What [`StopBeforeTransmit`] ends a call with.
#[derive(Debug, thiserror::Error)]
#[error("stopped before it was sent")]
struct Stopped;

#[dyn_dispatch_hint]
impl Intercept for StopBeforeTransmit {
    fn name(&self) -> &'static str {
        "StopBeforeTransmit"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        Err(Stopped.into())
    }
}
