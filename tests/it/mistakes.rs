//! Every mistake in the configuration is told, all at once, with its place.

use std::collections::BTreeSet;

use face_liveness_gateway::config::Flags;

use crate::configuration::{flag, load, mistakes};
use crate::support::file;

#[tokio::test]
async fn all_mistakes_are_told_at_once_each_with_its_place() {
    let toml = "
        region = 'eu-central-1'
        colour = 'red'
        listen = 'here'
        connect_timeout = 5
        [server]
        drain_delay = '5'
        max_in_flight = 0
        bogus = 1
    ";
    let pairs = [
        ("FACE_LIVENESS_READ_TIMEOUT", "soon"),
        ("FACE_LIVENESS_COLOUR", "red"),
        ("AWS_ACCESS_KEY_ID", "AKID"),
    ];
    let flags = Flags {
        debug: flag("maybe"),
        endpoint_url: flag("localhost"),
        ..Flags::default()
    };
    let told = mistakes(flags, &pairs, Some(toml)).await;
    let places: BTreeSet<_> = told
        .iter()
        .map(|mistake| mistake.split(": ").next().unwrap())
        .collect();
    let expected = BTreeSet::from([
        "--debug",
        "--endpoint-url",
        "AWS_SECRET_ACCESS_KEY",
        "FACE_LIVENESS_COLOUR",
        "FACE_LIVENESS_READ_TIMEOUT",
        "FILE",
    ]);
    assert_eq!(places, expected, "{told:#?}");
    let keys: Vec<_> = told
        .iter()
        .filter_map(|mistake| mistake.strip_prefix("FILE: ")?.split(": ").next())
        .collect();
    assert_eq!(
        keys,
        [
            "colour",
            "connect_timeout",
            "listen",
            "region",
            "server.bogus",
            "server.drain_delay",
            "server.max_in_flight"
        ]
    );
}

#[tokio::test]
async fn a_mistake_in_a_flag_does_not_hide_one_in_the_file_beneath_it() {
    let flags = Flags {
        listen: flag("there"),
        region: flag("us-east-1"),
        ..Flags::default()
    };
    let told = mistakes(flags, &[], Some("listen = 'here'")).await;
    assert_eq!(told.len(), 2, "{told:?}");
}

#[tokio::test]
async fn mistakes_in_lists_are_told_with_their_index() {
    let toml = "
        [[regions]]
        name = 'eu-central-1'
        [[regions]]
        nam = 'us-east-1'
        [[regions]]
        name = 'us-east-1'
        endpoint_url = 'ftp://x'
        [[regions]]
        name = 'us-east-1'
    ";
    let told = mistakes(Flags::default(), &[], Some(toml)).await;
    let keys: Vec<_> = told
        .iter()
        .filter_map(|mistake| mistake.strip_prefix("FILE: ")?.split(": ").next())
        .collect();
    assert_eq!(
        keys,
        [
            "regions[0].name",
            "regions[1].nam",
            "regions[1].name",
            "regions[2].endpoint_url",
            "regions[3].name"
        ],
        "{told:#?}"
    );
}

#[tokio::test]
async fn a_region_without_face_liveness_is_refused_with_the_list_unless_allowed() {
    let flags = || Flags {
        region: flag("eu-central-1"),
        ..Flags::default()
    };
    let told = mistakes(flags(), &[], None).await;
    assert!(
        told[0].starts_with("--region: eu-central-1 has no Face Liveness"),
        "{told:?}"
    );
    assert!(told[0].contains("ap-southeast-7"), "{told:?}");
    let allowed = Flags {
        allow_unlisted_region: flag("true"),
        ..flags()
    };
    assert!(load(allowed, &[], None).await.is_ok());
}

#[tokio::test]
async fn a_file_that_is_missing_or_not_toml_is_told_with_who_named_it() {
    let missing = Flags {
        config: Some("/no/such/file".into()),
        region: flag("us-east-1"),
        ..Flags::default()
    };
    let told = mistakes(missing, &[], None).await;
    assert!(
        told[0].starts_with("--config: cannot read /no/such/file"),
        "{told:?}"
    );
    let pairs = [
        ("FACE_LIVENESS_CONFIG", "/no/such/file"),
        ("FACE_LIVENESS_REGION", "us-east-1"),
    ];
    let told = mistakes(Flags::default(), &pairs, None).await;
    assert!(
        told[0].starts_with("FACE_LIVENESS_CONFIG: cannot read"),
        "{told:?}"
    );
    let flags = Flags {
        region: flag("us-east-1"),
        ..Flags::default()
    };
    let told = mistakes(flags, &[], Some("listen = \n")).await;
    assert!(
        told[0].contains("FILE is not TOML") && told[0].contains("line 1"),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_ca_bundle_must_hold_certificates_and_excludes_no_verify_ssl() {
    let region = || Flags {
        region: flag("us-east-1"),
        ..Flags::default()
    };
    let empty = file("");
    let path = || flag(&empty.path().display().to_string());
    let told = mistakes(
        Flags {
            ca_bundle: path(),
            ..region()
        },
        &[],
        None,
    )
    .await;
    assert!(
        told[0].starts_with("--ca-bundle: ")
            && told[0].ends_with("holds no certificate in PEM form"),
        "{told:?}"
    );
    let both = Flags {
        ca_bundle: path(),
        no_verify_ssl: flag("true"),
        ..region()
    };
    assert!(
        mistakes(both, &[], None).await[0]
            .starts_with("--ca-bundle: has no effect together with no_verify_ssl")
    );
}

#[tokio::test]
async fn a_ca_bundle_of_the_store_must_hold_certificates_and_needs_tls() {
    let empty = file("");
    let path = empty.path().display().to_string();
    for (store, expected) in [
        ("rediss://cache", "holds no certificate in PEM form"),
        ("redis://cache", "has no effect without TLS"),
    ] {
        let pairs = [
            ("FACE_LIVENESS_REGION", "us-east-1"),
            ("FACE_LIVENESS_QUOTA_STORE", store),
            ("FACE_LIVENESS_QUOTA_STORE_CA_BUNDLE", &path),
        ];
        let told = mistakes(Flags::default(), &pairs, None).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("FACE_LIVENESS_QUOTA_STORE_CA_BUNDLE: ")
                && told[0].contains(expected),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn a_url_must_not_carry_credentials_and_does_not_show_them() {
    let flags = Flags {
        region: flag("us-east-1"),
        endpoint_url: flag("https://me:hush@host"),
        ..Flags::default()
    };
    let told = mistakes(flags, &[], None).await;
    assert!(
        told[0].starts_with("--endpoint-url: must not carry"),
        "{told:?}"
    );
    assert!(!told[0].contains("hush"));
}

#[tokio::test]
async fn numbers_and_durations_out_of_range_are_mistakes() {
    let pairs = [
        ("FACE_LIVENESS_REGION", "us-east-1"),
        ("FACE_LIVENESS_SERVER_KEEPALIVE_INTERVAL", "500000000000y"),
        ("FACE_LIVENESS_SERVER_MAX_DEADLINE", "0s"),
        ("FACE_LIVENESS_SERVER_MAX_HEADER_BYTES", "1"),
        ("FACE_LIVENESS_SERVER_WORKERS", "20000"),
        ("FACE_LIVENESS_SERVER_MAX_IN_FLIGHT", "0"),
    ];
    let told = mistakes(Flags::default(), &pairs, None).await;
    assert_eq!(told.len(), pairs.len() - 1, "{told:?}");
}

#[tokio::test]
async fn half_a_pair_is_a_mistake_also_when_the_other_half_is_blank() {
    let pairs = [
        ("FACE_LIVENESS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", " "),
    ];
    let told = mistakes(Flags::default(), &pairs, None).await;
    assert!(
        told[0].starts_with("AWS_SECRET_ACCESS_KEY: is not set"),
        "{told:?}"
    );
}

#[tokio::test]
async fn limits_that_make_no_sense_are_mistakes() {
    let toml = "
        region = 'eu-west-1'
        quota_store = 'redis://127.0.0.1'
        [quota]
        creates_per_second = 4294967295
        share = 0.0
        [ledger]
        min_remaining = '3m'
        [[callers]]
        id = 'two words'
        weight = 0
    ";
    let told = mistakes(Flags::default(), &[], Some(toml)).await;
    let keys: BTreeSet<_> = told
        .iter()
        .filter_map(|mistake| mistake.strip_prefix("FILE: ")?.split(": ").next())
        .collect();
    let expected = BTreeSet::from([
        "callers[0].id",
        "callers[0].weight",
        "ledger.min_remaining",
        "quota.creates_per_second",
        "quota.share",
    ]);
    assert_eq!(keys, expected, "{told:#?}");
}

#[tokio::test]
async fn policies_that_make_no_sense_are_mistakes() {
    let toml = "
        region = 'eu-west-1'
        [default_caller.policy]
        outputs = ['audit/in', 'b/../']
        max_audit_images = 5
        [default_caller.policy.defaults]
        key_prefix = '{name}/'
        [[callers]]
        id = 'shop'
        [callers.policy]
        challenges = ['smile']
        kms_keys = ['alias/shop']
        [callers.policy.defaults]
        kms_key = 'alias/hush'
        [[callers]]
        id = 'shop'
        policy.regions = ['Mars']
        policy.bogus = 1
    ";
    let told = mistakes(Flags::default(), &[], Some(toml)).await;
    let keys: Vec<_> = told
        .iter()
        .filter_map(|mistake| mistake.strip_prefix("FILE: ")?.split(": ").next())
        .collect();
    let expected = [
        "callers[0].policy.challenges",
        "callers[0].policy.defaults.kms_key",
        "callers[1].id",
        "callers[1].policy.bogus",
        "callers[1].policy.regions",
        "default_caller.policy.defaults.key_prefix",
        "default_caller.policy.max_audit_images",
        "default_caller.policy.outputs",
        "default_caller.policy.outputs",
    ];
    assert_eq!(keys, expected, "{told:#?}");
    assert!(!told.concat().contains("hush"), "{told:#?}");
}

#[tokio::test]
async fn proofs_that_make_no_sense_are_mistakes() {
    let toml = "
        region = 'eu-west-1'
        [tls]
        client_ca = '/no/such/file'
        [auth.jwt]
        issuer = 'https://issuer.test'
        algorithms = ['HS256', 'none', 'ES256']
        jwks = 'http://issuer.test/keys'
        claim = ''
        [[tokens]]
        caller = 'two words'
        sha256 = 'hush'
    ";
    let told = mistakes(Flags::default(), &[], Some(toml)).await;
    let keys: Vec<_> = told
        .iter()
        .filter_map(|mistake| mistake.strip_prefix("FILE: ")?.split(": ").next())
        .collect();
    // What is missing is in no file.
    assert!(
        told.iter().any(|mistake| mistake.starts_with("tls.key: ")),
        "{told:#?}"
    );
    assert!(
        told.iter()
            .any(|mistake| mistake.starts_with("tls.certificate: ")),
        "{told:#?}"
    );
    assert!(
        told.iter()
            .any(|mistake| mistake.starts_with("auth.jwt.audience: ")),
        "{told:#?}"
    );
    let expected = [
        "auth.jwt.algorithms",
        "auth.jwt.algorithms",
        "auth.jwt.claim",
        "auth.jwt.jwks",
        "tokens[0].caller",
        "tokens[0].sha256",
    ];
    assert_eq!(keys, expected, "{told:#?}");
    assert!(!told.concat().contains("hush"), "{told:#?}");

    let file = toml
        .replace("http://issuer.test/keys", "/no/such/keys")
        .replace("'hush'", "'0a'");
    let told = mistakes(Flags::default(), &[], Some(&file)).await;
    assert!(
        told.iter()
            .any(|mistake| mistake.contains("cannot read /no/such/keys")),
        "{told:#?}"
    );
}
