//! Latencies become percentiles. Pure.

use std::time::Duration;

use serde_json::{Value, json};

#[derive(Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn add(&mut self, taken: Duration) {
        self.0.push(taken);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Requests and percentiles, with `failed` beside them.
    pub(crate) fn report(mut self, failed: usize) -> Value {
        self.0.sort_unstable();
        json!({"requests": self.count(), "failed": failed, "p50_ms": self.at(0.50), "p99_ms": self.at(0.99)})
    }

    /// The nearest rank, in milliseconds; 0 without samples.
    fn at(&self, part: f64) -> f64 {
        let rank = (part * self.count() as f64) as usize;
        self.0.get(rank.min(self.count().saturating_sub(1))).map_or(0.0, |taken| taken.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirement: a percentile is one of the samples, in any order of arrival; without samples it is 0.
    #[test]
    fn a_percentile_is_a_sample() {
        let mut all = Latencies::default();
        for number in (0..200).rev() {
            all.add(Duration::from_micros(number * 10));
        }
        assert_eq!(all.report(3), json!({"requests": 200, "failed": 3, "p50_ms": 1.0, "p99_ms": 1.98}));
        assert_eq!(Latencies::default().report(0)["p99_ms"], 0.0);
    }
}
