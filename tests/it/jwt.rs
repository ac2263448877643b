//! Tokens of an issuer: which are accepted, and where its keys come from.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use face_liveness_gateway::tls;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_types::StatusExt as _;

use crate::certificates::Authority;
use crate::http::{Answer, get};
use crate::identity::{ADMITTED, serve, unauthenticated, with_bearer};
use crate::reload::Scene;
use crate::support::{Running, emulator, file, until, watch_health};

/// Longer than anything here takes on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

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
    let (distrusted, mut was_distrusted) = watch::channel(false);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not believe the certificate hangs up.
            match acceptor.accept(stream).await {
                Ok(stream) => answer(stream, &keys).await,
                Err(_) => drop(distrusted.send_replace(true)),
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
    let hung_up = was_distrusted.wait_for(|distrusted| *distrusted);
    timeout(PATIENCE, hung_up).await.unwrap().unwrap();
    let status = with_bearer(&gateway, &issuer.token(json!({}))).await;
    assert_eq!(status.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn made_up_key_ids_do_not_have_the_keys_read_again_for_each() {
    let (issuer, stranger) = (Issuer::new("a"), Issuer::new("b"));
    let published = publish(key_set(&[&issuer])).await;
    let began = Instant::now();
    let gateway = with_keys(&published.url).await;
    for _ in 0..100 {
        unauthenticated(with_bearer(&gateway, &stranger.token(json!({}))).await);
    }
    with_bearer(&gateway, &issuer.token(json!({})))
        .await
        .unwrap();
    // On a machine that takes so long, more than once.
    let most = 1 + began.elapsed().as_secs() / 10;
    let asked = published.asked.load(Ordering::SeqCst);
    assert!(asked as u64 <= most, "{asked}");
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
    lacks_only_keys(gateway.admin).await;
}

/// Waits until everything but the issuer's keys is there, and asserts that this is not
/// enough.
async fn lacks_only_keys(admin: SocketAddr) {
    let ready = async || get(admin, "/readyz").await;
    let of = |answer: &Answer, name: &str| {
        let told: Value = serde_json::from_str(&answer.body).unwrap();
        let mut checks = told["checks"].as_array().unwrap().iter();
        let check = checks.find(|check| check["name"] == name).cloned();
        check.map(|check| check["ready"].clone())
    };
    let loaded =
        async { while of(&ready().await, "aws_credentials") != Some(Value::Bool(true)) {} };
    timeout(PATIENCE, loaded).await.unwrap();
    let answer = ready().await;
    assert_eq!(
        (answer.code, of(&answer, "jwt_keys")),
        (503, Some(Value::Bool(false)))
    );
}

#[tokio::test]
async fn a_server_of_keys_that_never_answers_holds_up_neither_calls_nor_other_proofs() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let token = crate::identity::token_of("shop", "static");
    let gateway = serve(&format!("{}{token}", jwt(&url))).await;
    let (asked, _) = timeout(PATIENCE, silent.accept()).await.unwrap().unwrap();
    let issuers = Issuer::new("a").token(json!({}));
    let status = with_bearer(&gateway, &issuers).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    with_bearer(&gateway, "static").await.unwrap();
    drop(asked);
}

#[tokio::test]
async fn a_reload_that_mends_the_place_of_the_keys_makes_the_gateway_ready() {
    let issuer = Issuer::new("a");
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", gone.local_addr().unwrap());
    drop(gone);
    let emulator = emulator().await;
    let scene = Scene::start(&emulator, &jwt(&url)).await;
    lacks_only_keys(scene.gateway.admin).await;
    let mut states = watch_health(scene.gateway.connect().await).await;
    until(&mut states, ServingStatus::NotServing).await;

    let published = publish(key_set(&[&issuer])).await;
    let (applied, waiting) = scene.reload(&jwt(&published.url)).await;
    assert_eq!(
        (applied, waiting.len()),
        (vec!["auth.jwt.jwks".to_owned()], 0)
    );
    until(&mut states, ServingStatus::Serving).await;
    assert_eq!(get(scene.gateway.admin, "/readyz").await.code, 200);
    with_bearer(&scene.gateway, &issuer.token(json!({})))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_reload_has_the_keys_read_again_and_keeps_those_it_has_till_then() {
    let issuer = Issuer::new("a");
    let published = publish(key_set(&[&issuer])).await;
    let toml = jwt(&published.url);
    let emulator = emulator().await;
    let scene = Scene::start(&emulator, &toml).await;
    let mut states = watch_health(scene.gateway.connect().await).await;
    until(&mut states, ServingStatus::Serving).await;
    assert_eq!(published.asked.load(Ordering::SeqCst), 1);
    scene.reload(&toml).await;
    let again = async {
        while published.asked.load(Ordering::SeqCst) < 2 {
            yield_now().await
        }
    };
    timeout(PATIENCE, again).await.unwrap();

    // The issuer is out of reach, and what changes needs no other keys.
    *published.keys.lock().unwrap() = "?".to_owned();
    let often = toml.replace("[auth.jwt]", "[auth.jwt]\nrefresh_interval = '1m'");
    scene.reload(&often).await;
    with_bearer(&scene.gateway, &issuer.token(json!({})))
        .await
        .unwrap();
}
