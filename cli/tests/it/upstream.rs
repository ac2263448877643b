//! A server that stands for AWS and records what reaches it, and gateways before it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use face_liveness_gateway::config::{self, Flags, Variables};
use face_liveness_gateway::gateway::Gateway;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::SESSION;

const OPERATION: &str = "RekognitionService.CreateFaceLivenessSession";

type Bodies = Arc<Mutex<Vec<Value>>>;

/// Answers every call with the session that the recorded answers hold.
#[derive(Debug)]
pub(crate) struct Recorder {
    address: SocketAddr,
    bodies: Bodies,
    /// Ends when this is dropped.
    _serving: JoinSet<()>,
}

impl Recorder {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bodies = Bodies::default();
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&bodies)));
        Self {
            address,
            bodies,
            _serving: serving,
        }
    }

    /// The bodies of the requests, oldest first.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.bodies.lock().unwrap().clone()
    }

    /// A gateway that takes this server for AWS.
    pub(crate) async fn gateway(&self) -> RunningGateway {
        let flags = Flags {
            listen: Some("127.0.0.1:0".to_owned()),
            admin_listen: Some("off".to_owned()),
            region: Some("eu-west-1".to_owned()),
            endpoint_url: Some(format!("http://{}", self.address)),
            no_sign_request: Some("true".to_owned()),
            ..Flags::default()
        };
        let one_worker = ("FACE_LIVENESS_SERVER_WORKERS".to_owned(), "1".to_owned());
        let variables = Variables::from([one_worker]);
        let (config, _) = config::load(&flags, &variables, Vec::new()).await.unwrap();
        let gateway = Gateway::bind(config).unwrap();
        let address = gateway.local_addr().unwrap();
        let mut running = JoinSet::new();
        running.spawn(async move {
            gateway.run(std::future::pending()).await.unwrap();
        });
        RunningGateway {
            address,
            _running: running,
        }
    }
}

/// The real gateway, which runs until this is dropped.
#[derive(Debug)]
pub(crate) struct RunningGateway {
    address: SocketAddr,
    _running: JoinSet<()>,
}

impl RunningGateway {
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve(listener: TcpListener, bodies: Bodies) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let bodies = Arc::clone(&bodies);
        let service = service_fn(move |request| answer(request, Arc::clone(&bodies)));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // A gateway that ends takes its connections with it.
        connections.spawn(async move { drop(connection.await) });
    }
}

async fn answer(
    request: Request<Incoming>,
    bodies: Bodies,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let target = request.headers().get("x-amz-target").cloned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(target, Some(HeaderValue::from_static(OPERATION)));
    let body = serde_json::from_slice(&body).unwrap();
    bodies.lock().unwrap().push(body);
    let session = json!({ "SessionId": SESSION }).to_string();
    let mut answer = Response::new(Full::from(session));
    let content_type = HeaderValue::from_static("application/x-amz-json-1.1");
    answer.headers_mut().insert("content-type", content_type);
    Ok(answer)
}
