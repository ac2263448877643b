//! Assembly: a [`Config`] becomes a [`Gateway`] that is bound to its port, which
//! runs until it is told to shut down.

mod budget;
mod operations;
mod quotas;
mod stack;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::budget::Budget;
use self::operations::Operations;
use self::stack::{Guards, Stack};
use crate::config::{Config, Effective, InForce, Origin, ServerSettings};
use crate::health::Health;
use crate::inbound::{AccessLog, Admission, Allowance, Identification, IdentityLayer};
use crate::redis;
use crate::reload::{self, Reloader};
use crate::server::{Drained, Server};
use crate::telemetry::logs;
use crate::telemetry::metrics;
use crate::telemetry::otlp;
use crate::telemetry::traces::Traces;
use crate::tls;
use crate::upstream::{Aws, retry};

/// The largest message that is read, in bytes: a request with every field at
/// its longest is a tenth of it.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

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
        let identification = Identification::new(config.identity.clone(), config.callers.clone());
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
                identity: IdentityLayer::new(identification.clone()),
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
        let server = Server::start(
            listener,
            settings,
            operations.tls.as_ref(),
            &metrics.connections,
            drain.clone(),
            services,
        )
        .map_err(Error::Start)?;
        let parts: Vec<Box<dyn reload::Part>> =
            vec![Box::new(identification.clone()), Box::new(budget.quotas)];
        let shown = operations.shown.clone();
        let reloader = origin.map(|origin| (origin, shown, reloads));
        // Goes on looking at the files while connections drain.
        let _background = follow_changes(operations.tls.clone(), parts, reloader);

        let ready = async {
            health.serve_when_ready(&identification, &aws).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = shutdown => {}
            () = ready => {}
            () = access_log.settle_regularly() => {}
        }

        let drained = wind_down(server, settings, &health, &admission, &drain).await;
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

/// Follows what can change while the gateway runs, until the result is dropped: the
/// files of TLS, and the configuration where it can be read again.
fn follow_changes(
    tls: Option<tls::Acceptor>,
    mut parts: Vec<Box<dyn reload::Part>>,
    reloader: Option<((Origin, Effective), InForce, reload::Requests)>,
) -> JoinSet<()> {
    let mut background = JoinSet::new();
    if let Some(tls) = tls {
        background.spawn(tls.clone().follow_files());
        parts.push(Box::new(tls));
    }
    // Without one, the requests are dropped, and whoever asks is told so.
    if let Some(((origin, effective), shown, requests)) = reloader {
        let reloader = Reloader::new(origin, effective, shown, parts);
        background.spawn(reloader.serve(requests));
    }
    background
}

/// Lets load balancers take notice, then ends what is served.
async fn wind_down(
    server: Server,
    settings: &ServerSettings,
    health: &Health,
    admission: &Admission,
    drain: &CancellationToken,
) -> Drained {
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
    drained
}
