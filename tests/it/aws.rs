//! How AWS is reached: over TLS that is verified, as configured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_gateway::config::{CaBundle, Trust};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rekognition_emulator::{Emulator, Fault};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tonic::Code;

use crate::served::Served;
use crate::support::{ONE_REGION, Running, assert_alive, config, emulator, file};

/// An emulator behind TLS, with a certificate that only its own PEM vouches for.
async fn tls_in_front_of(emulator: &Emulator) -> (SocketAddr, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let emulator = emulator.addr();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut client = acceptor.accept(stream).await?;
                let mut server = TcpStream::connect(emulator).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    (address, cert.pem())
}

/// A gateway that calls the emulator over TLS and trusts as told.
async fn over_tls(trust: impl FnOnce(&str) -> Trust) -> Running {
    let emulator = emulator().await;
    let (address, pem) = tls_in_front_of(&emulator).await;
    let mut config = config(&emulator, ONE_REGION).await;
    config.regions[0].endpoint_url = Some(
        format!("https://localhost:{}", address.port())
            .parse()
            .unwrap(),
    );
    config.aws.trust = trust(&pem);
    let gateway = Running::start(config);
    // The emulator runs until the test ends.
    tokio::spawn(async move {
        let _emulator = emulator;
        std::future::pending::<()>().await;
    });
    gateway
}

#[tokio::test]
async fn a_certificate_of_the_bundle_is_believed() {
    let gateway = over_tls(|pem| Trust::Bundle(CaBundle::read(file(pem).path()).unwrap())).await;
    assert_alive(&gateway).await;
}

#[tokio::test]
async fn a_certificate_of_nobody_is_not_believed() {
    let gateway = over_tls(|_| Trust::System).await;
    let status = gateway
        .create(CreateSessionRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn without_verification_any_certificate_is_believed() {
    let gateway = over_tls(|_| Trust::Anything).await;
    assert_alive(&gateway).await;
    assert_alive(&gateway).await;
}

#[tokio::test]
async fn without_verification_the_read_time_out_still_holds() {
    let emulator = emulator().await;
    emulator.set_faults([Fault::hang()]);
    let mut config = config(&emulator, ONE_REGION).await;
    config.aws.trust = Trust::Anything;
    config.aws.read_timeout = Duration::from_millis(50);
    let gateway = Running::start(config);
    let status = gateway
        .create(CreateSessionRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_lost_answer_is_retried_with_the_same_token_and_makes_one_session() {
    let emulator = emulator().await;
    emulator.set_faults([Fault::reset_after_create().times(1)]);
    let gateway = Running::over(&emulator).await;
    gateway
        .create(CreateSessionRequest::default())
        .await
        .unwrap();
    let journal = emulator.journal();
    assert_eq!(
        (
            journal.requests_seen,
            journal.distinct_tokens,
            journal.sessions_made
        ),
        (2, 1, 1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn with_keys_and_a_region_at_hand_no_instance_is_asked_for_its_metadata() {
    let metadata = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    metadata.set_nonblocking(true).unwrap();
    let url = format!("http://{}", metadata.local_addr().unwrap());
    let variables = [
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url),
    ];
    // It has found its credentials when it is ready.
    let served = Served::start(&emulator().await, &[], &variables);
    let asked = metadata.accept();
    assert_eq!(asked.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(served);
}
