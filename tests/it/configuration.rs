//! Flags over variables over the file over defaults.

use std::path::PathBuf;

use face_liveness_gateway::caller::Caller;
use face_liveness_gateway::config::{self, Config, Effective, Flags, Mistakes, Variables};

use crate::support::file;

fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

pub(crate) async fn load(
    flags: Flags,
    pairs: &[(&str, &str)],
    toml: Option<&str>,
) -> Result<(Config, Effective), (Mistakes, Option<PathBuf>)> {
    let toml = toml.map(file);
    let path = toml.as_ref().map(|file| file.path().to_owned());
    let flags = Flags {
        config: path.clone().or(flags.config),
        ..flags
    };
    let mut variables = variables(pairs);
    let nobody_is_asked = "FACE_LIVENESS_INSECURE_NO_AUTH".to_owned();
    variables
        .entry(nobody_is_asked)
        .or_insert("true".to_owned());
    config::load(&flags, &variables, Vec::new())
        .await
        .map_err(|mistakes| (mistakes, path))
}

/// The mistakes, with the file called `FILE`.
pub(crate) async fn mistakes(
    flags: Flags,
    pairs: &[(&str, &str)],
    toml: Option<&str>,
) -> Vec<String> {
    let (mistakes, path) = load(flags, pairs, toml).await.unwrap_err();
    let path = path
        .map(|path| path.display().to_string())
        .unwrap_or_else(|| "no file".to_owned());
    mistakes
        .as_slice()
        .iter()
        .map(|mistake| mistake.to_string().replace(&path, "FILE"))
        .collect()
}

pub(crate) fn flag(value: &str) -> Option<String> {
    Some(value.to_owned())
}

#[tokio::test]
async fn flags_win_over_variables_and_variables_over_the_file() {
    let toml =
        "region = 'us-east-1'\nlisten = '127.0.0.1:1'\nread_timeout = '1s'\nconnect_timeout = '1s'";
    let pairs = [
        ("FACE_LIVENESS_LISTEN", "127.0.0.1:2"),
        ("FACE_LIVENESS_READ_TIMEOUT", "2s"),
    ];
    let flags = Flags {
        listen: flag("127.0.0.1:3"),
        ..Flags::default()
    };
    let (config, effective) = load(flags, &pairs, Some(toml)).await.unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.aws.read_timeout.as_secs(), 2);
    assert_eq!(config.aws.connect_timeout.as_secs(), 1);

    let shown = effective.to_string();
    let source = |key: &str| {
        let line = shown
            .lines()
            .find(|line| line.starts_with(&format!("{key} =")))
            .unwrap();
        line.split_once('#').unwrap().1.trim().to_owned()
    };
    assert_eq!(source("listen"), "--listen");
    assert_eq!(source("read_timeout"), "FACE_LIVENESS_READ_TIMEOUT");
    assert!(source("connect_timeout").starts_with("file "), "{shown}");
    assert_eq!(source("max_in_flight"), "default");
}

#[tokio::test]
async fn what_check_config_prints_is_a_configuration_file_that_says_the_same() {
    let toml = "debug = true\n[server]\ndrain_delay = '1s'\n[[regions]]\nname = 'us-east-1'\n[[regions]]\nname = 'eu-west-1'\nendpoint_url = 'http://127.0.0.1:1'";
    let (_, effective) = load(Flags::default(), &[], Some(toml)).await.unwrap();
    let printed = effective.to_string();
    let (_, again) = load(Flags::default(), &[], Some(&printed)).await.unwrap();
    let values = |text: &str| {
        text.lines()
            .filter_map(|line| line.split('#').next())
            .map(|line| line.trim().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(values(&again.to_string()), values(&printed));
}

#[tokio::test]
async fn every_key_of_the_server_can_be_set_by_a_variable() {
    let pairs = [
        ("FACE_LIVENESS_REGION", "us-east-1"),
        ("FACE_LIVENESS_SERVER_MAX_IN_FLIGHT", "7"),
        ("FACE_LIVENESS_SERVER_DRAIN_DELAY", "0s"),
        ("FACE_LIVENESS_NO_SIGN_REQUEST", "true"),
        ("FACE_LIVENESS_PROFILE", "123"),
    ];
    let (config, _) = load(Flags::default(), &pairs, None).await.unwrap();
    assert_eq!(config.server.max_in_flight, 7);
    assert!(config.server.drain_delay.is_zero());
}

#[tokio::test]
async fn a_limit_in_a_variable_is_a_number_or_off() {
    let pairs = [
        ("FACE_LIVENESS_REGION", "us-east-1"),
        ("FACE_LIVENESS_QUOTA_CREATES_PER_SECOND", "10"),
        ("FACE_LIVENESS_QUOTA_CONCURRENT_SESSIONS", "off"),
    ];
    let (config, _) = load(Flags::default(), &pairs, None).await.unwrap();
    let limits = config.regions[0].limits;
    assert_eq!(limits.creates_per_second.unwrap().get(), 10);
    assert!(limits.sessions_in_flow.is_none());
    for wrong in ["0", "many", "-1"] {
        let pairs = [pairs[0], (pairs[1].0, wrong)];
        let told = mistakes(Flags::default(), &pairs, None).await;
        assert!(
            told[0].contains("a number above zero or \"off\""),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn region_picks_the_default_among_regions() {
    let toml = "[[regions]]\nname = 'us-east-1'\n[[regions]]\nname = 'eu-west-1'";
    let flags = Flags {
        region: flag("eu-west-1"),
        ..Flags::default()
    };
    let (config, _) = load(flags, &[], Some(toml)).await.unwrap();
    let names: Vec<_> = config
        .regions
        .iter()
        .map(|entry| entry.region.as_str())
        .collect();
    assert_eq!(names, ["eu-west-1", "us-east-1"]);
    let flags = Flags {
        region: flag("us-west-2"),
        ..Flags::default()
    };
    assert!(
        mistakes(flags, &[], Some(toml)).await[0].starts_with("--region: us-west-2 is not among")
    );
}

#[tokio::test]
async fn the_variables_that_kubernetes_sets_for_services_are_no_mistakes() {
    let pairs = [
        ("FACE_LIVENESS_REGION", "us-east-1"),
        ("FACE_LIVENESS_PORT", "tcp://10.0.0.1:50051"),
        ("FACE_LIVENESS_SERVICE_HOST", "10.0.0.1"),
        ("FACE_LIVENESS_SERVICE_PORT_GRPC", "50051"),
        ("FACE_LIVENESS_PORT_50051_TCP_ADDR", "10.0.0.1"),
        ("FACE_LIVENESS_GATEWAY_SERVICE_HOST", "10.0.0.1"),
        ("FACE_LIVENESS_GATEWAY_PORT", "tcp://10.0.0.1:50051"),
    ];
    assert!(load(Flags::default(), &pairs, None).await.is_ok());
    let typo = [
        ("FACE_LIVENESS_REGION", "us-east-1"),
        ("FACE_LIVENESS_PORT", "9000"),
    ];
    let told = mistakes(Flags::default(), &typo, None).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("FACE_LIVENESS_PORT: unknown variable"),
        "{told:?}"
    );
}

#[tokio::test]
async fn the_variables_of_aws_are_the_weakest_and_told_as_the_source() {
    let pairs = [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:4580"),
    ];
    let (config, effective) = load(Flags::default(), &pairs, None).await.unwrap();
    assert_eq!(config.regions[0].region.as_str(), "eu-west-1");
    assert!(config.regions[0].endpoint_url.is_some());
    let printed = effective.to_string();
    assert!(
        printed.contains("# AWS_REGION") && printed.contains("# AWS_ENDPOINT_URL"),
        "{printed}"
    );

    let file = Some("region = 'us-east-1'");
    let (config, _) = load(Flags::default(), &pairs, file).await.unwrap();
    assert_eq!(config.regions[0].region.as_str(), "us-east-1");

    let listed = Some("[[regions]]\nname = 'us-east-1'");
    assert!(load(Flags::default(), &pairs, listed).await.is_ok());

    let unlisted = [("AWS_REGION", "eu-central-1")];
    let told = mistakes(Flags::default(), &unlisted, None).await;
    assert!(
        told[0].starts_with("AWS_REGION: eu-central-1 has no Face Liveness"),
        "{told:?}"
    );
}

#[tokio::test]
async fn the_readme_lists_every_key_with_its_default() {
    let readme = include_str!("../../README.md");
    let (_, effective) = load(
        Flags {
            region: flag("us-east-1"),
            ..Flags::default()
        },
        &[],
        None,
    )
    .await
    .unwrap();
    let printed = effective.to_string();
    let mut table = String::new();
    for line in printed.lines().filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix('[') {
            table = format!("{}.", name.trim_end_matches(']'));
            continue;
        }
        let (setting, source) = line.trim_start_matches("# ").rsplit_once('#').unwrap();
        let (key, value) = setting.split_once('=').unwrap();
        let row = match source.trim() {
            "default" => format!("| `{table}{}` | `{}` |", key.trim(), value.trim()),
            _ => format!("| `{table}{}` |", key.trim()),
        };
        assert!(readme.contains(&row), "the README's table lacks {row}");
    }
}

#[tokio::test]
async fn a_variable_holds_a_list_and_what_is_printed_holds_the_callers_without_keys() {
    let toml = "[[callers]]\nid = 'shop'\nrate = 2.0\n[callers.policy]\nkms_keys = ['alias/hush']\nregions = ['eu-*']\n[callers.policy.defaults]\nkms_key = 'alias/hush'";
    let pairs = [
        ("FACE_LIVENESS_REGION", "us-east-1"),
        ("FACE_LIVENESS_DEFAULT_CALLER_POLICY_OUTPUTS", "a/x/, b"),
    ];
    let (_, effective) = load(Flags::default(), &pairs, Some(toml)).await.unwrap();
    let printed = effective.to_string();
    for line in [
        "outputs = [\"a/x/\", \"b\"]",
        "[[callers]]  # file",
        "[callers.policy]",
        "regions = [\"eu-*\"]",
    ] {
        assert!(printed.contains(line), "{line} is not in {printed}");
    }
    assert!(!printed.contains("hush"), "{printed}");
    // What is hidden must be put back before it can be used.
    let told = mistakes(Flags::default(), &[], Some(&printed)).await;
    let key = "FILE: callers[0].policy.defaults.kms_key: ";
    assert!(told.len() == 1 && told[0].starts_with(key), "{told:?}");
}

#[tokio::test]
async fn a_table_of_callers_may_be_named_for_one() {
    for name in ["caller", "callers"] {
        let toml = format!("region = 'us-east-1'\n[[{name}]]\nid = 'shop'\nweight = 3");
        let (config, _) = load(Flags::default(), &[], Some(&toml)).await.unwrap();
        let shop = Caller::named("shop").unwrap();
        assert_eq!(config.callers.rule(&shop).weight.get(), 3, "{name}");
    }
    let both = "[[caller]]\nid = 'shop'\n[[callers]]\nid = 'pay'";
    let told = mistakes(Flags::default(), &[], Some(both)).await;
    assert!(told[0].contains("[[caller]] and [[callers]]"), "{told:?}");
}

#[tokio::test]
async fn the_network_is_served_without_proof_of_identity_only_when_that_is_said() {
    let with = |listen: &str, insecure: &str| {
        let pairs = [
            ("FACE_LIVENESS_REGION", "us-east-1"),
            ("FACE_LIVENESS_LISTEN", listen),
            ("FACE_LIVENESS_INSECURE_NO_AUTH", insecure),
        ];
        pairs.map(|(name, value)| (name, value.to_owned()))
    };
    let told = async |listen: &str, insecure: &str, toml: Option<&str>| {
        let pairs = with(listen, insecure);
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        match load(Flags::default(), &pairs, toml).await {
            Ok((config, _)) => Ok(config.warnings().concat()),
            Err((mistakes, _)) => Err(mistakes.to_string()),
        }
    };
    for listen in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
        let refused = told(listen, "false", None).await.unwrap_err();
        assert!(
            refused.contains("FACE_LIVENESS_LISTEN: ") && refused.contains("--insecure-no-auth"),
            "{refused}"
        );
        assert!(
            told(listen, "true", None)
                .await
                .unwrap()
                .contains("insecure_no_auth is on")
        );
    }
    for listen in ["127.0.0.1:1", "[::1]:1"] {
        assert_eq!(told(listen, "false", None).await.unwrap(), "");
    }
    let token = format!("[[tokens]]\ncaller = 'a'\nsha256 = '{}'", "0a".repeat(32));
    let warned = told("0.0.0.0:1", "false", Some(&token)).await.unwrap();
    assert!(warned.contains("in plaintext"), "{warned}");
    assert!(warned.contains("ANY bucket"), "{warned}");
    for restricted in ["own_output = false", "outputs = ['audit/']"] {
        let toml = format!("{token}\n[default_caller.policy]\n{restricted}");
        let warned = told("0.0.0.0:1", "false", Some(&toml)).await.unwrap();
        assert!(!warned.contains("ANY bucket"), "{warned}");
        let own = format!("{toml}\n[[callers]]\nid = 'a'\npolicy.own_output = true");
        let warned = told("0.0.0.0:1", "false", Some(&own)).await.unwrap();
        assert_eq!(
            warned.contains("ANY bucket"),
            restricted.starts_with("own"),
            "{warned}"
        );
    }
}

#[tokio::test]
async fn the_password_of_the_quota_store_is_not_shown() {
    let flags = |store: &str| Flags {
        region: flag("us-east-1"),
        quota_store: flag(store),
        ..Flags::default()
    };
    let (_, effective) = load(flags("redis://me:hush@host"), &[], None)
        .await
        .unwrap();
    assert!(!effective.to_string().contains("hush"), "{effective}");
    let told = mistakes(flags("http://me:hush@host"), &[], None).await;
    assert!(told[0].starts_with("--quota-store: must be"), "{told:?}");
    assert!(!told[0].contains("hush"), "{told:?}");
}
