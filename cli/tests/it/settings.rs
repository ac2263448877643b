//! Where settings come from: options, variables, the profile.

use crate::support::{BINARY, Program, SESSION, gateway, recorded_session};

const CONFIG: &str = ".config/face-liveness/config.toml";

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_profile_sets_what_options_and_variables_leave_open() {
    let gateway = gateway().await;
    let endpoint = gateway.endpoint();
    let profile = format!(
        "[default]\nendpoint_url = \"http://127.0.0.1:9\"\n\n[staging]\nendpoint_url = \"{endpoint}\"\n\
         region = \"ap-south-1\"\noutput = \"text\"\ntoken = \"from-profile\"\n"
    );
    let program = || {
        gateway.enqueue(recorded_session());
        Program::new(BINARY).file(CONFIG, &profile).args(["create"])
    };
    let printed = program().args(["--profile", "staging"]).run().await.good();
    assert_eq!(printed, format!("{SESSION}\n"));
    let by_variable = program()
        .env("FACE_LIVENESS_CLI_PROFILE", "staging")
        .env("AWS_DEFAULT_OUTPUT", "json");
    let printed = by_variable
        .args(["--region", "us-west-2"])
        .run()
        .await
        .good();
    assert!(printed.starts_with('{'), "{printed}");
    let requests = gateway.requests();
    let regions: Vec<_> = requests
        .iter()
        .map(|request| request.message.region.as_deref())
        .collect();
    assert_eq!(regions, [Some("ap-south-1"), Some("us-west-2")]);
    assert_eq!(
        requests[0].text("authorization"),
        Some("Bearer from-profile")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_file_can_lie_elsewhere() {
    let gateway = gateway().await;
    let profile = format!("[default]\nendpoint_url = \"{}\"\n", gateway.endpoint());
    for (variable, value, file) in [
        (
            "FACE_LIVENESS_CLI_CONFIG_FILE",
            "elsewhere.toml",
            "elsewhere.toml",
        ),
        ("XDG_CONFIG_HOME", "xdg", "xdg/face-liveness/config.toml"),
    ] {
        let program = Program::new(BINARY)
            .file(file, &profile)
            .env(variable, value);
        program.args(["create"]).run().await.good();
    }
    assert_eq!(gateway.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn own_variables_win_over_the_aws_clis() {
    let gateway = gateway().await;
    let program = || Program::new(BINARY).at(&gateway).args(["create"]);
    let both = [("AWS_REGION", "aws"), ("FACE_LIVENESS_CLI_REGION", "own")];
    for count in 1..=2 {
        let with = both[..count]
            .iter()
            .fold(program(), |program, (name, value)| program.env(name, value));
        with.run().await.good();
    }
    let requests = gateway.requests();
    let regions: Vec<_> = requests
        .iter()
        .map(|request| request.message.region.as_deref())
        .collect();
    assert_eq!(regions, [Some("aws"), Some("own")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_means_nothing_is_told_before_anything_is_sent() {
    for (options, variables, message) in [
        (
            &["--profile", "nope"][..],
            None,
            "The config profile (nope) could not be found",
        ),
        (
            &[],
            Some(("FACE_LIVENESS_CLI_OUTPUT", "yaml")),
            "Unknown output type: yaml, must be one of: json, text, table",
        ),
        (
            &["--endpoint-url", "ftp://x"],
            None,
            "Bad value for --endpoint-url \"ftp://x\": scheme ftp is not supported.  Must be of the form http://<hostname>/ or https://<hostname>/",
        ),
        (
            &["--client-key", "k"],
            None,
            "The client's key is given alone; add --client-cert, its variable or its line in the profile",
        ),
    ] {
        let mut program = Program::new(BINARY).args(["create"]).args(options);
        if let Some((name, value)) = variables {
            program = program.env(name, value);
        }
        let ran = program.run().await;
        assert_eq!((ran.status, ran.last_error()), (255, message));
    }
}
