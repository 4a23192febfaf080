//! How long to wait before the next try.
//!
//! Doubles from a least to a longest pause and adds a part that chance decides, so that many proxies that lost the same server do
//! not come back in step. It neither sleeps nor rolls dice: the random number is an argument.

use std::time::Duration;

/// A source of numbers evenly spread over 0.0 (included) to 1.0 (excluded).
pub(crate) type Chance = fn() -> f64;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Backoff {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
    /// The most that chance adds, as a part of the pause.
    pub(crate) jitter: f64,
}

impl Backoff {
    /// What control streams and certificate requests use.
    pub(crate) const CONTROL: Backoff = Backoff { min: Duration::from_millis(100), max: Duration::from_secs(10), jitter: 0.2 };

    /// The pause after `failures` failures in a row (1 is the first), given one random number from 0 to 1.
    pub(crate) fn pause(&self, failures: u32, chance: f64) -> Duration {
        let doubled = self.min.saturating_mul(1 << failures.saturating_sub(1).min(20));
        let pause = doubled.min(self.max);
        pause + pause.mul_f64(self.jitter * chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirement: the pause doubles up to the longest, never overflows, and chance adds at most its part.
    #[test]
    fn the_pause_doubles_up_to_a_limit() {
        for (failures, chance, millis) in
            [(0, 0.0, 100), (1, 0.0, 100), (2, 0.0, 200), (3, 0.5, 440), (8, 0.0, 10_000), (u32::MAX, 0.0, 10_000), (1, 1.0, 120)]
        {
            assert_eq!(Backoff::CONTROL.pause(failures, chance), Duration::from_millis(millis), "{failures} failures, {chance}");
        }
    }
}
