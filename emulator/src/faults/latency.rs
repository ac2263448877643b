//! Added latency: how long, and how it is spread.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use fastrand::Rng;

/// A delay, fixed or drawn from a distribution; always between its bounds.
///
/// The text forms are `20ms`, `10ms..50ms` (uniform), `normal(20ms,5ms)` (mean and standard
/// deviation) and `exponential(20ms)` (mean). The last two take bounds in brackets:
/// `exponential(20ms)[5ms..1s]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    shape: Shape,
    min: Duration,
    max: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Uniform,
    Normal { mean: Duration, deviation: Duration },
    Exponential { mean: Duration },
}

impl Latency {
    /// Always the same.
    pub fn fixed(delay: Duration) -> Self {
        Self::uniform(delay, delay)
    }

    /// Anything between the two, equally likely.
    pub fn uniform(from: Duration, to: Duration) -> Self {
        Self {
            shape: Shape::Uniform,
            min: from.min(to),
            max: from.max(to),
        }
    }

    /// The normal distribution, cut at zero and at four deviations above the mean.
    pub fn normal(mean: Duration, deviation: Duration) -> Self {
        Self {
            shape: Shape::Normal { mean, deviation },
            min: Duration::ZERO,
            max: mean.saturating_add(deviation.saturating_mul(4)),
        }
    }

    /// The exponential distribution, cut at ten times the mean.
    pub fn exponential(mean: Duration) -> Self {
        Self {
            shape: Shape::Exponential { mean },
            min: Duration::ZERO,
            max: mean.saturating_mul(10),
        }
    }

    /// The same distribution within other bounds: what falls outside counts as the nearest.
    #[must_use]
    pub fn between(mut self, min: Duration, max: Duration) -> Self {
        self.min = min.min(max);
        self.max = min.max(max);
        self
    }

    pub(crate) fn sample(&self, rng: &mut Rng) -> Duration {
        let seconds = match self.shape {
            Shape::Uniform => {
                let span = (self.max - self.min).as_secs_f64();
                self.min.as_secs_f64() + span * rng.f64()
            }
            Shape::Normal { mean, deviation } => {
                mean.as_secs_f64() + deviation.as_secs_f64() * standard_normal(rng)
            }
            Shape::Exponential { mean } => -mean.as_secs_f64() * (1.0 - rng.f64()).ln(),
        };
        Duration::try_from_secs_f64(seconds.max(0.0))
            .unwrap_or(self.max)
            .clamp(self.min, self.max)
    }

    fn default_bounds(&self) -> (Duration, Duration) {
        let usual = match self.shape {
            Shape::Uniform => *self,
            Shape::Normal { mean, deviation } => Self::normal(mean, deviation),
            Shape::Exponential { mean } => Self::exponential(mean),
        };
        (usual.min, usual.max)
    }
}

/// Box and Muller's transform of two uniform draws.
fn standard_normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (min, max) = (Short(self.min), Short(self.max));
        match self.shape {
            Shape::Uniform if self.min == self.max => return write!(f, "{min}"),
            Shape::Uniform => return write!(f, "{min}..{max}"),
            Shape::Normal { mean, deviation } => {
                write!(f, "normal({},{})", Short(mean), Short(deviation))?;
            }
            Shape::Exponential { mean } => write!(f, "exponential({})", Short(mean))?,
        }
        if (self.min, self.max) == self.default_bounds() {
            return Ok(());
        }
        write!(f, "[{min}..{max}]")
    }
}

/// A duration without the spaces that `humantime` puts between its parts.
pub(super) struct Short(pub(super) Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = humantime::format_duration(self.0).to_string();
        f.write_str(&text.replace(' ', ""))
    }
}

/// The text is no latency.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is no latency: write 20ms, 10ms..50ms, normal(20ms,5ms) or exponential(20ms), the last \
     two with bounds if you like, as in exponential(20ms)[5ms..1s]"
)]
pub struct ParseError(String);

impl FromStr for Latency {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text.trim()).ok_or_else(|| ParseError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Latency> {
    let Some((name, rest)) = text.split_once('(') else {
        return match text.split_once("..") {
            Some(_) => bounds(text).map(|(min, max)| Latency::uniform(min, max)),
            None => duration(text).map(Latency::fixed),
        };
    };
    let (arguments, rest) = rest.split_once(')')?;
    let latency = match name {
        "normal" => {
            let (mean, deviation) = arguments.split_once(',')?;
            Latency::normal(duration(mean)?, duration(deviation)?)
        }
        "exponential" => Latency::exponential(duration(arguments)?),
        _ => return None,
    };
    if rest.is_empty() {
        return Some(latency);
    }
    let (min, max) = bounds(rest.strip_prefix('[')?.strip_suffix(']')?)?;
    Some(latency.between(min, max))
}

fn bounds(text: &str) -> Option<(Duration, Duration)> {
    let (min, max) = text.split_once("..")?;
    let (min, max) = (duration(min)?, duration(max)?);
    (min <= max).then_some((min, max))
}

pub(super) fn duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_form_reads_back_as_it_was_written() {
        for text in [
            "20ms",
            "10ms..50ms",
            "1s500ms",
            "normal(20ms,5ms)",
            "normal(20ms,5ms)[10ms..30ms]",
            "exponential(20ms)",
            "exponential(20ms)[5ms..1s]",
        ] {
            assert_eq!(text.parse::<Latency>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "20",
            "50ms..10ms",
            "normal(20ms)",
            "gamma(1ms)",
            "normal(1ms,1ms)x",
        ] {
            let error = bad.parse::<Latency>().unwrap_err().to_string();
            assert!(error.contains("10ms..50ms"), "{error}");
        }
    }

    #[test]
    fn samples_stay_within_their_bounds_and_near_their_mean() {
        for text in ["15ms..25ms", "normal(20ms,5ms)", "exponential(20ms)"] {
            let latency: Latency = text.parse().unwrap();
            let mut rng = Rng::with_seed(1);
            let samples: Vec<Duration> = (0..10_000).map(|_| latency.sample(&mut rng)).collect();
            assert!(
                samples
                    .iter()
                    .all(|at| *at >= latency.min && *at <= latency.max)
            );
            let mean = samples.iter().sum::<Duration>() / 10_000;
            let expected = Duration::from_millis(19)..Duration::from_millis(21);
            assert!(expected.contains(&mean), "{text}: {mean:?}");
        }
    }
}
