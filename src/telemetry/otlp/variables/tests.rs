//! What the variables come to, and what is told of mistakes in them.

use super::*;
use crate::VERSION;
use crate::telemetry::otlp::{DEFAULT_SERVICE_NAME, Settings};

const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

fn read(pairs: &[(&str, &str)]) -> (Settings, Vec<String>) {
    let pairs = pairs.iter();
    let variables = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut mistakes = Vec::new();
    let settings = Settings::read(&variables.collect(), &mut mistakes);
    let mistakes = mistakes.iter().map(ToString::to_string).collect();
    (settings, mistakes)
}

/// Which signals go somewhere, when nothing is wrong.
fn exported(pairs: &[(&str, &str)]) -> [bool; 3] {
    let (settings, mistakes) = read(pairs);
    assert_eq!(mistakes, Vec::<String>::new());
    SIGNALS.map(|signal| settings.exports(signal))
}

const ALL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");

#[test]
fn a_signal_is_off_until_an_endpoint_is_set_for_it() {
    let traces = (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "https://collector:4317",
    );
    assert_eq!(exported(&[]), [false; 3]);
    assert_eq!(
        exported(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]),
        [false; 3]
    );
    assert_eq!(exported(&[ALL]), [true; 3]);
    assert_eq!(exported(&[traces]), [true, false, false]);
}

#[test]
fn a_signal_can_be_switched_off_and_so_can_all() {
    assert_eq!(
        exported(&[ALL, ("OTEL_TRACES_EXPORTER", "none")]),
        [false, true, true]
    );
    assert_eq!(
        exported(&[ALL, ("OTEL_METRICS_EXPORTER", "none")]),
        [true, false, true]
    );
    assert_eq!(
        exported(&[ALL, ("OTEL_LOGS_EXPORTER", "none")]),
        [true, true, false]
    );
    assert_eq!(exported(&[ALL, ("OTEL_SDK_DISABLED", "TRUE")]), [false; 3]);
}

#[test]
fn what_cannot_be_done_is_told_with_its_place() {
    let cases = [
        (
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            "must be grpc",
        ),
        (
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"),
            "must be grpc",
        ),
        (
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317"),
            "must begin with http",
        ),
        (("OTEL_TRACES_EXPORTER", "console"), "must be otlp or none"),
        (
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            "must be always_on",
        ),
    ];
    for ((name, value), problem) in cases {
        let (_, mistakes) = read(&[ALL, (name, value)]);
        let told = mistakes.first().map(String::as_str).unwrap_or_default();
        assert!(
            told.starts_with(&format!("{name}: {problem}")),
            "{mistakes:?}"
        );
    }
    let ratio = [
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ];
    assert_eq!(
        read(&ratio).1,
        ["OTEL_TRACES_SAMPLER_ARG: must be a number from 0 to 1, not 2"]
    );
}

#[test]
fn an_authority_that_cannot_be_read_is_told() {
    let (_, mistakes) = read(&[
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "https://collector:4317",
        ),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
    ]);
    assert!(
        mistakes[0].starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE: cannot read /nowhere/ca.pem"),
        "{mistakes:?}"
    );
}

#[test]
fn a_client_certificate_needs_its_key() {
    const COLLECTOR: (&str, &str) = ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://collector:4317");
    for (name, other) in [
        (
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
            "OTEL_EXPORTER_OTLP_CLIENT_KEY",
        ),
        (
            "OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY",
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        ),
    ] {
        let (_, mistakes) = read(&[COLLECTOR, (name, "/nowhere/file.pem")]);
        let expected = format!("{name}: is of no use without {other}");
        assert!(mistakes[0].starts_with(&expected), "{mistakes:?}");
    }
    let both = [
        COLLECTOR,
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/nowhere/tls.crt"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/nowhere/tls.key"),
    ];
    let (_, mistakes) = read(&both);
    assert_eq!(mistakes.len(), 2, "{mistakes:?}");
    assert!(mistakes[0].contains("cannot read /nowhere/tls.crt"));
    assert!(mistakes[1].contains("cannot read /nowhere/tls.key"));
}

#[test]
fn only_the_trace_context_of_w3c_is_read() {
    let joins = |names| {
        let (settings, mistakes) = read(&[("OTEL_PROPAGATORS", names)]);
        assert_eq!(mistakes, Vec::<String>::new());
        settings.joins_traces()
    };
    assert!(joins("") && joins("tracecontext") && joins("baggage, tracecontext"));
    assert!(!joins("none") && !joins("baggage"));
    let (_, mistakes) = read(&[("OTEL_PROPAGATORS", "tracecontext,b3")]);
    assert!(
        mistakes[0].starts_with("OTEL_PROPAGATORS: must be tracecontext, baggage or none"),
        "{mistakes:?}"
    );
}

#[test]
fn a_queue_has_room() {
    for value in ["0", "-1", "many", "9999999999"] {
        let (_, mistakes) = read(&[("OTEL_BSP_MAX_QUEUE_SIZE", value)]);
        assert_eq!(
            mistakes,
            [format!(
                "OTEL_BSP_MAX_QUEUE_SIZE: must be a number from 1 to 1048576, not {value}"
            )]
        );
    }
}

#[test]
fn the_sampler_is_what_the_specification_names() {
    let sampler = |name, argument| {
        let pairs = [
            ("OTEL_TRACES_SAMPLER", name),
            ("OTEL_TRACES_SAMPLER_ARG", argument),
        ];
        format!("{:?}", read(&pairs).0.sampler())
    };
    assert_eq!(sampler("", ""), "ParentBased(AlwaysOn)");
    assert_eq!(sampler("always_off", ""), "AlwaysOff");
    assert_eq!(
        sampler("parentbased_traceidratio", "0.25"),
        "ParentBased(TraceIdRatioBased(0.25))"
    );
    assert_eq!(sampler("traceidratio", ""), "TraceIdRatioBased(1.0)");
}

#[test]
fn the_service_has_a_name_a_version_and_an_instance() {
    let get = |pairs, key: &'static str| {
        let value = read(pairs).0.resource().get(&key.into());
        value.map(|value| value.to_string())
    };
    assert_eq!(get(&[], "service.name").unwrap(), DEFAULT_SERVICE_NAME);
    assert_eq!(
        get(&[("OTEL_SERVICE_NAME", "other")], "service.name").unwrap(),
        "other"
    );
    assert_eq!(get(&[], "service.version").unwrap(), VERSION);
    assert_eq!(get(&[], "service.instance.id").unwrap().len(), 36);
}
