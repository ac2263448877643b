//! Who calls, and whether the gateway is the right one.

use std::fs;

use face_liveness_client::testing::FakeGateway;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::support::{BINARY, Program, Ran, create, gateway, offline};

/// An authority and what it signed, as PEM.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn pem(&self) -> String {
        self.issuer.pem()
    }
}

async fn tls(authority: &Authority, clients: Option<&Authority>) -> FakeGateway {
    let (certificate, key) = authority.sign("localhost");
    let clients = clients.map(Authority::pem);
    let gateway = FakeGateway::start_tls(&certificate, &key, clients.as_deref()).await;
    gateway.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_gateway_is_trusted_only_by_its_authority() {
    let authority = Authority::new();
    let gateway = tls(&authority, None).await;
    let run = |options: &'static [&'static str]| {
        let program = Program::new(BINARY)
            .at(&gateway)
            .file("ca.pem", &authority.pem())
            .file("other.pem", &Authority::new().pem());
        program.args(["create"]).args(options).run()
    };
    run(&["--ca-bundle", "ca.pem"]).await.good();
    run(&["--no-verify-ssl"]).await.good();
    let ran: Ran = run(&["--ca-bundle", "other.pem"]).await;
    assert_eq!(ran.status, 255);
    let url = format!(
        "Could not connect to the endpoint URL: \"{}/\"",
        gateway.endpoint()
    );
    assert!(ran.stderr.contains(&url), "{}", ran.stderr);
    assert_eq!(gateway.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_client_certificate_is_shown_and_can_be_withheld() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let gateway = tls(&authority, Some(&clients)).await;
    let (certificate, key) = clients.sign("caller");
    let program = || {
        Program::new(BINARY)
            .at(&gateway)
            .file("ca.pem", &authority.pem())
            .file("caller.pem", &certificate)
            .file("caller.key", &key)
            .env("FACE_LIVENESS_CLI_CA_BUNDLE", "ca.pem")
            .env("FACE_LIVENESS_CLI_CLIENT_CERT", "caller.pem")
            .env("FACE_LIVENESS_CLI_CLIENT_KEY", "caller.key")
            .args(["create"])
    };
    program().run().await.good();
    assert!(gateway.requests()[0].client_certificate.is_some());
    assert_eq!(
        program().args(["--no-sign-request"]).run().await.status,
        255
    );
    assert_eq!(gateway.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_token_comes_from_the_option_a_file_or_the_variable() {
    let gateway = gateway().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "from-file\n").unwrap();
    create(&gateway, &["--token", "from-option"]).await.good();
    create(
        &gateway,
        &["--token", &format!("file://{}", file.display())],
    )
    .await
    .good();
    let program = || {
        Program::new(BINARY)
            .at(&gateway)
            .env("FACE_LIVENESS_CLI_TOKEN", "from-variable")
            .args(["create"])
    };
    program().run().await.good();
    program().args(["--no-sign-request"]).run().await.good();
    let requests = gateway.requests();
    let sent: Vec<_> = requests
        .iter()
        .map(|request| request.text("authorization"))
        .collect();
    let expected = [
        Some("Bearer from-option"),
        Some("Bearer from-file"),
        Some("Bearer from-variable"),
        None,
    ];
    assert_eq!(sent, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_token_that_no_header_can_have_is_told_and_not_repeated() {
    let gateway = gateway().await;
    let ran = create(&gateway, &["--debug", "--token", "sec\nret"]).await;
    assert_eq!(ran.status, 255);
    let told = "\nThe token is empty or has characters that a header cannot have\nCheck --token";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert!(!ran.stderr.contains("sec\n"), "{}", ran.stderr);
    assert!(gateway.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn files_that_hold_no_certificate_are_told() {
    let program = Program::new(BINARY).file("ca.pem", "nothing").args([
        "create",
        "--endpoint-url=https://localhost:1",
        "--ca-bundle=ca.pem",
    ]);
    let ran = program.run().await;
    assert_eq!(ran.status, 255);
    let begin = "\nCannot set up the connection: ";
    assert!(ran.stderr.starts_with(begin), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_password_in_the_endpoint_is_refused_and_not_repeated() {
    let url = "--endpoint-url=http://user:secret@localhost:1";
    let ran = offline(["create", "--debug", url]).await;
    assert_eq!(ran.status, 255);
    assert!(
        ran.stderr.contains("must not hold a user name or password"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
}
