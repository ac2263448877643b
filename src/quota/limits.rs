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

/// A smaller share counts as this one: its spans must stay spans.
const SMALLEST_SHARE: f64 = 0.000_1;

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

    /// The bounds for a replica that may use `share` of the quota, 0 to 1.
    ///
    /// A share of less than one admission a span becomes one admission in a
    /// longer span: the rate is the share, whatever its size. A share that is
    /// not above zero counts as 1/10,000, one above 1 as 1.
    #[must_use]
    pub fn share(&self, share: f64) -> Bounds {
        let share = if share > SMALLEST_SHARE {
            share.min(1.0)
        } else {
            SMALLEST_SHARE
        };
        Bounds {
            creates: self
                .creates_per_second
                .map(|limit| Bound::shared(limit, Duration::from_secs(1), share)),
            sessions: self
                .sessions_in_flow
                .map(|flow| Bound::shared(flow.sessions, flow.session_length, share)),
        }
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
}

impl From<Limits> for Bounds {
    fn from(limits: Limits) -> Self {
        limits.share(1.0)
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
    fn shared(limit: NonZeroU32, span: Duration, share: f64) -> Self {
        // The sum of three thirds of 75 is 75, though 1/3 has no exact float.
        let admissions = f64::from(limit.get()) * share + 1e-9;
        match NonZeroU32::new(admissions as u32) {
            Some(limit) => Self {
                limit,
                span: span + GUARD,
            },
            None => Self {
                limit: NonZeroU32::MIN,
                span: span.div_f64(admissions) + GUARD,
            },
        }
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
        let third = limits("us-east-1").share(1.0 / 3.0);
        assert_eq!(figures(third), [(8, 1_000), (25, 10_000)]);
    }

    #[test]
    fn a_share_below_one_admission_has_a_longer_span() {
        let tenth = limits("eu-west-1").share(0.1);
        assert_eq!(figures(tenth), [(1, 1_999), (1, 10_000)]);
    }

    #[test]
    fn a_share_that_is_none_still_has_a_span() {
        for share in [0.0, -1.0, f64::NAN] {
            assert_eq!(figures(limits("eu-west-1").share(share))[0].0, 1);
        }
        assert_eq!(limits("eu-west-1").share(7.0), limits("eu-west-1").into());
    }
}
