//! What AWS admits in a region, and what a replica may use of it.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::region::Region;

/// Added to every span. Calls do not travel equally fast: one that dawdles and
/// one that hurries would bring the end of a window and the beginning of the
/// next together at AWS. Of a quota by the second it costs 1.5 %.
pub const GUARD: Duration = Duration::from_millis(20);

/// How long a session lasts from its creation to its result.
/// Source: the example with which AWS's documentation sizes the concurrency.
pub const DEFAULT_SESSION_LENGTH: Duration = Duration::from_secs(10);

/// Spans up to this have no room for a burst: its calls reach AWS by ways of
/// different length, and would meet the next span's.
const SHORT_SPAN: Duration = Duration::from_secs(2);

/// The sum of three thirds of 75 is 75, though 1/3 has no exact float.
const ROUNDING: f64 = 1e-9;

/// What AWS admits in a region. A limit that is `None` is off.
///
/// ```
/// use face_liveness_gateway::quota::Limits;
/// use face_liveness_gateway::region::Region;
///
/// let region = Region::parse("eu-west-1")?;
/// let limits = Limits::of_region(&region);
/// assert_eq!(limits.creates_per_second.map(|limit| limit.get()), Some(5));
/// # Ok::<(), face_liveness_gateway::region::InvalidRegion>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Limits {
    /// How many creates AWS admits in a second.
    pub creates_per_second: Option<NonZeroU32>,
    /// How many sessions may be under way at once.
    pub sessions_in_flow: Option<Flow>,
}

/// What the limiter of a region goes by; the configuration may replace it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// What AWS admits.
    pub limits: Limits,
    /// How many calls may wait.
    pub queue: usize,
    /// The part of the limits that this replica takes while a store that replicas
    /// share is lost.
    pub share: f64,
}

/// How many sessions may be under way at once, and how long one is: creates
/// beyond `sessions` in one `session_length` would succeed, and fail later in
/// the hand of the person in front of the camera.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Flow {
    /// The quota of concurrent sessions.
    pub sessions: NonZeroU32,
    /// How long a session is expected to last.
    pub session_length: Duration,
}

impl Limits {
    /// AWS's defaults for an account.
    /// Source: "Amazon Rekognition endpoints and quotas", November 2026.
    #[must_use]
    pub fn of_region(region: &Region) -> Self {
        let (creates, sessions) = match region.as_str() {
            "us-east-1" | "us-west-2" => (25, 75),
            _ => (5, 15),
        };
        Self {
            creates_per_second: NonZeroU32::new(creates),
            sessions_in_flow: NonZeroU32::new(sessions).map(|sessions| Flow {
                sessions,
                session_length: DEFAULT_SESSION_LENGTH,
            }),
        }
    }

    /// The bounds for a replica that may use `share` of the quota.
    #[must_use]
    pub fn share(&self, share: Share) -> Bounds {
        Bounds::from(*self).part(share)
    }
}

/// The part of the quota that falls to one replica: above 0 and at most 1.
///
/// ```
/// use face_liveness_gateway::quota::Share;
///
/// let third = Share::new(1.0 / 3.0);
/// assert_eq!((third.of(25), third.of(75)), (8, 25));
/// assert_eq!(third.replicas(), 3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(f64);

impl Share {
    /// A smaller one counts as this: its spans must stay spans.
    const SMALLEST: f64 = 0.000_1;

    /// What is not above zero counts as 1/10,000, what is above 1 as 1.
    #[must_use]
    pub fn new(part: f64) -> Self {
        if part > Self::SMALLEST {
            Self(part.min(1.0))
        } else {
            Self(Self::SMALLEST)
        }
    }

    /// How many of `count` are the replica's, rounded down: replicas whose shares
    /// add up to 1 never have more than `count` together.
    #[must_use]
    pub fn of(self, count: u32) -> u32 {
        (f64::from(count) * self.0 + ROUNDING) as u32
    }

    /// How many replicas it takes, each with this share, to use all.
    #[must_use]
    pub fn replicas(self) -> u32 {
        (1.0 / self.0 - ROUNDING).ceil() as u32
    }
}

/// The bounds of a region or of a replica in it. A bound that is `None` is off.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Bounds {
    /// On creates by the second.
    pub creates: Option<Bound>,
    /// On sessions in flow.
    pub sessions: Option<Bound>,
}

impl Bounds {
    /// Whether nothing is bounded: no permit is needed.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.creates.is_none() && self.sessions.is_none()
    }

    /// With spans that are longer by `guard`.
    #[must_use]
    pub fn stretched(self, guard: Duration) -> Self {
        self.map(|bound| Bound {
            span: bound.span + guard,
            ..bound
        })
    }

    /// The bounds for a replica that may use `share` of these.
    #[must_use]
    pub fn part(self, share: Share) -> Self {
        self.map(|bound| bound.part(share))
    }

    fn map(self, change: impl Fn(Bound) -> Bound) -> Self {
        Self {
            creates: self.creates.map(&change),
            sessions: self.sessions.map(&change),
        }
    }
}

impl From<Limits> for Bounds {
    fn from(limits: Limits) -> Self {
        let bound = |limit, span| Bound {
            limit,
            span: span + GUARD,
        };
        let creates = limits.creates_per_second;
        let flow = limits.sessions_in_flow;
        Self {
            creates: creates.map(|limit| bound(limit, Duration::from_secs(1))),
            sessions: flow.map(|flow| bound(flow.sessions, flow.session_length)),
        }
    }
}

/// At most `limit` admissions in any half-open `span`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bound {
    /// How many admissions.
    pub limit: NonZeroU32,
    /// In how long, [`GUARD`] included.
    pub span: Duration,
}

impl Bound {
    /// The bound for a replica that may use `share` of this one. Less than one
    /// admission a span becomes one admission in a longer span: the rate is the
    /// share, whatever its size.
    #[must_use]
    pub fn part(self, share: Share) -> Self {
        match NonZeroU32::new(share.of(self.limit.get())) {
            Some(limit) => Self { limit, ..self },
            None => Self {
                limit: NonZeroU32::MIN,
                span: self.span.div_f64(f64::from(self.limit.get()) * share.0),
            },
        }
    }

    /// How many admissions a second it comes to, [`GUARD`] apart.
    #[must_use]
    pub fn per_second(self) -> f64 {
        f64::from(self.limit.get()) / self.span.saturating_sub(GUARD).as_secs_f64()
    }

    /// Whether half of the places are kept for bursts, and only the others spread
    /// over the span.
    #[must_use]
    pub fn has_bursts(self) -> bool {
        self.span > SHORT_SPAN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(region: &str) -> Limits {
        Limits::of_region(&Region::parse(region).unwrap())
    }

    fn figures(bounds: Bounds) -> [(u32, u128); 2] {
        [bounds.creates, bounds.sessions]
            .map(Option::unwrap)
            .map(|bound| (bound.limit.get(), (bound.span - GUARD).as_millis()))
    }

    #[test]
    fn the_defaults_are_those_of_aws_by_region() {
        let [busy, other] = ["us-west-2", "sa-east-1"].map(|region| figures(limits(region).into()));
        assert_eq!(busy, [(25, 1_000), (75, 10_000)]);
        assert_eq!(other, [(5, 1_000), (15, 10_000)]);
    }

    #[test]
    fn a_share_is_rounded_down() {
        let third = limits("us-east-1").share(Share::new(1.0 / 3.0));
        assert_eq!(figures(third), [(8, 1_000), (25, 10_000)]);
    }

    #[test]
    fn a_share_below_one_admission_has_a_longer_span() {
        let tenth = limits("eu-west-1").share(Share::new(0.1));
        assert_eq!(figures(tenth), [(1, 2_020), (1, 10_000)]);
    }

    #[test]
    fn shares_that_add_up_to_one_leave_nobody_more_than_there_is() {
        for shares in [
            vec![0.9, 0.1],
            vec![1.0 / 3.0; 3],
            vec![0.5, 0.3, 0.2],
            vec![0.01; 100],
        ] {
            for count in 1..200 {
                let all = shares.iter().map(|&share| Share::new(share).of(count));
                assert!(all.sum::<u32>() <= count, "{count} {shares:?}");
            }
        }
    }

    #[test]
    fn a_rate_is_that_of_the_limits() {
        let bounds = Bounds::from(limits("us-east-1"));
        let rates = [bounds.creates, bounds.sessions].map(|bound| bound.unwrap().per_second());
        assert_eq!(rates, [25.0, 7.5]);
    }

    #[test]
    fn a_share_that_is_none_still_has_a_span() {
        for share in [0.0, -1.0, f64::NAN] {
            assert_eq!(
                figures(limits("eu-west-1").share(Share::new(share)))[0].0,
                1
            );
        }
        let limits = limits("eu-west-1");
        assert_eq!(limits.share(Share::new(7.0)), limits.into());
    }
}
