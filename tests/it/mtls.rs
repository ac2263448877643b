//! Clients prove who they are with a certificate, or get no connection at all.

use std::process::Command;
use std::time::Duration;

use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_client::v1::face_liveness_service_client::FaceLivenessServiceClient;
use rustls::client::Resumption;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::certificates::{Authority, Secret, client, handshake};
use crate::support::{file, until, watch_health};
use crate::tls::{create, serve};

const NAME: &str = "spiffe://example.org/ns/pay/sa/web";

/// Longer than anything here takes on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the server says to a client that begins HTTP/2: nothing, if it is not let
/// in.
async fn answer(
    address: std::net::SocketAddr,
    config: &rustls::ClientConfig,
) -> std::io::Result<Vec<u8>> {
    let mut stream = handshake(address, config).await?;
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await?;
    // An empty SETTINGS frame.
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
    let mut bytes = vec![0; 9];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

#[tokio::test]
async fn without_a_valid_certificate_http2_is_never_reached() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let secret = Secret::new(&authority.server(), &authority.pem());
    let gateway = serve(&secret.mutual("")).await;
    let known = authority.client(NAME);
    let let_in = client(&authority, Some(&known));
    assert_eq!(answer(gateway.address, &let_in).await.unwrap()[3], 4);
    create(gateway.address, let_in).await.unwrap();
    let unknown = stranger.client(NAME);
    let expired = authority.expired_client(NAME);
    let server = authority.server();
    for identity in [None, Some(&unknown), Some(&expired), Some(&server)] {
        let outside = client(&authority, identity);
        assert!(answer(gateway.address, &outside).await.is_err());
        assert!(create(gateway.address, outside).await.is_err());
    }
}

#[tokio::test]
async fn new_connections_see_new_roots_and_no_session_outlives_them() {
    let (old, new) = (Authority::new(), Authority::new());
    let pair = old.server();
    let mut secret = Secret::new(&pair, &old.pem());
    let gateway = serve(&secret.mutual("")).await;
    let (before, after) = (old.client(NAME), new.client(NAME));
    // One that would resume its session if it could.
    let mut resuming = client(&old, Some(&before));
    resuming.resumption = Resumption::in_memory_sessions(16);
    let newcomer = client(&old, Some(&after));
    answer(gateway.address, &resuming).await.unwrap();
    assert!(answer(gateway.address, &newcomer).await.is_err());
    secret.swap(&pair, &new.pem());
    let let_in = async { while answer(gateway.address, &newcomer).await.is_err() {} };
    timeout(PATIENCE, let_in).await.unwrap();
    assert!(answer(gateway.address, &resuming).await.is_err());
}

#[tokio::test]
async fn no_call_fails_while_the_authority_of_clients_is_replaced() {
    let (old, new) = (Authority::new(), Authority::new());
    let pair = old.server();
    let mut secret = Secret::new(&pair, &old.pem());
    let gateway = serve(&secret.mutual("")).await;
    let address = gateway.address;
    let load = |authority: &Authority| {
        let (over, identity) = (CancellationToken::new(), authority.client(NAME));
        let (ended, tls) = (over.clone(), client(&old, Some(&identity)));
        let (count, served) = watch::channel(0);
        let calls = tokio::spawn(async move {
            let open = crate::certificates::channel(address, tls.clone());
            let mut open = FaceLivenessServiceClient::new(open);
            while !ended.is_cancelled() {
                let request = CreateSessionRequest::default();
                open.create_session(request).await.unwrap();
                create(address, tls.clone()).await.unwrap();
                count.send_modify(|served| *served += 1);
            }
        });
        (over, calls, served)
    };
    let more = async |served: &mut watch::Receiver<u32>| {
        let enough = *served.borrow() + 3;
        let calls = served.wait_for(|served| *served >= enough);
        timeout(PATIENCE, calls).await.unwrap().unwrap();
    };
    let (over, before, mut served) = load(&old);
    more(&mut served).await;
    secret.swap(&pair, &format!("{}{}", old.pem(), new.pem()));
    let newcomer = client(&old, Some(&new.client(NAME)));
    let let_in = async { while answer(address, &newcomer).await.is_err() {} };
    timeout(PATIENCE, let_in).await.unwrap();
    more(&mut served).await;
    let (end, after, mut served) = load(&new);
    more(&mut served).await;
    over.cancel();
    before.await.unwrap();
    secret.swap(&pair, &new.pem());
    let left = client(&old, Some(&old.client(NAME)));
    let shut_out = async { while answer(address, &left).await.is_ok() {} };
    timeout(PATIENCE, shut_out).await.unwrap();
    more(&mut served).await;
    end.cancel();
    after.await.unwrap();
}

#[tokio::test]
async fn healthcheck_speaks_tls_and_shows_a_certificate_where_one_is_wanted() {
    let authority = Authority::new();
    let pair = authority.client(NAME);
    let secret = Secret::new(&authority.server(), &authority.pem());
    let gateway = serve(&secret.mutual("")).await;
    let channel = crate::certificates::channel(gateway.address, client(&authority, Some(&pair)));
    let mut states = watch_health(channel).await;
    until(&mut states, ServingStatus::Serving).await;
    let (certificate, key) = (file(&pair.certificate), file(&pair.key));
    let [certificate, key] = [&certificate, &key].map(|file| file.path().display().to_string());
    let address = gateway.address.to_string();
    let proof = ["--certificate", &certificate, "--key", &key];
    let check = async |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_face-liveness-gateway"));
        command
            .args(["healthcheck", "--address", &address])
            .args(more);
        let status = tokio::task::spawn_blocking(move || command.status().unwrap());
        status.await.unwrap().code()
    };
    assert_eq!(check(&[&["--tls"], &proof[..]].concat()).await, Some(0));
    assert_ne!(check(&["--tls"]).await, Some(0));
    assert_ne!(check(&[]).await, Some(0), "without TLS");
}
