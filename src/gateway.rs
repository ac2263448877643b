//! Assembly: a [`Config`] becomes a [`Gateway`] that is bound to its port, which
//! runs until it is told to shut down.

mod budget;
mod operations;
mod quotas;

use std::any::Any;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use face_liveness_client::v1::FILE_DESCRIPTOR_SET;
use http::Response;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::service::{LayerExt as _, Routes};
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;
use tower::ServiceBuilder;
use tower::retry::RetryLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::timeout::RequestBodyTimeoutLayer;

use self::budget::Budget;
use self::operations::Operations;
use crate::caller::Rules;
use crate::config::{Config, Effective, Origin, Reflection};
use crate::health::Health;
use crate::inbound::{
    AccessLog, Admission, AdmissionLayer, Allowance, AllowanceLayer, DeadlineLayer,
    EndOnDrainLayer, FramingLayer, GrpcOnlyLayer, Identification, IdentityLayer, Methods,
    MetricsLayer, TraceLayer, drop_unfit_request_id,
};
use crate::redis;
use crate::refusal::Refusal;
use crate::region::Region;
use crate::reload::{self, Reloader};
use crate::server::{Drained, HttpService, Server};
use crate::service::{FaceLiveness, FaceLivenessServiceServer, Upstream};
use crate::services::{GrpcService, Services};
use crate::telemetry::logs;
use crate::telemetry::metrics::{self, Metrics};
use crate::telemetry::otlp;
use crate::telemetry::traces::Traces;
use crate::upstream::{self, Aws, LedgerLayer, QuotaLayer, retry};

/// The largest message that is read, in bytes: a request with every field at
/// its longest is a tenth of it.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// How long the next piece of a request may take. Requests are smaller than one
/// packet, and one that is being read holds a slot.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a shutdown waits for the collector to take what was not sent yet, of
/// all signals together.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// A gateway that has its port and has not begun to work.
#[derive(Debug)]
pub struct Gateway {
    config: Config,
    listener: TcpListener,
    admin: Option<TcpListener>,
    log: Option<logs::Handle>,
    /// Where the configuration can be read again, and what it was.
    origin: Option<(Origin, Effective)>,
    reloads: (reload::Handle, reload::Requests),
}

/// Why a gateway does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port cannot be had.
    #[error("cannot listen on {address}: {source}; choose another with --listen")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The admin port cannot be had.
    #[error(
        "cannot listen on {address} for the admin port: {source}; choose another with --admin-listen, or switch it off with --admin-listen off"
    )]
    BindAdmin {
        /// What was asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The metrics cannot be set up.
    #[error(transparent)]
    Metrics(#[from] metrics::Error),
    /// The workers cannot be started.
    #[error("cannot start the server: {0}")]
    Start(#[source] io::Error),
    /// The AWS SDK cannot be set up.
    #[error("cannot set up the AWS SDK: {0}")]
    Aws(#[source] BoxError),
    /// The store for the quota cannot be set up.
    #[error("cannot set up the quota store: {0}")]
    Store(#[source] redis::Error),
    /// Telemetry cannot be exported.
    #[error(transparent)]
    Otlp(#[from] otlp::Error),
    /// A descriptor for reflection is broken.
    #[error("cannot set up reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

impl Gateway {
    /// Binds the ports. Connections wait in the kernel until [`run`](Self::run).
    ///
    /// # Errors
    /// When a port cannot be had.
    pub fn bind(config: Config) -> Result<Self, Error> {
        let address = config.listen;
        let listener =
            TcpListener::bind(address).map_err(|source| Error::Bind { address, source })?;
        let bind_admin = |address| {
            TcpListener::bind(address).map_err(|source| Error::BindAdmin { address, source })
        };
        let admin = config.admin_listen.address().map(bind_admin).transpose()?;
        Ok(Self {
            config,
            listener,
            admin,
            log: None,
            origin: None,
            reloads: reload::channel(),
        })
    }

    /// Lets the admin port change the level of the log and tell what of it was
    /// lost; its records are sent at shutdown with all other telemetry.
    #[must_use]
    pub fn with_log(self, log: logs::Handle) -> Self {
        Self {
            log: Some(log),
            ..self
        }
    }

    /// Lets the configuration be read again from `origin`; `effective` is what it
    /// was when it was read from there.
    #[must_use]
    pub fn reloading_from(self, origin: Origin, effective: Effective) -> Self {
        Self {
            origin: Some((origin, effective)),
            ..self
        }
    }

    /// Asks this gateway to reload while it runs.
    #[must_use]
    pub fn reload_handle(&self) -> reload::Handle {
        self.reloads.0.clone()
    }

    /// Where the gateway listens: the port is known even if 0 was asked for.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where the admin port is, if there is one.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn admin_addr(&self) -> io::Result<Option<SocketAddr>> {
        self.admin.as_ref().map(TcpListener::local_addr).transpose()
    }

    /// The URL of the admin port, if there is one.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn admin_url(&self) -> io::Result<Option<String>> {
        let scheme = self.config.admin_tls.map_or("http", |_| "https");
        let address = self.admin_addr()?;
        Ok(address.map(|address| format!("{scheme}://{address}/")))
    }

    /// Serves until `shutdown` completes, then drains: reports NOT_SERVING,
    /// waits `drain_delay`, stops accepting, and gives calls in flight
    /// `shutdown_grace` to finish. Tells how that went.
    ///
    /// Connections are served by threads of their own; the caller's runtime
    /// only accepts them and does background work.
    ///
    /// # Errors
    /// When something cannot be set up.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<Drained, Error> {
        let Self {
            config,
            listener,
            admin,
            log,
            origin,
            reloads: (reload, reloads),
        } = self;
        let settings = &config.server;
        let (traces, traces_exit) = Traces::start(&config.otlp)?;
        let access_log = Arc::new(AccessLog::new(&config.telemetry));
        let reload = origin.is_some().then_some(reload);
        let operations = Operations::start(&config, admin, log.as_ref(), &traces, reload)?;
        let metrics = operations.metrics.clone();
        let aws = Aws::prepare(&config).await.map_err(Error::Aws)?;
        let health = Health::not_serving(operations.readiness.clone()).await;
        let admission = Arc::new(Admission::new(settings.max_in_flight));
        let drain = CancellationToken::new();
        // Nothing goes on if this is dropped.
        let _stop_when_dropped = drain.clone().drop_guard();
        let rules = Rules::new(config.callers.clone());
        let identification = Identification::new(config.identity.clone());
        let budget = Budget::start(&config, &metrics)
            .await
            .map_err(Error::Store)?;
        operations.observe(budget.shown);
        health.follow_stores(budget.states);
        let regions: Vec<_> = config
            .regions
            .iter()
            .map(|entry| entry.region.clone())
            .collect();
        let stack = Stack {
            traces: traces.clone(),
            access_log: Arc::clone(&access_log),
            aws: aws.clone(),
            ledger: budget.ledger,
            retry: retry::layer(regions.iter().cloned(), metrics.upstream.clone()),
            quota: budget.quota,
            // What the SDK allows for the parts of an attempt.
            attempt_timeout: config.aws.connect_timeout + config.aws.read_timeout,
            regions,
            guards: Guards {
                identity: IdentityLayer::new(identification.clone(), rules.clone()),
                allowance: Arc::new(Allowance::new()),
                max_deadline: settings.max_deadline,
                admission: Arc::clone(&admission),
            },
            reflection: config.reflection,
            health: health.clone(),
            metrics: metrics.clone(),
            drain: drain.clone(),
        };
        let services = (0..settings.worker_count())
            .map(|_| stack.service())
            .collect::<Result<_, _>>()?;
        let tls = operations.tls.clone();
        let server = Server::start(
            listener,
            settings,
            tls.as_ref(),
            &metrics.connections,
            drain.clone(),
            services,
        )
        .map_err(Error::Start)?;
        // Goes on looking at the files while connections drain.
        let mut background = JoinSet::new();
        let mut parts: Vec<Box<dyn reload::Part>> = vec![
            Box::new(rules),
            Box::new(identification.clone()),
            Box::new(budget.quotas),
        ];
        if let Some(tls) = tls {
            background.spawn(tls.clone().follow_files());
            parts.push(Box::new(tls));
        }
        match origin {
            Some((origin, effective)) => {
                let shown = operations.shown.clone();
                let reloader = Reloader::new(origin, effective, shown, parts);
                background.spawn(reloader.serve(reloads));
            }
            // Whoever asks is told so.
            None => drop(reloads),
        }

        let ready = async {
            identification.ready().await;
            health.ready_when_aws_is(&aws).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = shutdown => {}
            () = ready => {}
            () = access_log.settle_regularly() => {}
        }

        health.drain().await;
        tracing::info!(drain_delay = ?settings.drain_delay, "shutting down: not serving any more");
        tokio::time::sleep(settings.drain_delay).await;
        admission.drain();
        drain.cancel();
        let drained = server.drained(settings.shutdown_grace).await;
        match drained.forced {
            0 => tracing::info!("shut down: every call has finished"),
            forced => {
                tracing::warn!(forced, grace = ?settings.shutdown_grace, "shut down: connections were cut")
            }
        }
        access_log.settle();
        let exits = [
            traces_exit,
            Some(operations.end()),
            log.as_ref().and_then(logs::Handle::exit),
        ];
        otlp::shut_down(FLUSH_TIMEOUT, exits.into_iter().flatten()).await;
        Ok(drained)
    }
}

/// What the services of all workers are made from.
#[derive(Debug)]
struct Stack {
    traces: Traces,
    access_log: Arc<AccessLog>,
    aws: Aws,
    ledger: LedgerLayer,
    retry: RetryLayer<retry::Policy>,
    quota: QuotaLayer,
    attempt_timeout: Duration,
    regions: Vec<Region>,
    guards: Guards,
    reflection: Reflection,
    health: Health,
    metrics: Metrics,
    drain: CancellationToken,
}

impl Stack {
    /// The service of one worker: what every incoming RPC crosses, outermost
    /// first.
    fn service(&self) -> Result<impl HttpService, tonic_reflection::server::Error> {
        let (routes, methods) = self.routes()?;
        let trace = TraceLayer::new(self.traces.clone(), methods, Arc::clone(&self.access_log));
        let service = ServiceBuilder::new()
            // Names every call: keeps the caller's id if it is one…
            .map_request(drop_unfit_request_id)
            // …gives one to the others…
            .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
            // …and tells the caller.
            .layer(PropagateRequestIdLayer::x_request_id())
            // Turns away what is not gRPC.
            .layer(GrpcOnlyLayer)
            // Traces the call, and writes its line of the access log when it ends.
            .layer(trace)
            // Lets the layers further in have bodies of their own kind.
            .map_response(|answer: Response<_>| answer.map(Body::new))
            // Counts and times the call, and its refusal.
            .layer(MetricsLayer::new(self.metrics.rpc.clone()))
            // Completes the refusals that tonic makes itself.
            .layer(FramingLayer)
            .service(routes);
        Ok(service)
    }

    fn routes(&self) -> Result<(Routes, Methods), tonic_reflection::server::Error> {
        let upstream = upstream::stack(
            self.ledger.clone(),
            self.retry.clone(),
            self.quota.clone(),
            self.metrics.upstream.clone(),
            self.attempt_timeout,
            self.aws.rekognition(),
        );
        let service = FaceLiveness::new(upstream, self.regions.clone());
        let sessions = sessions(service, self.guards.clone());
        let until_drain = EndOnDrainLayer::new(self.drain.clone());
        let health = HealthServer::new(HealthService::from_health_reporter(self.health.reporter()));
        let services = Services::new().add(sessions, FILE_DESCRIPTOR_SET).add(
            until_drain.named_layer(health),
            tonic_health::pb::FILE_DESCRIPTOR_SET,
        );
        match self.reflection {
            Reflection::Off => services.without_reflection(),
            Reflection::Open => services.with_reflection(&until_drain, None),
            Reflection::Authenticated => {
                services.with_reflection(&until_drain, Some(&self.guards.identity))
            }
        }
    }
}

/// What the layers around the session service need to know.
#[derive(Clone, Debug)]
struct Guards {
    identity: IdentityLayer,
    allowance: Arc<Allowance>,
    max_deadline: Duration,
    admission: Arc<Admission>,
}

/// The session service and what only its calls cross, outermost first.
fn sessions<U: Upstream>(service: FaceLiveness<U>, guards: Guards) -> impl GrpcService {
    let Guards {
        identity,
        allowance,
        max_deadline,
        admission,
    } = guards;
    let service =
        FaceLivenessServiceServer::new(service).max_decoding_message_size(MAX_MESSAGE_BYTES);
    ServiceBuilder::new()
        // A defect costs one call, not the connection and its other calls.
        .layer(CatchPanicLayer::custom(panicked))
        // Bounds everything that waits.
        .layer(DeadlineLayer::new(max_deadline))
        // Says who calls, and under which rule.
        .layer(identity)
        // Holds each caller to its own rate.
        .layer(AllowanceLayer::new(allowance))
        // Sheds what would only wait.
        .layer(AdmissionLayer::new(admission))
        // Gives up on requests that do not go on arriving.
        .layer(RequestBodyTimeoutLayer::new(BODY_TIMEOUT))
        .named_layer(service)
}

/// The panic's message is in the log, by the panic hook.
fn panicked(_: Box<dyn Any + Send>) -> Response<Body> {
    Status::from(Refusal::Internal).into_http()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::Identity;
    use axum::response::IntoResponse as _;
    use http::Request;
    use http_body_util::Full;
    use tonic::Code;
    use tonic_types::StatusExt as _;
    use tower::ServiceExt as _;

    #[tokio::test]
    async fn a_panic_is_an_internal_error_with_details() {
        let upstream = tower::service_fn(async |_| panic!("a defect"));
        let region = Region::parse("us-east-1").unwrap();
        let service = FaceLiveness::new(upstream, vec![region]);
        let guards = Guards {
            identity: IdentityLayer::new(
                Identification::new(Identity::Anonymous),
                Rules::default(),
            ),
            allowance: Arc::new(Allowance::new()),
            max_deadline: Duration::from_secs(1),
            admission: Arc::new(Admission::new(1)),
        };
        let sessions = sessions(service, guards);
        let empty_message: &[u8] = &[0; 5];
        let request = Request::post("/faceliveness.v1.FaceLivenessService/CreateSession")
            .body(Body::new(Full::from(empty_message)))
            .unwrap();
        let answer = sessions.oneshot(request).await.unwrap().into_response();
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(status.get_details_error_info().unwrap().reason, "INTERNAL");
        assert_eq!(
            status.metadata().get("grpc-retry-pushback-ms").unwrap(),
            "-1"
        );
    }
}
