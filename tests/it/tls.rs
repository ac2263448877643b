//! Connections are secured, and certificates replaced without a restart.

use std::net::SocketAddr;
use std::time::Duration;

use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_client::v1::face_liveness_service_client::FaceLivenessServiceClient;
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::certificates::{Authority, Pair, Secret, channel, client, handshake};
use crate::program::Program;
use crate::reload::Scene;
use crate::support::{ONE_REGION, Running, emulator, file};

/// Longer than anything here takes on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A gateway with these lines in `[tls]`, over an emulator.
pub(crate) async fn serve(tls: &str) -> Running {
    Running::configured(&emulator().await, &format!("{ONE_REGION}{tls}")).await
}

/// Whether the gateway makes a session for a client like this.
pub(crate) async fn create(address: SocketAddr, tls: rustls::ClientConfig) -> Result<(), Status> {
    let mut client = FaceLivenessServiceClient::new(channel(address, tls));
    let request = CreateSessionRequest::default();
    client.create_session(request).await.map(drop)
}

/// The certificate that new connections are shown.
async fn shown(address: SocketAddr, trusted: &Authority) -> Option<CertificateDer<'static>> {
    let stream = handshake(address, &client(trusted, None)).await.ok()?;
    let certificates = stream.get_ref().1.peer_certificates()?;
    certificates.first().map(|first| first.clone().into_owned())
}

/// Connects again and again until the certificate is shown.
async fn until_shown(address: SocketAddr, trusted: &Authority, wanted: &Pair) {
    let shown = async { while shown(address, trusted).await != Some(wanted.der()) {} };
    timeout(PATIENCE, shown).await.unwrap();
}

#[tokio::test]
async fn calls_go_over_tls_1_2_and_1_3_with_http2_agreed_on() {
    let authority = Authority::new();
    let secret = Secret::new(&authority.server(), "");
    let gateway = serve(&secret.toml("")).await;
    let versions: [(&'static SupportedProtocolVersion, ProtocolVersion); 2] = [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ];
    for (offered, spoken) in versions {
        let only = crate::certificates::client_with(&authority, None, &[offered]);
        let stream = handshake(gateway.address, &only).await.unwrap();
        let session = stream.get_ref().1;
        assert_eq!(session.protocol_version(), Some(spoken));
        assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
        create(gateway.address, only).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_speaks_only_http1_or_no_tls_is_not_served() {
    let authority = Authority::new();
    let secret = Secret::new(&authority.server(), "");
    let gateway = serve(&secret.toml("")).await;
    let mut http1 = client(&authority, None);
    http1.alpn_protocols = vec![b"http/1.1".to_vec()];
    assert!(handshake(gateway.address, &http1).await.is_err());

    // Without ALPN it is told in words.
    http1.alpn_protocols.clear();
    let mut stream = handshake(gateway.address, &http1).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    // The gateway hangs up; how orderly is of no matter.
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.contains("over HTTP/2 with TLS"), "{answer}");

    let mut plain = TcpStream::connect(gateway.address).await.unwrap();
    plain
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    // At most an alert (21), never HTTP/2.
    assert!(
        answer.first().is_none_or(|first| *first == 21),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_swapped_certificate_is_shown_to_new_connections_and_open_ones_go_on() {
    let authority = Authority::new();
    let (first, second) = (authority.server(), authority.server());
    let mut secret = Secret::new(&first, "");
    let gateway = serve(&secret.toml("")).await;
    let mut open =
        FaceLivenessServiceClient::new(channel(gateway.address, client(&authority, None)));
    open.create_session(CreateSessionRequest::default())
        .await
        .unwrap();
    assert_eq!(shown(gateway.address, &authority).await, Some(first.der()));
    secret.swap(&second, "");
    until_shown(gateway.address, &authority, &second).await;
    open.create_session(CreateSessionRequest::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_reload_looks_at_the_files_at_once() {
    let authority = Authority::new();
    let (first, second) = (authority.server(), authority.server());
    let mut secret = Secret::new(&first, "");
    let toml = secret.toml("").replace("5ms", "1h");
    let emulator = emulator().await;
    let scene = Scene::start(&emulator, &toml).await;
    let address = scene.gateway.address;
    secret.swap(&second, "");
    assert_eq!(shown(address, &authority).await, Some(first.der()));
    scene.reload(&toml).await;
    assert_eq!(shown(address, &authority).await, Some(second.der()));
}

#[tokio::test]
async fn files_that_are_no_good_keep_the_old_certificate_and_are_told() {
    let authority = Authority::new();
    let (first, second) = (authority.server(), authority.server());
    let mut secret = Secret::new(&first, "");
    let toml = format!("region = 'us-east-1'\n{}", secret.toml(""));
    let config = file(&toml);
    let path = config.path().display().to_string();
    let serve = move || Program::serve(&["--config", &path]);
    let mut program = tokio::task::spawn_blocking(serve).await.unwrap();
    let address = program.address();
    let mismatched = Pair {
        key: second.key.clone(),
        ..first.clone()
    };
    let garbage = Pair {
        certificate: "not PEM".to_owned(),
        ..first.clone()
    };
    for (pair, told) in [
        (mismatched, "is not the key of the certificate"),
        (garbage, "holds no certificate in PEM form"),
    ] {
        secret.swap(&pair, "");
        let (log, again) = tokio::task::spawn_blocking(move || (program.until(told), program))
            .await
            .unwrap();
        program = again;
        assert!(log.contains("those read before stay in force"), "{log}");
        assert_eq!(shown(address, &authority).await, Some(first.der()));
    }
    assert!(!program.log().contains("PRIVATE KEY"));
    secret.swap(&second, "");
    until_shown(address, &authority, &second).await;
}

#[tokio::test]
async fn clients_do_not_believe_another_authority_or_name_or_a_certificate_that_has_expired() {
    let (authority, other) = (Authority::new(), Authority::new());
    let believed = async |pair: &Pair, trusted: &Authority| {
        let secret = Secret::new(pair, "");
        let gateway = serve(&secret.toml("")).await;
        create(gateway.address, client(trusted, None)).await
    };
    let good = authority.server();
    believed(&good, &authority).await.unwrap();
    let misnamed = authority.server_for("example.org");
    let expired = authority.expired_server();
    for (pair, trusted) in [
        (&good, &other),
        (&misnamed, &authority),
        (&expired, &authority),
    ] {
        let status = believed(pair, trusted).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
    }
}

#[tokio::test]
async fn no_call_fails_while_certificates_are_replaced() {
    let authority = Authority::new();
    let pairs: Vec<_> = (0..5).map(|_| authority.server()).collect();
    let mut secret = Secret::new(&pairs[0], "");
    let gateway = serve(&secret.toml("")).await;
    let address = gateway.address;
    let over = CancellationToken::new();
    let mut load = JoinSet::new();
    for _ in 0..3 {
        let (tls, over) = (client(&authority, None), over.clone());
        load.spawn(async move {
            // Every other call over the connection that stays open.
            let mut open = FaceLivenessServiceClient::new(channel(address, tls.clone()));
            let mut calls = 0;
            while !over.is_cancelled() {
                let request = CreateSessionRequest::default();
                open.create_session(request).await.unwrap();
                create(address, tls.clone()).await.unwrap();
                calls += 2;
            }
            calls
        });
    }
    for pair in &pairs[1..] {
        secret.swap(pair, "");
        until_shown(address, &authority, pair).await;
    }
    over.cancel();
    assert!(load.join_all().await.iter().sum::<u32>() > 0);
}
