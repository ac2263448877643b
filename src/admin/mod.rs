//! The admin port: metrics, readiness, the configuration and the state of the
//! gateway over HTTP, for operators and their tools.
//!
//! It knows no callers, so it listens on loopback unless told otherwise, and beyond
//! asks for a client certificate if there are authorities for them. A web page must
//! not get at it through a browser: no CORS, the `Host` is checked on loopback, and
//! nothing changes without JSON that no page may send across origins. It runs on the background runtime, within bounds of its own.

mod guard;
mod log_level;
mod page;
mod rates;
mod recent;
mod reload;
mod routes;
mod server;
mod status;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

use self::rates::Rates;
use self::recent::Recent;
pub(crate) use self::server::{HANDSHAKE_TIMEOUT, MAX_CONNECTIONS};
use crate::config::InForce;
use crate::readiness::Readiness;
use crate::region::Region;
use crate::telemetry::logs::LevelHandle;
use crate::telemetry::metrics::{Exposition, Figures, Quota, Refusals};
use crate::tls;

/// What there is to show.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    pub(crate) exposition: Exposition,
    pub(crate) refusals: Refusals,
    pub(crate) readiness: Readiness,
    pub(crate) quota: Quota,
    pub(crate) regions: Vec<Region>,
    pub(crate) shown: InForce,
    /// None where somebody else writes the log.
    pub(crate) log_level: Option<LevelHandle>,
    /// None where there is no configuration to read again.
    pub(crate) reload: Option<crate::reload::Handle>,
}

/// What the routes share.
#[derive(Debug)]
struct Shared {
    admin: Admin,
    rates: Rates,
    recent: Recent,
    started: Instant,
    started_at: SystemTime,
}

impl Shared {
    /// The present figures, read off the background runtime, which has permits to
    /// grant meanwhile.
    async fn figures(&self) -> Result<Figures, JoinError> {
        let exposition = self.admin.exposition.clone();
        tokio::task::spawn_blocking(move || exposition.figures()).await
    }
}

/// Serves the port on this runtime until the handle is dropped, in plaintext without
/// `tls`.
///
/// # Errors
/// When the listener cannot be used.
pub(crate) fn start(
    listener: TcpListener,
    admin: Admin,
    tls: Option<tls::Acceptor>,
) -> io::Result<AbortOnDropHandle<()>> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let on_loopback = listener.local_addr()?.ip().is_loopback();
    let shared = Arc::new(Shared {
        rates: Rates::new(admin.regions.len()),
        recent: Recent::new(),
        admin,
        started: Instant::now(),
        started_at: SystemTime::now(),
    });
    let router = guard::guarded(routes::routes(Arc::clone(&shared)), on_loopback);
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        let serving = server::serve(listener, router, tls, MAX_CONNECTIONS);
        tokio::join!(serving, rates::sample(&shared), recent::sample(&shared));
    })))
}
