//! Secrets stay where they belong. Every field of a request, every header, the
//! gateway's credentials and what AWS answers are marked; then everything that
//! left the process is searched for the marks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use face_liveness_client::v1::{
    ChallengePreference, ChallengeType, ChallengeVersions, CreateSessionRequest, OutputConfig,
    Settings,
};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use prost::Message as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tonic::Status;

use crate::collector::Collector;
use crate::http::{get, send};
use crate::raw::{CREATE, GRPC, framed, post_to};
use crate::served::Served;
use crate::support::file;

/// Where something that left the process was found.
const LOG: &str = "standard error";
const STDOUT: &str = "standard output";
const OTLP: &str = "OTLP";

/// What the admin port serves.
const PAGES: [&str; 8] = [
    "/",
    "/status",
    "/metrics",
    "/livez",
    "/readyz",
    "/config",
    "/log-level",
    "/nowhere",
];

/// What is marked, by what it is. A mark is in no other.
const KEY: &str = "alias/mark-key-0001";
const TOKEN: &str = "mark-token-0002";
const BUCKET: &str = "mark-bucket-0003";
const PREFIX: &str = "mark-prefix-0004/";
const BEARER: &str = "mark-bearer-0005";
const ACCESS_KEY: &str = "AKIAMARK0006";
const SECRET_KEY: &str = "mark-secret-key-0007";
/// As long as those of AWS are at least.
const SESSION_TOKEN: &str = concat!(
    "mark-session-token-0008",
    "IQoJb3JpZ2luX2VjEPTxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
);
const SESSION: &str = "3a4a0009-0009-4009-8009-000000000009";
const REDIS_PASSWORD: &str = "mark-redis-0010";
const COLLECTOR_KEY: &str = "mark-collector-0011";

/// Has no secrets, but proves that the search finds what is there: the caller's
/// name is told in lines, spans and counts, being in the configuration; the id
/// that it gave its call, in lines and among the last refusals.
const CALLER: &str = "mark-caller-0012";
const REQUEST_ID: &str = "mark-request-id-0013";
/// A method that there is not is told in spans if it has the form of a name.
const METHOD: &str = "mark_0014.Service/Method";

/// Headers that hold marks.
const HEADERS: [(&str, &str); 16] = [
    (
        "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ),
    (
        "tracestate",
        "mark-state-0015=mark-state-0016,ot=mark-state-0017",
    ),
    ("baggage", "mark-baggage-0018=mark-baggage-0019"),
    ("user-agent", "mark-agent-0020"),
    ("x-caller-id", "mark-id-0021"),
    ("x-secret-bin", "bWFyay1iaW5hcnktMDAyMg"),
    ("cookie", "mark-cookie-0023"),
    ("x-api-key", "mark-api-key-0024"),
    ("x-amzn-trace-id", "Root=mark-xray-0025"),
    ("b3", "mark-b3-0026"),
    ("forwarded", "for=mark-forwarded-0027"),
    ("x-forwarded-for", "mark-forwarded-0028"),
    ("x-amzn-requestid", "mark-amzn-0029"),
    ("grpc-accept-encoding", "mark-encoding-0030"),
    ("accept", "mark-accept-0031"),
    ("x-real-ip", "mark-ip-0032"),
];

/// What comes in calls that are refused for it.
const REFUSED: [(&str, &str); 5] = [
    ("authorization", "Bearer mark-wrong-0040"),
    ("x-request-id", "mark unfit-0041"),
    ("grpc-timeout", "mark-timeout-0042"),
    ("grpc-encoding", "mark-encoding-0043"),
    ("content-type", "application/mark-type-0044"),
];

/// Everything marked that must not be found anywhere.
fn secrets() -> Vec<String> {
    let own = [
        KEY,
        TOKEN,
        BUCKET,
        PREFIX,
        BEARER,
        ACCESS_KEY,
        SECRET_KEY,
        SESSION_TOKEN,
        SESSION,
        REDIS_PASSWORD,
        COLLECTOR_KEY,
    ];
    let headers = HEADERS.iter().chain(&REFUSED).map(|(_, value)| *value);
    let marks = own.into_iter().chain(headers);
    let mut marks: Vec<String> = marks
        .flat_map(|text| text.split([' ', '=', ',', '/']))
        .filter(|word| word.contains("mark-") || word.contains("MARK") || word.contains("unfit"))
        .map(str::to_owned)
        .collect();
    let others = [
        SESSION,
        "mark-session-token-0008",
        "bWFyay1iaW5hcnktMDAyMg",
        "mark-binary-0022",
        "mark-path-0045",
    ];
    marks.extend(others.map(str::to_owned));
    marks.extend((50..60).map(|number| format!("mark-field-00{number}")));
    marks
}

/// AWS as it may not be relied on: it repeats all that it was sent when it
/// refuses, and gives the session away before.
#[derive(Clone)]
struct Aws {
    address: SocketAddr,
    answers: Arc<Mutex<Vec<Answer>>>,
}

#[derive(Clone, Copy)]
enum Answer {
    Session,
    Malformed,
    Denied,
    Throttled,
}

impl Aws {
    /// Gives these answers, the last ones first, then sessions.
    async fn start(answers: &[Answer]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let aws = Self {
            address: listener.local_addr().unwrap(),
            answers: Arc::new(Mutex::new(answers.to_vec())),
        };
        let router = Router::new().fallback(answer).with_state(aws.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(router.clone());
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        aws
    }
}

async fn answer(
    State(aws): State<Aws>,
    headers: HeaderMap,
    body: String,
) -> axum::response::Response {
    let next = aws.answers.lock().unwrap().pop().unwrap_or(Answer::Session);
    let header = |name| headers.get(name).map(|value| value.to_str().unwrap());
    let signed = [
        "x-amz-security-token",
        "authorization",
        "x-amzn-trace-id",
        "user-agent",
    ]
    .map(header);
    let said = format!("{SESSION} {body} {signed:?}");
    let refused = |code, kind| (code, json!({ "__type": kind, "message": said }));
    let (code, body): (StatusCode, Value) = match next {
        Answer::Session => (StatusCode::OK, json!({ "SessionId": SESSION })),
        Answer::Malformed => (
            StatusCode::OK,
            json!({ "SessionId": format!("x{SESSION}") }),
        ),
        Answer::Denied => refused(StatusCode::BAD_REQUEST, "AccessDeniedException"),
        Answer::Throttled => refused(StatusCode::INTERNAL_SERVER_ERROR, "ThrottlingException"),
    };
    let kind = [("content-type", "application/x-amz-json-1.1")];
    (code, kind, body.to_string()).into_response()
}

/// A request whose every field is marked and allowed.
fn marked() -> CreateSessionRequest {
    CreateSessionRequest {
        kms_key_id: Some(KEY.to_owned()),
        client_request_token: Some(TOKEN.to_owned()),
        settings: Some(Settings {
            output_config: Some(OutputConfig {
                s3_bucket: BUCKET.to_owned(),
                s3_key_prefix: Some(PREFIX.to_owned()),
            }),
            audit_images_limit: Some(2),
            challenge_preferences: vec![ChallengePreference {
                r#type: ChallengeType::FaceMovement.into(),
                versions: None,
            }],
        }),
        region: None,
    }
}

/// A request whose every field is marked and not allowed.
fn unfit() -> CreateSessionRequest {
    let text = |number| format!("mark-field-00{number} unfit");
    CreateSessionRequest {
        kms_key_id: Some(text(50)),
        client_request_token: Some(text(51)),
        settings: Some(Settings {
            output_config: Some(OutputConfig {
                s3_bucket: text(52),
                s3_key_prefix: Some(format!("{}\u{0}", text(53))),
            }),
            audit_images_limit: None,
            challenge_preferences: vec![ChallengePreference {
                r#type: 77,
                versions: Some(ChallengeVersions {
                    minimum: Some(text(54)),
                    maximum: Some(text(55)),
                }),
            }],
        }),
        region: Some(text(56)),
    }
}

/// Calls with all headers, of which `own` replace their like. Gives the status.
async fn call(
    served: &Served,
    path: &str,
    request: &CreateSessionRequest,
    own: &[(&str, &str)],
) -> Option<Status> {
    let bearer = format!("Bearer {BEARER}");
    let always = [
        GRPC,
        ("authorization", &bearer),
        ("x-request-id", REQUEST_ID),
    ];
    let others = always.iter().chain(&HEADERS);
    let others = others.filter(|(name, _)| own.iter().all(|(replaced, _)| replaced != name));
    let headers: Vec<_> = others.chain(own).copied().collect();
    let message = request.encode_to_vec();
    let body = framed(u32::try_from(message.len()).unwrap(), &message);
    let answer = post_to(served.address, path, &headers, body).await;
    Status::from_header_map(answer.headers())
}

/// Everything that leaves the process while it is used in every way.
async fn everything_told() -> BTreeMap<String, String> {
    let aws = Aws::start(&[
        Answer::Malformed,
        Answer::Throttled,
        Answer::Denied,
        Answer::Session,
    ])
    .await;
    let collector = Collector::start().await;
    let digest = Sha256::digest(BEARER);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let toml = file(&format!(
        "quota_store = 'redis://user:{REDIS_PASSWORD}@127.0.0.1:9'\n\
         [[callers]]\nid = '{CALLER}'\n[[tokens]]\ncaller = '{CALLER}'\nsha256 = '{digest}'\n"
    ));
    let served = Served::start_for(
        &format!("http://{}", aws.address),
        &["--debug", "--config", toml.path().to_str().unwrap()],
        &[
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_SESSION_TOKEN", SESSION_TOKEN),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                &format!("api-key={COLLECTOR_KEY}"),
            ),
            ("FACE_LIVENESS_TELEMETRY_ACCESS_LOG_SAMPLE", "1"),
            ("FACE_LIVENESS_TELEMETRY_AWS_TRACE_HEADER", "true"),
        ],
    );
    // Made, repeated, and refused by AWS in its own ways.
    assert!(call(&served, CREATE, &marked(), &[]).await.is_none());
    assert!(call(&served, CREATE, &marked(), &[]).await.is_none());
    for number in 0..3 {
        let request = CreateSessionRequest {
            client_request_token: Some(format!("{TOKEN}-{number}")),
            ..marked()
        };
        // One of them is tried again, and well.
        let _ = call(&served, CREATE, &request, &[]).await;
    }
    assert!(aws.answers.lock().unwrap().is_empty());
    assert!(call(&served, CREATE, &unfit(), &[]).await.is_some());
    for header in REFUSED {
        let _ = call(&served, CREATE, &marked(), &[header]).await;
    }
    for path in ["/mark-path-0045", &format!("/{METHOD}")] {
        let _ = call(&served, path, &marked(), &[]).await;
    }
    let mut told = BTreeMap::new();
    for page in PAGES {
        let answer = get(served.admin, page).await;
        told.insert(
            page.to_owned(),
            format!("{:?}{}", answer.headers, answer.body),
        );
    }
    let body = r#"{"filter": "mark-field-0057"}"#;
    let put = format!(
        "PUT /log-level HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // What is said to the operator may repeat what the operator said.
    send(served.admin, &put).await;
    let served = tokio::task::spawn_blocking(move || {
        let mut served = served;
        served.end();
        served
    });
    let mut served = served.await.unwrap();
    told.insert(LOG.to_owned(), served.lines.join("\n"));
    told.insert(STDOUT.to_owned(), served.stdout());
    let bytes = collector.bytes();
    told.insert(
        OTLP.to_owned(),
        String::from_utf8_lossy(&bytes).into_owned(),
    );
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_that_is_told_holds_a_secret() {
    let told = everything_told().await;
    let found_in = |mark: &str| -> BTreeSet<&str> {
        let places = told.iter().filter(|(_, text)| text.contains(mark));
        places.map(|(place, _)| place.as_str()).collect()
    };
    for secret in secrets() {
        assert_eq!(found_in(&secret), BTreeSet::new(), "{secret}");
    }
    // What may be told is, or the search would find nothing.
    assert_eq!(
        found_in(CALLER),
        BTreeSet::from([LOG, OTLP, "/config", "/metrics", "/status"])
    );
    assert_eq!(found_in(REQUEST_ID), BTreeSet::from([LOG, OTLP, "/status"]));
    assert_eq!(found_in(METHOD), BTreeSet::from([OTLP]));
}
