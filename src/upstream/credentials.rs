//! Where the gateway's credentials come from: AWS's default chain, or the profile
//! that the configuration names. They are renewed in time.

mod kept;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError, future};
use aws_sdk_rekognition::config::{Region as AwsRegion, SharedHttpClient};

use crate::region::Region;

pub(super) use kept::Kept;

/// Asks a new chain each time: the SDK's own remember for ever what they read
/// of a file, also that it was not there. Calls do not pay for it, because
/// [`Kept`] asks.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    /// The profile that the configuration names. It wins over variables, as in
    /// AWS's other tools, where the SDK's chain would try those first.
    pub(super) profile: Option<String>,
    pub(super) region: Region,
    pub(super) http: SharedHttpClient,
}

impl Chain {
    async fn load(&self) -> Result<Credentials, CredentialsError> {
        let region = AwsRegion::new(self.region.as_str().to_owned());
        let config = ProviderConfig::default()
            .with_region(Some(region.clone()))
            .with_http_client(self.http.clone());
        match &self.profile {
            Some(profile) => {
                let provider = ProfileFileCredentialsProvider::builder()
                    .configure(&config)
                    .profile_name(profile)
                    .build();
                provider.provide_credentials().await
            }
            None => {
                // Else it would look for the region once more, as far as the instance's
                // metadata service.
                let chain = DefaultCredentialsChain::builder().configure(config);
                chain
                    .region(region)
                    .build()
                    .await
                    .provide_credentials()
                    .await
            }
        }
    }
}

impl ProvideCredentials for Chain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}
