//! How many retries there may be in proportion to requests, so that retries do not become the load that they should help against.
//!
//! Decides whether one more retry is within the budget of a destination. Every request pays in its ratio, every retry takes one out, and
//! some a second are free; what was paid in is forgotten after a while. The clock is an argument. It never decides whether a retry is
//! worth while: [`crate::retry`] does.

use std::time::{Duration, Instant};

/// What a budget allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// Retries for each request.
    pub ratio: f32,
    /// Retries a second that need no requests.
    pub least_per_second: u32,
    /// How long a request counts.
    pub ttl: Duration,
}

impl Terms {
    /// What holds where a profile says nothing else.
    pub const DEFAULT: Terms = Terms { ratio: 0.2, least_per_second: 10, ttl: Duration::from_secs(10) };
}

/// The budget of one destination at one worker.
#[derive(Clone, Debug)]
pub struct Budget {
    terms: Terms,
    /// The free retries of a whole `ttl`, of those that this worker may give out.
    free: f64,
    /// What came in less what went out, one for each part of the `ttl`; the newest at `newest`.
    parts: [f64; PARTS],
    newest: usize,
    /// When the newest part began.
    since: Instant,
}

const PARTS: usize = 10;

impl Budget {
    /// `sharers` workers have one each: ratios add up by themselves, what is free is divided.
    pub fn new(terms: Terms, sharers: usize, now: Instant) -> Self {
        let free = f64::from(terms.least_per_second) * terms.ttl.as_secs_f64() / sharers.max(1) as f64;
        Budget { terms, free, parts: [0.0; PARTS], newest: 0, since: now }
    }

    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// A request pays in.
    pub fn deposit(&mut self, now: Instant) {
        self.forget(now);
        self.parts[self.newest] += f64::from(self.terms.ratio.max(0.0));
    }

    /// Whether there is enough for one retry.
    pub fn affords(&mut self, now: Instant) -> bool {
        self.forget(now);
        // Sums of fractions such as 0.2 may fall short of the whole number that they mean.
        self.free + self.parts.iter().sum::<f64>() >= 1.0 - 1e-6
    }

    /// A retry takes its price out.
    pub fn withdraw(&mut self, now: Instant) {
        self.forget(now);
        self.parts[self.newest] -= 1.0;
    }

    fn forget(&mut self, now: Instant) {
        let part = (self.terms.ttl / PARTS as u32).max(Duration::from_millis(1));
        let passed = (now.saturating_duration_since(self.since).as_nanos() / part.as_nanos()) as usize;
        if passed == 0 {
            return;
        }
        for _ in 0..passed.min(PARTS) {
            self.newest = (self.newest + 1) % PARTS;
            self.parts[self.newest] = 0.0;
        }
        self.since += part.saturating_mul(u32::try_from(passed).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a moment has to begin somewhere")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spent(budget: &mut Budget, now: Instant) -> usize {
        let mut count = 0;
        while budget.affords(now) && count < 10_000 {
            budget.withdraw(now);
            count += 1;
        }
        count
    }

    /// Requirement: a fifth of the requests may be repeated, and ten a second beside; both come back as time passes.
    #[test]
    fn retries_follow_requests() {
        let start = Instant::now();
        let mut budget = Budget::new(Terms { least_per_second: 0, ..Terms::DEFAULT }, 1, start);
        assert_eq!(spent(&mut budget, start), 0);
        (0..50).for_each(|_| budget.deposit(start));
        assert_eq!(spent(&mut budget, start), 10);
        let later = start + Duration::from_secs(11);
        (0..10).for_each(|_| budget.deposit(later));
        assert_eq!(spent(&mut budget, later), 2, "what was taken out is forgotten with what was paid in");
        let mut free = Budget::new(Terms { ratio: 0.0, ..Terms::DEFAULT }, 1, start);
        assert_eq!(spent(&mut free, start), 100);
        assert_eq!(spent(&mut free, start + Duration::from_secs(5)), 0);
        assert_eq!(spent(&mut free, start + Duration::from_secs(11)), 100);
    }

    /// Requirement: workers that share a budget give out no more free retries together than one alone.
    #[test]
    fn workers_divide_what_is_free() {
        let now = Instant::now();
        let all: usize = (0..4).map(|_| spent(&mut Budget::new(Terms::DEFAULT, 4, now), now)).sum();
        assert_eq!(all, spent(&mut Budget::new(Terms::DEFAULT, 1, now), now));
    }

    proptest! {
        /// Requirement: within one lifetime there are never more retries than ratio times requests, and what is free.
        #[test]
        fn a_budget_is_never_overdrawn(steps in proptest::collection::vec((0u64..900, any::<bool>()), 0..60), ratio in 0.0f32..2.0) {
            let start = Instant::now();
            let terms = Terms { ratio, least_per_second: 1, ttl: Duration::from_secs(60) };
            let (mut budget, mut now, mut requests, mut retries) = (Budget::new(terms, 1, start), start, 0u32, 0u32);
            for (pause, retry) in steps {
                now += Duration::from_millis(pause);
                if retry && budget.affords(now) {
                    budget.withdraw(now);
                    retries += 1;
                } else if !retry {
                    budget.deposit(now);
                    requests += 1;
                }
            }
            prop_assert!(f64::from(retries) <= f64::from(ratio) * f64::from(requests) + 60.0 + 1e-3);
        }
    }
}
