//! The HTTP client towards AWS: the SDK's own, or one that believes any
//! certificate, which the SDK's cannot do.

use std::time::Duration;

use aws_sdk_rekognition::config::{RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;

use crate::config::Trust;
use crate::tls::unverified;

/// What is needed to connect: makes any number of HTTP clients, each with a
/// connection pool of its own.
#[derive(Clone, Debug)]
pub(super) enum Connect {
    Verified(Option<TlsContext>),
    Unverified(Box<Unverified>),
}

impl Connect {
    pub(super) fn new(trust: &Trust) -> Result<Self, BoxError> {
        Ok(match trust {
            Trust::System => Self::Verified(None),
            Trust::Bundle(bundle) => {
                let store = TrustStore::empty().with_pem_certificate(bundle.pem());
                Self::Verified(Some(TlsContext::builder().with_trust_store(store).build()?))
            }
            Trust::Anything => Self::Unverified(Box::new(Unverified::new()?)),
        })
    }

    pub(super) fn http_client(&self) -> SharedHttpClient {
        let builder = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        match self {
            Self::Verified(None) => builder.build_https(),
            Self::Verified(Some(context)) => builder.tls_context(context.clone()).build_https(),
            Self::Unverified(unverified) => SharedHttpClient::new(Unverified::clone(unverified)),
        }
    }
}

/// Makes HTTP clients that believe any certificate, for `no_verify_ssl`.
#[derive(Clone, Debug)]
pub(super) struct Unverified(ClientConfig);

impl Unverified {
    fn new() -> Result<Self, rustls::Error> {
        Ok(Self(unverified()?.with_no_client_auth()))
    }
}

impl HttpClient for Unverified {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(settings.connect_timeout());
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(self.0.clone())
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        SharedHttpConnector::new(UnverifiedConnector {
            client: Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .build(https),
            read_timeout: settings.read_timeout(),
        })
    }
}

#[derive(Clone, Debug)]
struct UnverifiedConnector {
    client: Client<HttpsConnector<TcpConnector>, SdkBody>,
    read_timeout: Option<Duration>,
}

impl UnverifiedConnector {
    async fn send(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request
            .try_into_http1x()
            .map_err(|error| ConnectorError::user(error.into()))?;
        let answer = self.client.request(request);
        let response = match self.read_timeout {
            None => answer.await,
            Some(limit) => tokio::time::timeout(limit, answer)
                .await
                .map_err(|elapsed| ConnectorError::timeout(elapsed.into()))?,
        }
        .map_err(|error| ConnectorError::io(error.into()))?;
        HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
            .map_err(|error| ConnectorError::other(error.into(), None))
    }
}

impl HttpConnector for UnverifiedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().send(request))
    }
}
