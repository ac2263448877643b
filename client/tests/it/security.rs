//! TLS and mTLS, with certificates that change.

use std::path::Path;

use face_liveness_client::testing::{Answer, FakeGateway};
use face_liveness_client::{BuildError, Client, ErrorKind, Tls, TlsError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::support::{create, quick};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate, as PEM and DER, and its key.
struct Issued {
    cert: String,
    der: Vec<u8>,
    key: String,
}

fn issue(authority: &Authority, name: &str) -> Issued {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let cert = params.signed_by(&key, authority).unwrap();
    Issued {
        cert: cert.pem(),
        der: cert.der().to_vec(),
        key: key.serialize_pem(),
    }
}

async fn gateway(authority: &Authority, client_ca: bool) -> FakeGateway {
    let Issued { cert, key, .. } = issue(authority, "localhost");
    let ca = authority.pem();
    FakeGateway::start_tls(&cert, &key, client_ca.then_some(ca.as_str()))
        .await
        .unwrap()
}

fn client(gateway: &FakeGateway, tls: Tls) -> Client {
    quick()
        .endpoint(gateway.endpoint())
        .max_attempts(2)
        .tls(tls)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_server_of_a_trusted_authority_is_talked_to() {
    let ca = authority();
    let gateway = gateway(&ca, false).await;
    let files = TempDir::new().unwrap();
    std::fs::write(files.path().join("ca.pem"), ca.pem()).unwrap();
    for tls in [
        Tls::new().ca_pem(ca.pem()),
        Tls::new().ca_file(files.path().join("ca.pem")),
        Tls::new().ca_pem(authority().pem()).ca_pem(ca.pem()),
        Tls::new().danger_accept_any_certificate(),
    ] {
        create(&client(&gateway, tls)).await.unwrap();
    }
    assert!(gateway.requests()[0].client_certificate.is_none());
}

#[tokio::test]
async fn a_server_that_cannot_be_trusted_is_not_talked_to() {
    let ca = authority();
    let gateway = gateway(&ca, false).await;
    for (tls, fault) in [
        (
            Tls::new().ca_pem(authority().pem()),
            "invalid peer certificate",
        ),
        (
            Tls::new().ca_pem(ca.pem()).server_name("elsewhere"),
            "elsewhere",
        ),
    ] {
        let error = create(&client(&gateway, tls)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport);
        assert!(error.message().contains(fault), "{error}");
    }
    assert!(gateway.requests().is_empty());
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused_where_one_is_needed() {
    let ca = authority();
    let gateway = gateway(&ca, true).await;
    let error = create(&client(&gateway, Tls::new().ca_pem(ca.pem()))).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Transport);
    assert!(gateway.requests().is_empty());

    let Issued { cert, der, key } = issue(&ca, "service");
    let tls = Tls::new().ca_pem(ca.pem()).identity_pem(cert, key);
    create(&client(&gateway, tls)).await.unwrap();
    let shown = gateway.requests()[0].client_certificate.clone();
    assert_eq!(shown, Some(der));
}

fn write(files: &Path, issued: &Issued) {
    std::fs::write(files.join("tls.crt"), &issued.cert).unwrap();
    std::fs::write(files.join("tls.key"), &issued.key).unwrap();
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_by_the_next_connection() {
    let ca = authority();
    let gateway = gateway(&ca, true).await;
    let files = TempDir::new().unwrap();
    let (first, second) = (issue(&ca, "service"), issue(&ca, "service"));
    write(files.path(), &first);
    let (cert, key) = (files.path().join("tls.crt"), files.path().join("tls.key"));
    let tls = Tls::new().ca_pem(ca.pem()).identity_files(&cert, &key);
    let client = client(&gateway, tls);
    create(&client).await.unwrap();

    write(files.path(), &second);
    create(&client).await.unwrap();
    gateway.enqueue(Answer::drop_connection());
    create(&client).await.unwrap();

    // Half a renewal: the last good one stays.
    std::fs::write(&cert, "-----BEGIN CERTIFI").unwrap();
    gateway.enqueue(Answer::drop_connection());
    create(&client).await.unwrap();
    std::fs::remove_file(&key).unwrap();
    gateway.enqueue(Answer::drop_connection());
    create(&client).await.unwrap();

    let shown: Vec<_> = gateway
        .requests()
        .into_iter()
        .map(|request| request.client_certificate.unwrap())
        .collect();
    let (first, second) = (&first.der, &second.der);
    let expected = [first, first, first, second, second, second, second, second];
    assert_eq!(shown.iter().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_renewed_authority_is_trusted_by_the_next_connection() {
    let (old, new) = (authority(), authority());
    let gateway = gateway(&new, false).await;
    let files = TempDir::new().unwrap();
    let path = files.path().join("ca.pem");
    std::fs::write(&path, old.pem()).unwrap();
    let client = client(&gateway, Tls::new().ca_file(&path));
    create(&client).await.unwrap_err();
    std::fs::write(&path, new.pem()).unwrap();
    create(&client).await.unwrap();
}

#[test]
fn certificates_that_are_of_no_use_show_when_the_client_is_built() {
    let build = |tls: Tls| {
        let built = quick().endpoint("https://gateway:1").tls(tls).build();
        let BuildError::Tls(error) = built.unwrap_err() else {
            panic!("another error");
        };
        error
    };
    let ca = authority();
    let Issued { cert, key, .. } = issue(&ca, "service");
    let other = issue(&ca, "service").key;
    let missing = build(Tls::new().ca_file("/nonexistent/ca.pem"));
    assert!(
        missing.to_string().contains("/nonexistent/ca.pem"),
        "{missing}"
    );
    assert!(matches!(
        build(Tls::new().ca_pem("")),
        TlsError::NoAuthority
    ));
    let trusting = || Tls::new().ca_pem(ca.pem());
    let identity = |cert: &str, key: &str| build(trusting().identity_pem(cert, key));
    assert!(matches!(identity("", &key), TlsError::Identity(_)));
    assert!(matches!(identity(&cert, ""), TlsError::Identity(_)));
    assert!(matches!(identity(&cert, &other), TlsError::Rejected(_)));
    let named = build(trusting().server_name("no name"));
    assert!(matches!(named, TlsError::ServerName(_)));
    let shown = format!("{:?}", trusting().identity_pem(cert, key));
    assert!(!shown.contains("BEGIN"), "{shown}");
}
