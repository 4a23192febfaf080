//! When a certificate is to be renewed, and whether it is still good.
//!
//! Everything here is the clock on the wall, because certificates live by it, and that clock may be set, forward and back. It never
//! waits; the caller looks again from time to time.

use std::time::{Duration, SystemTime};

/// A clock that is this much earlier than it was has been set back; less is the work of a time service.
const SET_BACK: Duration = Duration::from_secs(10);

/// The certificate in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub obtained: SystemTime,
    pub not_after: SystemTime,
}

/// The least and the most time between two requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    pub min: Duration,
    pub max: Duration,
}

impl Held {
    /// How long until the next one is asked for: at 70 % of the life that it had left. Zero: now. A clock that was set back brings a
    /// request at once: the certificate may not be valid yet by that clock, and waiting for the old moment may take for ever.
    pub fn due_in(&self, pace: Pace, now: SystemTime) -> Duration {
        let life = self.not_after.duration_since(self.obtained).unwrap_or_default();
        let pause = life.mul_f64(0.7).min(pace.max).max(pace.min);
        match now.duration_since(self.obtained) {
            Ok(passed) => pause.saturating_sub(passed),
            Err(back) if back.duration() > SET_BACK => Duration::ZERO,
            Err(_) => pause,
        }
    }

    /// How long it is good for. Zero: it has ended.
    pub fn ends_in(&self, now: SystemTime) -> Duration {
        self.not_after.duration_since(now).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;
    const PACE: Pace = Pace { min: Duration::from_secs(10), max: Duration::from_secs(24 * HOUR) };

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + seconds)
    }

    fn held(life: u64) -> Held {
        Held { obtained: at(0), not_after: at(life) }
    }

    /// Requirement: renewal comes at 70 % of the remaining life, not before the least and not after the longest time.
    #[test]
    fn renewal_is_due_at_seven_tenths() {
        for (life, due) in [(HOUR, 2520), (10, 10), (0, 10), (24 * 365 * HOUR, 24 * HOUR), (24 * HOUR, 60_480)] {
            assert_eq!(held(life).due_in(PACE, at(0)), Duration::from_secs(due), "life {life}");
        }
        assert_eq!(Held { obtained: at(5), not_after: at(0) }.due_in(PACE, at(5)), PACE.min);
    }

    /// Requirement: the moment is one of the wall clock: whatever time passed unseen is over, and a clock that was set back, by more than
    /// a time service does, does not put the renewal off.
    #[test]
    fn a_clock_that_jumps_is_survived() {
        let day = held(24 * HOUR);
        for (now, due) in [(at(HOUR), 60_480 - HOUR), (at(60_480), 0), (at(365 * 24 * HOUR), 0)] {
            assert_eq!(day.due_in(PACE, now), Duration::from_secs(due));
        }
        let back = |seconds| day.obtained - Duration::from_secs(seconds);
        assert_eq!(day.due_in(PACE, back(5)), Duration::from_secs(60_480));
        for seconds in [11, HOUR, 365 * 24 * HOUR] {
            assert_eq!(day.due_in(PACE, back(seconds)), Duration::ZERO, "back by {seconds} s");
        }
    }

    /// Requirement: a certificate is good up to its last moment and not in it.
    #[test]
    fn it_ends_when_it_says() {
        assert_eq!(held(10).ends_in(at(0)), Duration::from_secs(10));
        assert_eq!(held(10).ends_in(at(9)), Duration::from_secs(1));
        for now in [at(10), at(11)] {
            assert_eq!(held(10).ends_in(now), Duration::ZERO);
        }
    }
}
