//! What shows on a terminal only. `script` makes one.

use std::path::Path;
use std::time::Duration;

use face_liveness_client::Reason;
use face_liveness_client::testing::{FakeGateway, Refusal};

use crate::support::{BINARY, Program, gateway, recorded_session};

/// Everything that a command line shows on a terminal.
async fn on_terminal(gateway: &FakeGateway, line: &str) -> String {
    let folder = Path::new(BINARY).parent().unwrap();
    let program = Program::new("script")
        .at(gateway)
        .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm")
        .args(["--quiet", "--return", "--command", line, "/dev/null"]);
    let ran = program.run().await;
    assert_eq!(ran.status, 0, "{ran:?}");
    ran.stdout
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_wait_of_more_than_a_second_shows() {
    let gateway = gateway().await;
    gateway.enqueue(Refusal::new(Reason::Overloaded).retry_after(Duration::from_millis(1100)));
    let shown = on_terminal(&gateway, "face-liveness create").await;
    let notice = "face-liveness: waiting 1.1 s before attempt 2 of 5: UNAVAILABLE (OVERLOADED)";
    assert!(shown.contains(notice), "{shown}");
    assert!(shown.contains("\"SessionId\""), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_short_wait_does_not_show() {
    let gateway = gateway().await;
    gateway.enqueue(Refusal::new(Reason::Overloaded));
    let shown = on_terminal(&gateway, "face-liveness create").await;
    assert!(!shown.contains("attempt 2"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn tables_are_in_colour_unless_forbidden() {
    let gateway = gateway().await;
    for (options, has_color) in [("", true), (" --color off", false)] {
        gateway.enqueue(recorded_session());
        let line = format!("face-liveness create --output table{options}");
        let shown = on_terminal(&gateway, &line).await;
        assert_eq!(
            shown.contains("\u{1b}[1m\u{1b}[34mSessionId"),
            has_color,
            "{shown}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn bench_shows_its_progress() {
    let gateway = gateway().await;
    let line = "face-liveness bench --rate 20 --duration 500ms --output text --query Retries";
    let shown = on_terminal(&gateway, line).await;
    assert!(shown.contains(" sessions, 0 refused"), "{shown}");
}
