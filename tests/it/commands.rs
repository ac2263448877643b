//! The program as a user meets it: what it prints, and its exit status.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::Stdio;

use crate::program::{Started, gateway, lines_until, run, start};

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
fn a_taken_admin_port_is_told_before_any_work_is_done_and_can_be_switched_off() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let free = ["--listen", "127.0.0.1:0", "--admin-listen", &address];
    let (code, out, err) = run(&[&["serve", "--region", "us-east-1"][..], &free].concat());
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(
        err.contains(&address) && err.contains("--admin-listen off"),
        "{err}"
    );
    assert!(!err.contains("configuration in force"), "{err}");
    let wrong = ["--region", "us-east-1", "--admin-listen", "of"];
    let (code, _, err) = run(&[&["check-config"][..], &wrong].concat());
    assert_eq!(code, Some(64));
    assert!(err.contains("--admin-listen: must be an address"), "{err}");
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
