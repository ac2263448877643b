//! From `[[callers]]` and `[default_caller]` to a rule for every caller.

use std::num::NonZeroU32;

use super::check::Check;
use super::settings::{AllowanceSettings, Settings};
use crate::caller::{Caller, Callers, Rate, Rule};

impl Check<'_> {
    /// The rule for every caller; what makes no sense is noted and left out.
    pub(super) fn callers(&mut self, settings: &Settings) -> Callers {
        let default = self.rule("default_caller", &settings.default_caller);
        let mut own: Vec<(Caller, Rule)> = Vec::new();
        for (index, entry) in settings.callers.iter().enumerate() {
            let at = format!("callers[{index}]");
            let allowance = AllowanceSettings {
                rate: entry.rate.unwrap_or(settings.default_caller.rate),
                burst: entry.burst.unwrap_or(settings.default_caller.burst),
                weight: entry.weight.unwrap_or(settings.default_caller.weight),
            };
            let rule = self.rule(&at, &allowance);
            let Some(caller) = Caller::named(&entry.id) else {
                let problem = format!("must be 1 to {} visible ASCII characters", Caller::MAX_NAME);
                self.mistake(&format!("{at}.id"), problem);
                continue;
            };
            if own.iter().any(|(earlier, _)| *earlier == caller) {
                self.mistake(&format!("{at}.id"), format!("{caller} is listed twice"));
            }
            own.push((caller, rule));
        }
        Callers::new(default, own)
    }

    fn rule(&mut self, at: &str, allowance: &AllowanceSettings) -> Rule {
        let rate = Rate::new(allowance.rate, allowance.burst);
        if allowance.burst == 0 {
            self.mistake(&format!("{at}.burst"), "must be above zero");
        } else if rate.is_none() && allowance.rate != 0.0 {
            let problem = "must be calls per second above zero, no fewer than the burst in a day, or 0 for no limit";
            self.mistake(&format!("{at}.rate"), problem);
        }
        let weight = NonZeroU32::new(allowance.weight).filter(|weight| weight.get() <= MAX_WEIGHT);
        if weight.is_none() {
            self.mistake(
                &format!("{at}.weight"),
                format!("must be 1 to {MAX_WEIGHT}"),
            );
        }
        Rule {
            rate,
            weight: weight.unwrap_or(NonZeroU32::MIN),
        }
    }
}

/// A round of the queue must stay short: everyone waits a round at most.
const MAX_WEIGHT: u32 = 100;
