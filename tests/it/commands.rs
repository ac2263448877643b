//! The program as a user meets it: what it prints, and its exit status.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use crate::support::{Running, emulator};

fn gateway(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_face-liveness-gateway"));
    command
        .args(args)
        .env_clear()
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// The exit status, standard output and standard error.
fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = gateway(args).output().unwrap();
    (
        status.code(),
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

/// A program that is killed when the test ends.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(args: &[&str]) -> Started {
    Started(
        gateway(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    )
}

/// Reads lines up to the one that contains `mark`.
fn lines_until(out: &mut BufReader<ChildStdout>, mark: &str) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        assert_ne!(
            out.read_line(&mut line).unwrap(),
            0,
            "ended before {mark:?}: {lines:?}"
        );
        lines.push(line);
        if lines.iter().any(|line| line.contains(mark)) {
            return lines;
        }
    }
}

#[test]
fn wrong_arguments_exit_with_64_and_wrong_arguments_of_healthcheck_with_1() {
    assert_eq!(run(&[]).0, Some(64));
    assert_eq!(run(&["no-such-command"]).0, Some(64));
    assert_eq!(run(&["dev", "--bogus"]).0, Some(64));
    assert_eq!(run(&["healthcheck", "--bogus"]).0, Some(1));
    assert_eq!(run(&["healthcheck", "--timeout", "soon"]).0, Some(1));
    assert_eq!(run(&["--version"]).0, Some(0));
}

#[test]
fn check_config_tells_unknown_flags_together_with_the_other_mistakes() {
    let (code, out, err) = run(&[
        "check-config",
        "--bogus",
        "--listen",
        "here",
        "--region",
        "mars",
    ]);
    assert_eq!((code, out.as_str()), (Some(64), ""));
    for place in ["3 mistakes", "--bogus: ", "--listen: ", "--region: "] {
        assert!(err.contains(place), "{err}");
    }
}

#[test]
fn check_config_prints_what_is_in_force() {
    let (code, out, err) = run(&[
        "check-config",
        "--region",
        "eu-west-1",
        "--listen",
        "127.0.0.1:1",
    ]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.contains("region = \"eu-west-1\""), "{out}");
    assert!(out.contains("# --region"), "{out}");
}

#[test]
fn check_config_tells_what_a_caller_may_do_and_what_becomes_of_a_request() {
    let config = crate::support::file(
        "region = 'eu-west-1'\nlisten = '127.0.0.1:1'\n[default_caller]\nadmitted = false\n\
         [[callers]]\nid = 'shop-*'\npolicy.outputs = ['audit/{caller}/']\n",
    );
    let path = config.path().display().to_string();
    let ask = |caller: &str, request: Option<&str>| {
        let mut args = vec!["check-config", "--config", &path, "--as", caller];
        args.extend(request.iter().flat_map(|json| ["--request", json]));
        run(&args)
    };
    let (code, out, err) = ask("shop-1", None);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(
        out.contains("shop-1: the rule of callers \"shop-*\" holds"),
        "{out}"
    );
    assert!(out.contains("audit/shop-1/"), "{out}");

    let place = |bucket| {
        format!(
            r#"{{"settings": {{"outputConfig": {{"s3_bucket": "{bucket}", "s3KeyPrefix": "shop-1/"}}}}}}"#
        )
    };
    let (code, out, _) = ask("shop-1", Some(&place("audit")));
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("output              audit/shop-1/"), "{out}");
    let (code, out, _) = ask("shop-1", Some(&place("other")));
    assert_eq!(code, Some(1), "{out}");
    assert!(
        out.contains("PermissionDenied / POLICY\n  settings.output_config.s3_bucket: "),
        "{out}"
    );
    assert_eq!(ask("nobody", None).0, Some(1));
    let (code, out, err) = ask("shop-1", Some(r#"{"colour": "red"}"#));
    assert_eq!((code, out.as_str()), (Some(64), ""));
    assert!(
        err.contains("--request: not a") && err.contains("colour"),
        "{err}"
    );
}

#[test]
fn without_a_region_serve_says_how_to_name_one() {
    let (code, _, err) = run(&["serve"]);
    assert_eq!(code, Some(64));
    assert!(
        err.contains("region: is set nowhere: set --region, FACE_LIVENESS_REGION"),
        "{err}"
    );
}

#[test]
fn a_taken_port_is_told_with_the_address_and_the_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, err) = run(&["serve", "--region", "us-east-1", "--listen", &address]);
    assert_eq!(code, Some(1));
    assert!(err.contains(&address) && err.contains("--listen"), "{err}");
    let (code, _, err) = run(&[
        "dev",
        "--listen",
        "127.0.0.1:0",
        "--emulator-listen",
        &address,
    ]);
    assert_eq!(code, Some(1));
    assert!(
        err.contains(&address) && err.contains("--emulator-listen"),
        "{err}"
    );
}

#[test]
fn serve_prints_version_address_and_configuration_and_warns_of_unverified_tls() {
    let mut served = start(&[
        "serve",
        "--region",
        "us-east-1",
        "--listen",
        "127.0.0.1:0",
        "--no-sign-request",
        "--no-verify-ssl",
        "--log-format",
        "json",
    ]);
    let mut err = BufReader::new(served.0.stderr.take().unwrap());
    let mut log = String::new();
    while !log.contains("ready: serving") {
        assert_ne!(err.read_line(&mut log).unwrap(), 0, "{log}");
    }
    for expected in [
        env!("CARGO_PKG_VERSION"),
        "127.0.0.1:",
        "max_in_flight",
        "no_verify_ssl is on: ANYONE",
    ] {
        assert!(log.contains(expected), "{expected} is not in {log}");
    }
    for line in log.lines() {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).is_ok(),
            "{line}"
        );
    }
}

#[test]
fn dev_makes_a_session_and_prints_where_everything_is() {
    let mut dev = start(&[
        "dev",
        "--listen",
        "127.0.0.1:0",
        "--emulator-listen",
        "127.0.0.1:0",
    ]);
    let mut out = BufReader::new(dev.0.stdout.take().unwrap());
    let printed = lines_until(&mut out, "Ctrl-C").concat();
    assert!(printed.contains("Not for production"), "{printed}");
    let session = printed
        .lines()
        .find_map(|line| line.trim().strip_prefix("session "))
        .unwrap();
    let id = session.split_whitespace().next().unwrap();
    assert_eq!(id.len(), 36, "{session}");
    for line in [
        "grpcurl -plaintext 127.0.0.1:",
        "boto3.client(\"rekognition\"",
        "_emulator/journal",
    ] {
        assert!(printed.contains(line), "{line} is not in {printed}");
    }
}

#[tokio::test]
async fn healthcheck_tells_serving_from_the_ways_of_not_serving() {
    let gateway = Running::over(&emulator().await).await;
    let address = gateway.address.to_string();
    crate::support::until(
        &mut crate::support::watch_health(gateway.connect().await).await,
        tonic_health::pb::health_check_response::ServingStatus::Serving,
    )
    .await;
    let check = |args: Vec<String>| async move {
        let args = [vec!["healthcheck".to_owned(), "--address".to_owned()], args].concat();
        tokio::task::spawn_blocking(move || {
            run(&args.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .await
        .unwrap()
    };
    assert_eq!(
        check(vec![address.clone()]).await,
        (Some(0), "SERVING\n".to_owned(), String::new())
    );
    assert_eq!(check(vec!["127.0.0.1:9".to_owned()]).await.0, Some(2));
    let unknown = vec![
        address.clone(),
        "--service".to_owned(),
        "no.such.Service".to_owned(),
    ];
    assert_eq!(check(unknown).await.0, Some(3));
}

#[test]
fn healthcheck_tells_a_gateway_that_does_not_serve_yet() {
    // Its profile does not exist, so it never gets credentials.
    let mut served = start(&[
        "serve",
        "--region",
        "us-east-1",
        "--listen",
        "127.0.0.1:0",
        "--profile",
        "none",
    ]);
    let mut err = BufReader::new(served.0.stderr.take().unwrap());
    let mut log = String::new();
    while !log.contains("not ready") {
        assert_ne!(err.read_line(&mut log).unwrap(), 0, "{log}");
    }
    let address = log
        .split("address=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let (code, _, problem) = run(&["healthcheck", "--address", &address]);
    assert_eq!(
        (code, problem.contains("NOT_SERVING")),
        (Some(4), true),
        "{problem}"
    );
}

#[test]
fn a_signal_ends_in_good_order() {
    let mut dev = start(&[
        "dev",
        "--listen",
        "127.0.0.1:0",
        "--emulator-listen",
        "127.0.0.1:0",
    ]);
    let mut out = BufReader::new(dev.0.stdout.take().unwrap());
    lines_until(&mut out, "Ctrl-C");
    let killed = Command::new("kill")
        .arg(dev.0.id().to_string())
        .status()
        .unwrap();
    assert!(killed.success());
    let mut log = String::new();
    dev.0
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    assert!(log.contains("shut down: every call has finished"), "{log}");
    assert_eq!(dev.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut dev = start(&[
        "serve",
        "--region",
        "us-east-1",
        "--listen",
        "127.0.0.1:0",
        "--no-sign-request",
    ]);
    let mut err = BufReader::new(dev.0.stderr.take().unwrap());
    let mut log = String::new();
    let signal = |process: &Started| {
        let killed = Command::new("kill")
            .arg(process.0.id().to_string())
            .status();
        assert!(killed.unwrap().success());
    };
    // The first begins the drain delay of five seconds, which the second cuts.
    for (mark, again) in [
        ("ready: serving", true),
        ("a second signal ends at once", true),
        ("ended at once", false),
    ] {
        while !log.contains(mark) {
            assert_ne!(err.read_line(&mut log).unwrap(), 0, "{log}");
        }
        if again {
            signal(&dev);
        }
    }
    assert_eq!(dev.0.wait().unwrap().code(), Some(130));
}

#[test]
fn an_explicit_profile_wins_over_the_variables_of_another_account() {
    let mut command = gateway(&[
        "serve",
        "--region",
        "us-east-1",
        "--listen",
        "127.0.0.1:0",
        "--profile",
        "none",
    ]);
    command
        .env("AWS_ACCESS_KEY_ID", "other")
        .env("AWS_SECRET_ACCESS_KEY", "account");
    let mut served = Started(command.stderr(Stdio::piped()).spawn().unwrap());
    let mut err = BufReader::new(served.0.stderr.take().unwrap());
    let mut log = String::new();
    while !log.contains("not ready") {
        assert_ne!(err.read_line(&mut log).unwrap(), 0, "{log}");
        assert!(!log.contains("ready: serving"), "{log}");
    }
    assert!(log.contains("none"), "the reason is not told: {log}");
}

#[test]
fn a_variable_that_is_not_unicode_is_a_mistake() {
    use std::os::unix::ffi::OsStrExt as _;
    let mut command = gateway(&["check-config", "--region", "us-east-1"]);
    command.env(
        "FACE_LIVENESS_PROFILE",
        std::ffi::OsStr::from_bytes(b"pr\xff"),
    );
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        err.contains("FACE_LIVENESS_PROFILE: must be UTF-8"),
        "{err}"
    );
}

#[test]
fn the_log_tells_why_aws_refused_and_keeps_secrets_to_itself() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let emulator = emulator().await;
        emulator.set_faults([rekognition_emulator::Fault::access_denied()]);
        let mut command = gateway(&[
            "serve",
            "--region",
            "us-east-1",
            "--listen",
            "127.0.0.1:0",
            "--debug",
            "--endpoint-url",
            &emulator.endpoint_url(),
            "--log-format",
            "json",
        ]);
        command
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test");
        let mut served = Started(command.stderr(Stdio::piped()).spawn().unwrap());
        let mut err = BufReader::new(served.0.stderr.take().unwrap());
        let mut log = String::new();
        while !log.contains("ready: serving") {
            assert_ne!(err.read_line(&mut log).unwrap(), 0, "{log}");
        }
        let address = log
            .split("\"address\":\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
            .unwrap()
            .connect_lazy();
        let mut client =
            face_liveness_client::v1::face_liveness_service_client::FaceLivenessServiceClient::new(
                channel,
            );
        let mut request = tonic::Request::new(face_liveness_client::v1::CreateSessionRequest {
            client_request_token: Some("hush-token".to_owned()),
            kms_key_id: Some("alias/hush-key".to_owned()),
            ..Default::default()
        });
        request
            .metadata_mut()
            .insert("x-request-id", "find-me".parse().unwrap());
        client.create_session(request).await.unwrap_err();
        while !log.contains("no session") {
            assert_ne!(err.read_line(&mut log).unwrap(), 0, "{log}");
        }
        assert!(log.contains("AccessDeniedException"), "{log}");
        assert!(log.contains("\"request_id\":\"find-me\""), "{log}");
        assert!(!log.contains("hush") && !log.contains("AKID"), "{log}");
    });
}
