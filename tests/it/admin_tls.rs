//! The admin port is secured where it leaves loopback, with the certificate of gRPC.

use std::net::SocketAddr;
use std::time::Duration;

use face_liveness_gateway::config::Flags;
use face_liveness_gateway::tls::Purpose;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::certificates::{Authority, Pair, Secret, client, handshake};
use crate::configuration::load;
use crate::http::get;
use crate::support::{ONE_REGION, Running, emulator};

/// Longer than anything here takes on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

const NAME: &str = "spiffe://example.org/ns/monitoring/sa/prometheus";

/// A gateway with TLS on its admin port too, though that is on loopback.
async fn serve(tls: &str, admin: &str) -> Running {
    let toml = format!("{ONE_REGION}{tls}[admin]\ntls = 'on'\n{admin}");
    Running::configured(&emulator().await, &toml).await
}

/// How a scraper speaks TLS.
fn scraper(trusted: &Authority, identity: Option<&Pair>) -> rustls::ClientConfig {
    let mut config = client(trusted, identity);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// The answer to a GET of /livez, and the certificate that was shown.
async fn livez(
    address: SocketAddr,
    tls: &rustls::ClientConfig,
) -> std::io::Result<(String, CertificateDer<'static>)> {
    let mut stream = handshake(address, tls).await?;
    let session = stream.get_ref().1;
    assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
    let shown = session.peer_certificates().unwrap()[0].clone().into_owned();
    let request = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    // An alert says why there is none.
    stream.read_to_end(&mut answer).await?;
    Ok((String::from_utf8(answer).unwrap(), shown))
}

async fn is_served(gateway: &Running, tls: &rustls::ClientConfig) -> bool {
    let answer = livez(gateway.admin, tls).await;
    answer.is_ok_and(|(answer, _)| answer.starts_with("HTTP/1.1 200 "))
}

#[tokio::test]
async fn it_speaks_https_with_the_certificate_of_grpc_which_is_replaced_with_it() {
    let authority = Authority::new();
    let (first, second) = (authority.server(), authority.server());
    let mut secret = Secret::new(&first, "");
    let gateway = serve(&secret.toml(""), "").await;
    let tls = scraper(&authority, None);
    let (answer, shown) = livez(gateway.admin, &tls).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("alive\n"));
    assert_eq!(shown, first.der());
    secret.swap(&second, "");
    let replaced = async { while livez(gateway.admin, &tls).await.unwrap().1 != second.der() {} };
    timeout(PATIENCE, replaced).await.unwrap();

    // In plaintext there is nothing.
    let mut plain = TcpStream::connect(gateway.admin).await.unwrap();
    plain
        .write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test]
async fn where_there_are_client_authorities_it_asks_for_a_certificate_though_grpc_may_not() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let secret = Secret::new(&authority.server(), &authority.pem());
    for auth in ["required", "optional"] {
        let tls = secret.mutual(&format!("client_auth = '{auth}'"));
        let gateway = serve(&tls, "").await;
        let known = authority.client(NAME);
        assert!(is_served(&gateway, &scraper(&authority, Some(&known))).await);
        let unknown = stranger.client(NAME);
        let expired = authority.expired_client(NAME);
        for identity in [None, Some(&unknown), Some(&expired)] {
            let tls = scraper(&authority, identity);
            assert!(!is_served(&gateway, &tls).await);
        }
    }
}

#[tokio::test]
async fn that_can_be_switched_off_for_a_scraper_without_a_certificate() {
    let authority = Authority::new();
    let secret = Secret::new(&authority.server(), &authority.pem());
    let gateway = serve(&secret.mutual(""), "client_auth = 'off'").await;
    assert!(is_served(&gateway, &scraper(&authority, None)).await);
}

#[tokio::test]
async fn on_loopback_it_stays_in_plaintext_unless_told_otherwise() {
    let authority = Authority::new();
    let secret = Secret::new(&authority.server(), "");
    let toml = format!("{ONE_REGION}{}", secret.toml(""));
    let gateway = Running::configured(&emulator().await, &toml).await;
    assert_eq!(get(gateway.admin, "/livez").await.code, 200);
}

#[tokio::test]
async fn the_admin_port_leaves_loopback_only_secured_or_when_that_is_said() {
    let authority = Authority::new();
    let secret = Secret::new(&authority.server(), &authority.pem());
    let told = async |insecure: &str, admin: &str, tls: &str| {
        let listens = "listen = '127.0.0.1:1'\nadmin_listen = '0.0.0.0:2'";
        let toml = format!("region = 'us-east-1'\n{listens}\n{admin}\n{tls}");
        match load(
            Flags::default(),
            &[("FACE_LIVENESS_INSECURE_NO_AUTH", insecure)],
            Some(&toml),
        )
        .await
        {
            Ok((config, _)) => Ok((config.admin_tls, config.warnings().concat())),
            Err((mistakes, _)) => Err(mistakes.to_string()),
        }
    };
    let refused = told("false", "", "").await.unwrap_err();
    assert!(
        refused.contains(": admin_listen: 0.0.0.0:2 is reached from the network"),
        "{refused}"
    );
    let refused = told("false", "[admin]\ntls = 'on'", "").await.unwrap_err();
    assert!(
        refused.contains(": admin.tls: needs tls.certificate"),
        "{refused}"
    );
    for (insecure, admin) in [("false", "[admin]\ntls = 'off'"), ("true", "")] {
        let (tls, warned) = told(insecure, admin, "").await.unwrap();
        assert_eq!(tls, None);
        assert!(
            warned.contains("the admin port speaks plaintext"),
            "{warned}"
        );
    }
    let (tls, warned) = told("false", "", &secret.mutual("")).await.unwrap();
    assert_eq!(tls, Some(Purpose::Admin { proof: true }));
    assert_eq!(warned, "");
    for (admin, files) in [
        ("", secret.toml("")),
        ("[admin]\nclient_auth = 'off'", secret.mutual("")),
    ] {
        let (tls, warned) = told("false", admin, &files).await.unwrap();
        assert!(tls.is_some());
        assert!(
            warned.contains("asks for no client certificate"),
            "{warned}"
        );
    }
}
