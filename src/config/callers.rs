//! From `[[callers]]` and `[default_caller]` to a rule for every caller.

use std::num::NonZeroU32;

use super::check::Check;
use super::settings::Settings;
use crate::caller::{Caller, Callers, Rate, Rule};
use crate::policy::{Pattern, Policy};

impl Check<'_> {
    /// The rule for every caller; what makes no sense is noted and left out.
    pub(super) fn callers(&mut self, settings: &Settings) -> Callers {
        let at = "default_caller";
        let general = &settings.default_caller;
        let default = Rule {
            name: at.into(),
            admitted: general.admitted,
            rate: self.rate(at, general.rate, general.burst),
            weight: self.weight(at, general.weight),
            policy: self.policy(at, &general.policy, &Policy::default(), &Caller::Anonymous),
        };
        let mut own: Vec<(Pattern, Rule)> = Vec::new();
        for (index, entry) in settings.callers.iter().enumerate() {
            let at = format!("callers[{index}]");
            let rate = entry.rate.unwrap_or(general.rate);
            let caller = Caller::named(&entry.id);
            // One that a pattern stands for may be called as the pattern is.
            let sample = caller.as_ref().unwrap_or(&Caller::Anonymous);
            let rule = Rule {
                name: format!("callers {:?}", entry.id).into(),
                admitted: entry.admitted.unwrap_or(true),
                rate: self.rate(&at, rate, entry.burst.unwrap_or(general.burst)),
                weight: self.weight(&at, entry.weight.unwrap_or(general.weight)),
                policy: self.policy(&at, &entry.policy, &default.policy, sample),
            };
            if caller.is_none() {
                let problem = format!("must be {}", Caller::NAMES);
                self.mistake(&format!("{at}.id"), problem);
                continue;
            }
            let pattern = Pattern::new(&entry.id);
            if own.iter().any(|(earlier, _)| *earlier == pattern) {
                self.mistake(&format!("{at}.id"), format!("{pattern} is listed twice"));
            }
            own.push((pattern, rule));
        }
        Callers::new(default, own)
    }

    fn rate(&mut self, at: &str, per_second: f64, burst: u32) -> Option<Rate> {
        let rate = Rate::new(per_second, burst);
        if burst == 0 {
            self.mistake(&format!("{at}.burst"), "must be above zero");
        } else if rate.is_none() && per_second != 0.0 {
            let problem = "must be calls per second above zero, no fewer than the burst in a day, or 0 for no limit";
            self.mistake(&format!("{at}.rate"), problem);
        }
        rate
    }

    fn weight(&mut self, at: &str, weight: u32) -> NonZeroU32 {
        let fits = NonZeroU32::new(weight).filter(|weight| weight.get() <= MAX_WEIGHT);
        if fits.is_none() {
            let problem = format!("must be 1 to {MAX_WEIGHT}");
            self.mistake(&format!("{at}.weight"), problem);
        }
        fits.unwrap_or(NonZeroU32::MIN)
    }
}

/// A round of the queue must stay short: everyone waits a round at most.
const MAX_WEIGHT: u32 = 100;
