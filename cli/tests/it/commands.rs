//! The other commands, and help.

use std::net::SocketAddr;

use face_liveness_client::Reason;
use face_liveness_client::testing::Refusal;
use face_liveness_client::v1;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic_health::ServingStatus;

use crate::support::{BINARY, Program, Ran, gateway, offline};

/// A server with health checks and reflection, as the gateway has them.
async fn server(status: ServingStatus) -> SocketAddr {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("", status).await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(v1::FILE_DESCRIPTOR_SET)
        .build_v1()
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = Server::builder()
        .add_service(health)
        .add_service(reflection)
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(serving);
    address
}

async fn run(address: SocketAddr, words: &[&str]) -> Ran {
    let url = format!("http://{address}");
    Program::new(BINARY)
        .env("FACE_LIVENESS_ENDPOINT_URL", url)
        .args(words)
        .run()
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn health_says_by_its_status_whether_the_gateway_serves() {
    for (status, exit, shown) in [
        (ServingStatus::Serving, 0, "SERVING"),
        (ServingStatus::NotServing, 1, "NOT_SERVING"),
    ] {
        let ran = run(
            server(status).await,
            &["health", "--query", "Status", "--output", "text"],
        )
        .await;
        assert_eq!((ran.status, ran.stdout), (exit, format!("{shown}\n")));
    }
    let address = server(ServingStatus::Serving).await;
    let ran = run(address, &["health", "--service", "nope"]).await;
    assert_eq!(ran.status, 255);
    assert!(
        ran.last_error()
            .starts_with("An error occurred (NOT_FOUND) when calling the Health.Check")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn describe_shows_services_methods_and_messages_through_reflection() {
    let address = server(ServingStatus::Serving).await;
    let answer: Value = serde_json::from_str(&run(address, &["describe"]).await.good()).unwrap();
    let names = |kind: &str| -> Vec<String> {
        let items = answer[kind].as_array().unwrap().iter();
        items
            .map(|item| item["Name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert!(
        names("Services").contains(&v1::SERVICE_NAME.to_owned()),
        "{answer}"
    );
    assert!(names("Messages").contains(&"faceliveness.v1.CreateSessionRequest".to_owned()));
    assert!(names("Enumerations").contains(&"faceliveness.v1.ChallengeType".to_owned()));

    let words = [
        "describe",
        "--symbol",
        "faceliveness.v1.Settings",
        "--query",
        "Messages[].Fields[].Name",
        "--output",
        "text",
    ];
    let fields = run(address, &words).await.good();
    assert_eq!(
        fields,
        "output_config\taudit_images_limit\tchallenge_preferences\n"
    );

    let ran = run(address, &["describe", "--symbol", "nope.Nope"]).await;
    assert_eq!(ran.status, 255);
    assert!(ran.last_error().contains("(NOT_FOUND)"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn bench_reports_sessions_latencies_and_refusals_by_reason() {
    let gateway = gateway().await;
    gateway.enqueue(Refusal::new(Reason::Overloaded));
    let words = [
        "bench",
        "--rate",
        "50",
        "--duration",
        "400ms",
        "--concurrency",
        "2",
    ];
    let program = Program::new(BINARY).at(&gateway).args(words);
    let report: Value = serde_json::from_str(&program.run().await.good()).unwrap();
    let sessions = report["Sessions"].as_u64().unwrap();
    // All that were asked for, besides the attempt that was refused.
    assert_eq!(sessions + 1, gateway.requests().len() as u64);
    assert!((1..=21).contains(&sessions), "{report}");
    assert_eq!(report["Retries"], 1);
    assert!(report["LatencyMilliseconds"]["P99"].as_f64().unwrap() > 0.0);
    assert_eq!(report["Refusals"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn bench_ends_at_a_refusal_that_no_retry_helps() {
    let gateway = gateway().await;
    gateway.enqueue(Refusal::new(Reason::Unauthenticated));
    let words = [
        "bench",
        "--concurrency",
        "1",
        "--duration",
        "1h",
        "--query",
        "Refusals",
        "--output",
        "text",
    ];
    let ran = Program::new(BINARY).at(&gateway).args(words).run().await;
    assert_eq!(
        (ran.status, ran.stdout.as_str()),
        (255, "1\tUNAUTHENTICATED\n")
    );
    assert!(
        ran.stderr.contains("An error occurred (UNAUTHENTICATED)"),
        "{}",
        ran.stderr
    );
    assert_eq!(gateway.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_shell_gets_a_script_that_knows_the_options() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = offline(["completions", shell]).await.good();
        assert!(script.contains("client-request-token"), "{shell}");
    }
    let ran = offline(["completions", "cobol"]).await;
    assert_eq!(ran.status, 2);
    assert!(
        ran.stderr.contains("[possible values: bash, "),
        "{}",
        ran.stderr
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_command_has_help_with_examples() {
    for command in [
        "create-face-liveness-session",
        "create",
        "health",
        "describe",
        "bench",
        "completions",
    ] {
        let by_option = offline([command, "--help"]).await.good();
        assert!(
            by_option.contains("Examples:\n  face-liveness "),
            "{command}"
        );
        assert!(by_option.contains("--endpoint-url <URL>"), "{command}");
        assert_eq!(offline([command, "help"]).await.good(), by_option);
        assert_eq!(offline(["help", command]).await.good(), by_option);
    }
    let whole = offline(["help"]).await.good();
    assert!(
        whole.contains("Examples:") && whole.contains("completions"),
        "{whole}"
    );
    assert_eq!(offline(["--help"]).await.good(), whole);
    let summary = offline(["-h"]).await.good();
    assert!(
        summary.contains("--endpoint-url <URL>") && summary.lines().count() < whole.lines().count()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_version_is_printed() {
    let expected = format!("face-liveness {}\n", env!("CARGO_PKG_VERSION"));
    for flag in ["--version", "--vers", "-V"] {
        assert_eq!(offline([flag]).await.good(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_command_line_that_cannot_be_read_is_told_as_by_the_aws_cli() {
    for (words, status, last) in [
        (
            &[][..],
            2,
            "face-liveness: error: the following arguments are required: command",
        ),
        (
            &["rekognition"],
            2,
            "face-liveness: error: the following arguments are required: operation",
        ),
        (&["creat"], 2, "  * create"),
        (
            &["create", "a", "b", "--bogus"],
            255,
            "Unknown options: b, --bogus, a",
        ),
        (
            &["create", "--c", "x"],
            2,
            "face-liveness: error: ambiguous option: --c could match --color, --ca-bundle, --cli-read-timeout, --cli-connect-timeout",
        ),
        (
            &["create", "--debug=x"],
            2,
            "face-liveness: error: argument --debug: ignored explicit argument 'x'",
        ),
        (
            &["bench", "--rate", "0"],
            2,
            "face-liveness: error: invalid value '0' for '--rate <RATE>': must be a number from 0.001 to 1000",
        ),
    ] {
        let ran = offline(words).await;
        assert_eq!(
            (ran.status, ran.last_error()),
            (status, last),
            "{words:?}\n{}",
            ran.stderr
        );
        assert!(
            ran.stderr.starts_with("usage: face-liveness "),
            "{}",
            ran.stderr
        );
    }
}
