//! Reads OpenTelemetry's variables; what is wrong with them is told with its
//! place, all at once.

use opentelemetry_sdk::trace::Sampler;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use super::{Collector, Signal};
use crate::config::{Mistake, Variables};

/// Reads variables and notes what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) variables: &'a Variables,
    pub(super) mistakes: &'a mut Vec<Mistake>,
}

impl<'a> Reader<'a> {
    /// The specification counts an empty variable as not set.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        let value = self.variables.get(name)?.trim();
        (!value.is_empty()).then_some(value)
    }

    /// The variable of the signal, else that of all signals, and its name.
    fn of_signal(&self, signal: Signal, setting: &str) -> Option<(String, &'a str)> {
        let names = [
            signal.variable(setting),
            format!("OTEL_EXPORTER_OTLP_{setting}"),
        ];
        names
            .into_iter()
            .find_map(|name| self.get(&name).map(|value| (name, value)))
    }

    fn mistake(&mut self, place: impl Into<String>, problem: impl Into<String>) {
        self.mistakes.push(Mistake {
            place: place.into(),
            problem: problem.into(),
        });
    }

    pub(super) fn collector(&mut self, signal: Signal) -> Option<Collector> {
        let exporter = format!("OTEL_{}_EXPORTER", signal.name().to_uppercase());
        match self.get(&exporter) {
            Some("none") => return None,
            Some("otlp") | None => {}
            Some(other) => {
                self.mistake(exporter, format!("must be otlp or none, not {other}"));
            }
        }
        let (place, endpoint) = self.of_signal(signal, "ENDPOINT")?;
        if let Some((place, protocol)) = self.of_signal(signal, "PROTOCOL")
            && protocol != "grpc"
        {
            self.mistake(
                place,
                format!("must be grpc, the only protocol spoken here, not {protocol}; collectors take it on port 4317"),
            );
        }
        let secure = match endpoint.split_once("://") {
            Some(("http", _)) => false,
            Some(("https", _)) => true,
            _ => {
                self.mistake(
                    place,
                    "must begin with http:// or https://, such as http://127.0.0.1:4317",
                );
                return None;
            }
        };
        if let Err(error) = Endpoint::from_shared(endpoint.to_owned()) {
            self.mistake(
                place,
                format!("{error}; write it like http://127.0.0.1:4317"),
            );
        }
        Some(Collector {
            endpoint: endpoint.to_owned(),
            tls: secure.then(|| self.tls(signal)),
        })
    }

    /// The system's authorities, or those in the file that a variable names.
    fn tls(&mut self, signal: Signal) -> ClientTlsConfig {
        let tls = ClientTlsConfig::new();
        let Some((place, path)) = self.of_signal(signal, "CERTIFICATE") else {
            return tls.with_enabled_roots();
        };
        match std::fs::read(path) {
            Ok(pem) => tls.ca_certificate(Certificate::from_pem(pem)),
            Err(error) => {
                self.mistake(place, format!("cannot read {path}: {error}"));
                tls
            }
        }
    }

    pub(super) fn sampler(&mut self) -> Sampler {
        const NAME: &str = "OTEL_TRACES_SAMPLER";
        let parent_based = |root| Sampler::ParentBased(Box::new(root));
        match self.get(NAME).unwrap_or("parentbased_always_on") {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => Sampler::TraceIdRatioBased(self.ratio()),
            "parentbased_always_on" => parent_based(Sampler::AlwaysOn),
            "parentbased_always_off" => parent_based(Sampler::AlwaysOff),
            "parentbased_traceidratio" => parent_based(Sampler::TraceIdRatioBased(self.ratio())),
            other => {
                self.mistake(NAME, format!(
                    "must be always_on, always_off or traceidratio, or one of them after parentbased_, not {other}"
                ));
                Sampler::AlwaysOff
            }
        }
    }

    /// Unset means every trace, as the specification says.
    fn ratio(&mut self) -> f64 {
        const NAME: &str = "OTEL_TRACES_SAMPLER_ARG";
        let Some(text) = self.get(NAME) else {
            return 1.0;
        };
        match text.parse() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
            _ => {
                self.mistake(NAME, format!("must be a number from 0 to 1, not {text}"));
                0.0
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
}
