//! Callers prove who they are, and are treated by the name that they proved.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_client::v1::face_liveness_service_client::FaceLivenessServiceClient;
use face_liveness_gateway::tls;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use rustls::ServerConfig;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_reflection::pb::v1;
use tonic_types::StatusExt as _;

use crate::certificates::{Authority, Secret, channel, client};
use crate::support::{ONE_REGION, Running, emulator, file, until, watch_health};

/// Random enough for a test.
const TOKEN: &str = "b0b2c3a9d6f14e57";

/// Only `shop` and `spiffe://…/web` are let in.
const ADMITTED: &str = "
    [default_caller]
    admitted = false
    [[callers]]
    id = 'shop'
    [[callers]]
    id = 'spiffe://example.org/**/web'
";

/// The entry for a caller's token.
pub(crate) fn token_of(caller: &str, token: &str) -> String {
    let digest = Sha256::digest(token);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("[[tokens]]\ncaller = '{caller}'\nsha256 = '{hex}'\n")
}

async fn serve(toml: &str) -> Running {
    Running::configured(&emulator().await, &format!("{ONE_REGION}{toml}")).await
}

async fn create(channel: Channel, metadata: &[(&'static str, &str)]) -> Result<(), Status> {
    let mut request = Request::new(CreateSessionRequest::default());
    for (name, value) in metadata {
        request.metadata_mut().append(*name, value.parse().unwrap());
    }
    let mut client = FaceLivenessServiceClient::new(channel);
    client.create_session(request).await.map(drop)
}

async fn with_bearer(gateway: &Running, token: &str) -> Result<(), Status> {
    let authorization = format!("Bearer {token}");
    create(
        gateway.connect().await,
        &[("authorization", &authorization)],
    )
    .await
}

/// Asserts that it is the refusal of credentials, and gives its words.
fn unauthenticated(answer: Result<(), Status>) -> String {
    let status = answer.unwrap_err();
    let info = status.get_details_error_info().unwrap();
    assert_eq!(
        (status.code(), &*info.reason),
        (Code::Unauthenticated, "UNAUTHENTICATED")
    );
    assert_eq!(
        status.metadata().get("grpc-retry-pushback-ms").unwrap(),
        "-1"
    );
    status.message().to_owned()
}

#[tokio::test]
async fn a_static_token_names_its_caller_and_nothing_else_does() {
    let gateway = serve(&format!("{ADMITTED}{}", token_of("shop", TOKEN))).await;
    with_bearer(&gateway, TOKEN).await.unwrap();
    let anonymous = create(gateway.connect().await, &[("x-caller-id", "shop")]).await;
    let told = unauthenticated(anonymous);
    assert_eq!(
        told,
        "the call needs a bearer token in the metadata authorization"
    );
    let not_accepted =
        "the credentials are not accepted; they may be withdrawn, or meant for another service";
    for wrong in ["b0b2c3a9d6f14e58", "b0b2", "a.b.c", ""] {
        let told = unauthenticated(with_bearer(&gateway, wrong).await);
        assert_eq!(told, not_accepted, "{wrong:?}");
    }
    let bearer = format!("Bearer {TOKEN}");
    let basic = format!("Basic {TOKEN}");
    for values in [vec![&*basic], vec![&*bearer, &*bearer]] {
        let values: Vec<_> = values
            .iter()
            .map(|value| ("authorization", *value))
            .collect();
        let answer = create(gateway.connect().await, &values).await;
        assert_eq!(unauthenticated(answer), not_accepted);
    }
    create(
        gateway.connect().await,
        &[("authorization", &format!("bEARER {TOKEN}"))],
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn whom_no_rule_admits_is_refused_though_it_proved_who_it_is() {
    let gateway = serve(&format!("{ADMITTED}{}", token_of("stranger", TOKEN))).await;
    let status = with_bearer(&gateway, TOKEN).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

async fn reflects(gateway: &Running, authorization: Option<&str>) -> Result<(), Status> {
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let mut request = Request::new(tokio_stream::once(request));
    if let Some(value) = authorization {
        let metadata = request.metadata_mut();
        metadata.insert("authorization", value.parse().unwrap());
    }
    let channel = gateway.connect().await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let mut answers = client.server_reflection_info(request).await?.into_inner();
    answers.message().await.map(drop)
}

#[tokio::test]
async fn health_is_open_and_reflection_as_configured() {
    let bearer = format!("Bearer {TOKEN}");
    for (reflection, anonymous, known) in [
        ("open", None, None),
        ("authenticated", Some(Code::Unauthenticated), None),
        ("off", Some(Code::Unimplemented), Some(Code::Unimplemented)),
    ] {
        let auth = format!("[auth]\nreflection = '{reflection}'\n");
        let gateway = serve(&format!("{auth}{}", token_of("shop", TOKEN))).await;
        let mut states = watch_health(gateway.connect().await).await;
        until(&mut states, ServingStatus::Serving).await;
        let code = |answer: Result<(), Status>| answer.err().map(|status| status.code());
        assert_eq!(
            code(reflects(&gateway, None).await),
            anonymous,
            "{reflection}"
        );
        let answer = reflects(&gateway, Some(&bearer)).await;
        assert_eq!(code(answer), known, "{reflection}");
    }
}

#[tokio::test]
async fn a_certificate_names_its_caller_and_a_bearer_token_counts_before_it() {
    let authority = Authority::new();
    let secret = Secret::new(&authority.server(), &authority.pem());
    let tls = secret.mutual("client_auth = 'optional'");
    let gateway = serve(&format!("{tls}{ADMITTED}{}", token_of("shop", TOKEN))).await;
    let bearer = format!("Bearer {TOKEN}");
    let pair = |name| authority.client(name);
    let web = pair("spiffe://example.org/ns/pay/sa/web");
    let other = pair("spiffe://example.org/ns/pay/sa/other");
    let nameless = authority.nameless();
    let connect = |identity| channel(gateway.address, client(&authority, identity));
    create(connect(Some(&web)), &[]).await.unwrap();
    let status = create(connect(Some(&other)), &[]).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    for identity in [None, Some(&nameless)] {
        let told = unauthenticated(create(connect(identity), &[]).await);
        assert!(
            told.contains("certificate") && told.contains("bearer"),
            "{told}"
        );
    }
    create(connect(None), &[("authorization", &bearer)])
        .await
        .unwrap();
    create(connect(Some(&other)), &[("authorization", &bearer)])
        .await
        .unwrap();
    unauthenticated(create(connect(Some(&web)), &[("authorization", "Bearer wrong")]).await);
}

/// Signs tokens.
struct Issuer {
    key: EncodingKey,
    id: &'static str,
}

impl Issuer {
    fn new(id: &'static str) -> Self {
        let key = EncodingKey::from_ec_der(&KeyPair::generate().unwrap().serialize_der());
        Self { key, id }
    }

    fn jwk(&self) -> Jwk {
        let mut jwk = Jwk::from_encoding_key(&self.key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(self.id.to_owned());
        jwk
    }

    /// A token with these changes to good claims; `null` takes one out.
    fn token(&self, changes: Value) -> String {
        let mut claims = json!({
            "iss": "https://issuer.test",
            "aud": ["other", "gateway"],
            "sub": "shop",
            "exp": seconds_from_now(3600),
        });
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.id.to_owned());
        encode(&header, &claims, &self.key).unwrap()
    }
}

fn seconds_from_now(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap() + seconds
}

fn key_set(issuers: &[&Issuer]) -> String {
    let keys = issuers.iter().map(|issuer| issuer.jwk()).collect();
    serde_json::to_string(&JwkSet { keys }).unwrap()
}

fn jwt(jwks: &str) -> String {
    format!(
        "[auth.jwt]\nissuer = 'https://issuer.test'\naudience = 'gateway'\njwks = '{jwks}'\n{ADMITTED}"
    )
}

/// A gateway that has the issuer's keys.
async fn with_keys(jwks: &str) -> Running {
    let gateway = serve(&jwt(jwks)).await;
    let mut states = watch_health(gateway.connect().await).await;
    until(&mut states, ServingStatus::Serving).await;
    gateway
}

#[tokio::test]
async fn a_token_of_the_issuer_names_its_caller_if_all_of_it_is_right() {
    let (issuer, other) = (Issuer::new("a"), Issuer::new("a"));
    let keys = file(&key_set(&[&issuer]));
    let gateway = with_keys(&keys.path().display().to_string()).await;
    with_bearer(&gateway, &issuer.token(json!({})))
        .await
        .unwrap();
    let expired = issuer.token(json!({"exp": seconds_from_now(-3600)}));
    let told = unauthenticated(with_bearer(&gateway, &expired).await);
    assert_eq!(told, "the token has expired; get a new one");

    let good = issuer.token(json!({}));
    let (head, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = head.split_once('.').unwrap();
    let other_claims = issuer.token(json!({"sub": "spiffe://example.org/x/web"}));
    let claims = other_claims.split('.').nth(1).unwrap();
    // {"alg":"none","kid":"a"}
    let unsigned = "eyJhbGciOiJub25lIiwia2lkIjoiYSJ9";
    let mut hmac = Header::new(Algorithm::HS256);
    hmac.kid = Some("a".to_owned());
    let public = key_set(&[&issuer]);
    let confused = encode(
        &hmac,
        &json!({"iss": "https://issuer.test", "aud": "gateway", "sub": "shop", "exp": seconds_from_now(60)}),
        &EncodingKey::from_secret(public.as_bytes()),
    )
    .unwrap();
    let wrong = [
        issuer.token(json!({"iss": "https://other.test"})),
        issuer.token(json!({"aud": "other"})),
        issuer.token(json!({"nbf": seconds_from_now(3600)})),
        issuer.token(json!({"exp": null})),
        issuer.token(json!({"aud": null})),
        issuer.token(json!({"iss": null})),
        issuer.token(json!({"sub": null})),
        issuer.token(json!({"sub": "two words"})),
        other.token(json!({})),
        format!("{header}.{claims}.{signature}"),
        format!("{unsigned}.{claims}."),
        confused,
        format!("{head}."),
    ];
    for token in wrong {
        let told = unauthenticated(with_bearer(&gateway, &token).await);
        assert!(
            told.starts_with("the credentials are not accepted"),
            "{token}: {told}"
        );
    }
}

/// A server of key sets, and how often it was asked.
struct Published {
    url: String,
    keys: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

async fn publish(keys: String) -> Published {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let published = Published {
        url: format!("http://{}/jwks.json", listener.local_addr().unwrap()),
        keys: Arc::new(Mutex::new(keys)),
        asked: Arc::default(),
    };
    let (keys, asked) = (Arc::clone(&published.keys), Arc::clone(&published.asked));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            asked.fetch_add(1, Ordering::SeqCst);
            let body = keys.lock().unwrap().clone();
            answer(stream, &body).await;
        }
    });
    published
}

/// Answers one request over HTTP/1.1, whatever it asks for.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, body: &str) {
    // One small packet.
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await.unwrap();
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all((head + body).as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
}

#[tokio::test]
async fn keys_are_fetched_over_tls_from_a_server_that_the_bundle_vouches_for() {
    let (authority, issuer) = (Authority::new(), Issuer::new("a"));
    let pair = authority.server();
    let (certificate, key) = (file(&pair.certificate), file(&pair.key));
    let files = tls::Files {
        certificate: certificate.path().to_owned(),
        key: key.path().to_owned(),
        clients: None,
    };
    let mut server = ServerConfig::clone(
        tls::Material::read(&files)
            .unwrap()
            .config(tls::Purpose::Grpc),
    );
    server.alpn_protocols.clear();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let keys = key_set(&[&issuer]);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not believe the certificate hangs up.
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream, &keys).await;
            }
        }
    });
    let url = format!("https://localhost:{port}/keys");
    let bundle = file(&authority.pem());
    let bundle = format!("ca_bundle = '{}'", bundle.path().display());
    let toml = jwt(&url).replace("[auth.jwt]", &format!("[auth.jwt]\n{bundle}"));
    let gateway = serve(&toml).await;
    let mut states = watch_health(gateway.connect().await).await;
    until(&mut states, ServingStatus::Serving).await;
    with_bearer(&gateway, &issuer.token(json!({})))
        .await
        .unwrap();

    let gateway = serve(&jwt(&url)).await;
    let status = with_bearer(&gateway, &issuer.token(json!({}))).await;
    assert_eq!(status.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_key_id_that_is_not_known_is_looked_for_once_and_not_for_everybody_who_asks() {
    let (first, second) = (Issuer::new("a"), Issuer::new("b"));
    let published = publish(key_set(&[&first])).await;
    let gateway = with_keys(&published.url).await;
    with_bearer(&gateway, &first.token(json!({})))
        .await
        .unwrap();
    let asked = || published.asked.load(Ordering::SeqCst);
    assert_eq!(asked(), 1);
    // The keys were read a moment ago: a made-up id does not have them read again.
    *published.keys.lock().unwrap() = key_set(&[&first, &second]);
    for _ in 0..20 {
        unauthenticated(with_bearer(&gateway, &second.token(json!({}))).await);
    }
    assert_eq!(asked(), 1);
}

#[tokio::test]
async fn without_the_issuers_keys_tokens_are_not_judged_and_the_gateway_is_not_ready() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", gone.local_addr().unwrap());
    drop(gone);
    let gateway = serve(&jwt(&url)).await;
    let token = Issuer::new("a").token(json!({}));
    let status = with_bearer(&gateway, &token).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let reason = status.get_details_error_info().unwrap().reason;
    assert_eq!(reason, "KEYS_UNAVAILABLE");
    let mut states = watch_health(gateway.connect().await).await;
    until(&mut states, ServingStatus::NotServing).await;
}

#[tokio::test]
async fn callers_with_the_same_request_token_never_see_each_others_session() {
    let emulator = emulator().await;
    let hash = |token: &str| -> String {
        let digest = Sha256::digest(token);
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let tokens = ["shop", "pay"].map(|caller| {
        let sha256 = hash(&format!("{TOKEN}-{caller}"));
        format!("[[tokens]]\ncaller = '{caller}'\nsha256 = '{sha256}'\n")
    });
    let toml = format!("{ONE_REGION}{}", tokens.concat());
    let gateway = Running::configured(&emulator, &toml).await;
    let create = async |caller: &str| {
        let mut request = Request::new(CreateSessionRequest {
            client_request_token: Some("the-same".to_owned()),
            ..CreateSessionRequest::default()
        });
        let authorization = format!("Bearer {TOKEN}-{caller}").parse().unwrap();
        let metadata = request.metadata_mut();
        metadata.insert("authorization", authorization);
        let mut client = gateway.client().await;
        let session = client.create_session(request).await.unwrap().into_inner();
        (session.session_id, session.replayed)
    };
    let shops = create("shop").await;
    let pays = create("pay").await;
    assert_ne!(shops.0, pays.0);
    assert_eq!((shops.1, pays.1), (false, false));
    // Not through AWS's own memory of tokens either.
    let journal = emulator.journal();
    let sent = journal.requests.iter();
    let sent = sent.map(|request| request.body.as_ref().unwrap()["ClientRequestToken"].clone());
    let sent: Vec<_> = sent.collect();
    assert!(sent.len() == 2 && sent[0] != sent[1], "{sent:?}");
    assert_eq!(create("shop").await, (shops.0, true));
    assert_eq!(create("pay").await, (pays.0, true));
}
