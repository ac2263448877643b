//! The fake's server: one task a connection, so that one can be dropped.

use std::io;
use std::sync::Arc;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::answer::Action;
use super::{Received, Shared};
use crate::v1::face_liveness_service_server::{FaceLivenessService, FaceLivenessServiceServer};
use crate::v1::{CreateSessionRequest, CreateSessionResponse};

/// What the connections are secured with.
pub(super) struct Security {
    #[cfg(feature = "tls")]
    tls: Option<tokio_rustls::TlsAcceptor>,
}

impl Security {
    pub(super) fn plaintext() -> Self {
        Self {
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    #[cfg(feature = "tls")]
    pub(super) fn tls(cert: &str, key: &str, client_ca: Option<&str>) -> io::Result<Self> {
        let config = crate::tls::server_config(cert, key, client_ca).map_err(io::Error::other)?;
        Ok(Self {
            tls: Some(Arc::new(config).into()),
        })
    }
}

/// Serves until it is dropped, and all connections with it.
pub(super) async fn run(listener: TcpListener, security: Security, shared: Arc<Shared>) {
    let security = Arc::new(security);
    let mut connections = JoinSet::new();
    // An error here is out of file descriptors: the test fails anyhow.
    while let Ok((tcp, _)) = listener.accept().await {
        let (security, shared) = (Arc::clone(&security), Arc::clone(&shared));
        connections.spawn(async move {
            // The client sees how it ended; there is nobody else to tell.
            let _ = serve(tcp, &security, shared).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(tcp: TcpStream, security: &Security, shared: Arc<Shared>) -> io::Result<()> {
    #[cfg(not(feature = "tls"))]
    let _ = security;
    #[cfg(feature = "tls")]
    if let Some(acceptor) = &security.tls {
        let tls = acceptor.accept(tcp).await?;
        let certificates = tls.get_ref().1.peer_certificates();
        let certificate = certificates
            .and_then(<[_]>::first)
            .map(|certificate| certificate.to_vec());
        return answer(tls, certificate, shared).await;
    }
    answer(tcp, None, shared).await
}

async fn answer<T>(io: T, certificate: Option<Vec<u8>>, shared: Arc<Shared>) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (end, drain) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let service = Connection {
        number: shared.connected(),
        certificate,
        shared,
        end: Arc::clone(&end),
        drain: Arc::clone(&drain),
    };
    let service = TowerToHyperService::new(FaceLivenessServiceServer::new(service));
    let mut serving = std::pin::pin!(
        http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(io), service)
    );
    loop {
        tokio::select! {
            result = serving.as_mut() => return result.map_err(io::Error::other),
            () = end.notified() => return Ok(()),
            () = drain.notified() => serving.as_mut().graceful_shutdown(),
        }
    }
}

struct Connection {
    number: usize,
    certificate: Option<Vec<u8>>,
    shared: Arc<Shared>,
    end: Arc<Notify>,
    drain: Arc<Notify>,
}

#[tonic::async_trait]
impl FaceLivenessService for Connection {
    async fn create_session(
        &self,
        request: Request<CreateSessionRequest>,
    ) -> Result<Response<CreateSessionResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let answer = self.shared.receive(Received {
            message: message.clone(),
            metadata,
            connection: self.number,
            client_certificate: self.certificate.clone(),
        });
        tokio::time::sleep(answer.delay).await;
        if answer.drains {
            self.drain.notify_one();
        }
        let message = match answer.action {
            Action::Session => self.shared.session(&message),
            Action::Respond(message) => *message,
            Action::Refuse(mut status) => {
                let mut metadata = status.metadata().clone().into_headers();
                metadata.extend(answer.metadata.into_headers());
                *status.metadata_mut() = MetadataMap::from_headers(metadata);
                return Err(*status);
            }
            Action::DropConnection => {
                self.end.notify_one();
                std::future::pending().await
            }
            Action::Never => std::future::pending().await,
        };
        let mut response = Response::new(message);
        *response.metadata_mut() = answer.metadata;
        Ok(response)
    }
}
