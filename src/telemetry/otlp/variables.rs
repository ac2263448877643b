//! Reads OpenTelemetry's variables; what is wrong with them is told with its
//! place, all at once.

use opentelemetry_sdk::trace::Sampler;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::{Collector, DEFAULT_QUEUES, Queues, Signal};
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

    /// Who the collector must be, and who this is.
    fn tls(&mut self, signal: Signal) -> ClientTlsConfig {
        let tls = ClientTlsConfig::new();
        let tls = match self.of_signal(signal, "CERTIFICATE") {
            None => tls.with_enabled_roots(),
            Some(file) => match self.content(file) {
                Some(pem) => tls.ca_certificate(Certificate::from_pem(pem)),
                None => tls,
            },
        };
        match self.identity(signal) {
            Some(identity) => tls.identity(identity),
            None => tls,
        }
    }

    /// The client certificate, which is of no use without its key.
    fn identity(&mut self, signal: Signal) -> Option<Identity> {
        let certificate = self.of_signal(signal, "CLIENT_CERTIFICATE");
        let key = self.of_signal(signal, "CLIENT_KEY");
        let (place, other) = match (certificate, key) {
            (Some(certificate), Some(key)) => {
                let (certificate, key) = (self.content(certificate), self.content(key));
                return Some(Identity::from_pem(certificate?, key?));
            }
            (Some((place, _)), None) => (place, "CLIENT_KEY"),
            (None, Some((place, _))) => (place, "CLIENT_CERTIFICATE"),
            (None, None) => return None,
        };
        let other = format!("OTEL_EXPORTER_OTLP_{other}");
        self.mistake(
            place,
            format!("is of no use without {other}: set both, or neither"),
        );
        None
    }

    /// The content of the file that a variable names.
    fn content(&mut self, (place, path): (String, &str)) -> Option<Vec<u8>> {
        let content = std::fs::read(path);
        content
            .map_err(|error| self.mistake(place, format!("cannot read {path}: {error}")))
            .ok()
    }

    /// Whether calls go on with their callers' traces. Baggage is accepted and
    /// left alone: nothing here would pass it on.
    pub(super) fn joins_traces(&mut self) -> bool {
        const NAME: &str = "OTEL_PROPAGATORS";
        let Some(names) = self.get(NAME) else {
            return true;
        };
        let mut joins = false;
        for name in names.split(',').map(str::trim) {
            match name {
                "tracecontext" => joins = true,
                "baggage" | "none" => {}
                other => self.mistake(NAME, format!(
                    "must be tracecontext, baggage or none, or a list of them, not {other}: only W3C's trace context is read"
                )),
            }
        }
        joins
    }

    pub(super) fn queues(&mut self) -> Queues {
        Queues {
            spans: self.queue("OTEL_BSP_MAX_QUEUE_SIZE", DEFAULT_QUEUES.spans),
            records: self.queue("OTEL_BLRP_MAX_QUEUE_SIZE", DEFAULT_QUEUES.records),
        }
    }

    fn queue(&mut self, name: &str, default: usize) -> usize {
        /// The SDK makes room for all of them at the start.
        const MOST: usize = 1 << 20;
        let Some(text) = self.get(name) else {
            return default;
        };
        match text.parse() {
            Ok(places) if (1..=MOST).contains(&places) => places,
            _ => {
                self.mistake(
                    name,
                    format!("must be a number from 1 to {MOST}, not {text}"),
                );
                default
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
mod tests;
