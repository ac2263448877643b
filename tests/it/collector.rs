//! A collector that keeps what it is sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use face_liveness_gateway::config::Variables;
use face_liveness_gateway::telemetry::otlp::Settings;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

/// A collector on a port of its own.
#[derive(Clone, Default)]
pub(crate) struct Collector {
    url: String,
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    logs: Arc<Mutex<Vec<ExportLogsServiceRequest>>>,
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
    /// Nobody is answered before so many are there.
    together: Option<Arc<Barrier>>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        Self::default().serve(None).await
    }

    /// One that answers no signal before all three are there.
    pub(crate) async fn answering_all_at_once() -> Self {
        let together = Some(Arc::new(Barrier::new(3)));
        let collector = Self {
            together,
            ..Self::default()
        };
        collector.serve(None).await
    }

    /// One for `localhost` that speaks TLS.
    pub(crate) async fn encrypted(tls: ServerTlsConfig) -> Self {
        Self::default().serve(Some(tls)).await
    }

    async fn serve(self, tls: Option<ServerTlsConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (url, builder) = match tls {
            None => (format!("http://{address}"), Server::builder()),
            Some(tls) => (
                format!("https://localhost:{}", address.port()),
                Server::builder().tls_config(tls).unwrap(),
            ),
        };
        let collector = Self { url, ..self };
        let mut builder = builder;
        let server = builder
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(LogsServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()))
            .serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(server);
        collector
    }

    async fn wait_for_the_others(&self) {
        if let Some(together) = &self.together {
            together.wait().await;
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Settings that send traces here, with further variables.
    pub(crate) fn settings(&self, further: &[(&str, &str)]) -> Settings {
        settings_for(&self.url, further)
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let requests = self.traces.lock().unwrap();
        let resources = requests.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// The attributes of the resource that the first spans are about.
    pub(crate) fn resource(&self) -> HashMap<String, String> {
        let requests = self.traces.lock().unwrap();
        let resource = requests[0].resource_spans[0].resource.as_ref().unwrap();
        attributes(&resource.attributes)
    }

    pub(crate) fn log_records(&self) -> Vec<LogRecord> {
        let requests = self.logs.lock().unwrap();
        let resources = requests.iter().flat_map(|request| &request.resource_logs);
        let scopes = resources.flat_map(|resource| &resource.scope_logs);
        scopes.flat_map(|scope| scope.log_records.clone()).collect()
    }

    /// The metrics as they were sent last.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let requests = self.metrics.lock().unwrap();
        let resources = requests.last().unwrap().resource_metrics.iter();
        let scopes = resources.flat_map(|resource| &resource.scope_metrics);
        scopes.flat_map(|scope| scope.metrics.clone()).collect()
    }

    /// Everything that was sent here, as it was sent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let traces = self.traces.lock().unwrap();
        let logs = self.logs.lock().unwrap();
        let traces = traces.iter().flat_map(|request| request.encode_to_vec());
        let metrics = self.metrics.lock().unwrap();
        traces
            .chain(logs.iter().flat_map(|request| request.encode_to_vec()))
            .chain(metrics.iter().flat_map(|request| request.encode_to_vec()))
            .collect()
    }

    /// Asserts that none of these was sent here.
    pub(crate) fn assert_lacks(&self, secrets: &[&str]) {
        let bytes = self.bytes();
        assert!(!bytes.is_empty());
        for secret in secrets {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} was exported");
        }
    }
}

/// Settings that send traces to `url`, with further variables.
pub(crate) fn settings_for(url: &str, further: &[(&str, &str)]) -> Settings {
    let endpoint = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url)];
    let pairs = endpoint.iter().chain(further);
    let variables: Variables = pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut mistakes = Vec::new();
    let settings = Settings::read(&variables, &mut mistakes);
    assert!(mistakes.is_empty(), "{mistakes:?}");
    settings
}

/// Attributes as text.
pub(crate) fn attributes(attributes: &[KeyValue]) -> HashMap<String, String> {
    let attributes = attributes.iter().map(|attribute| {
        let value = attribute
            .value
            .as_ref()
            .and_then(|value| value.value.as_ref());
        let text = match value.unwrap() {
            Value::StringValue(text) => text.clone(),
            Value::BoolValue(value) => value.to_string(),
            Value::IntValue(value) => value.to_string(),
            Value::DoubleValue(value) => value.to_string(),
            other => panic!("{other:?}"),
        };
        (attribute.key.clone(), text)
    });
    attributes.collect()
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.traces.lock().unwrap().push(request.into_inner());
        self.wait_for_the_others().await;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.logs.lock().unwrap().push(request.into_inner());
        self.wait_for_the_others().await;
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.metrics.lock().unwrap().push(request.into_inner());
        self.wait_for_the_others().await;
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}
