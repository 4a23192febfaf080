//! Which endpoint takes the next request.
//!
//! Decides by two random choices and the lower load, where load is a moving average of latency times calls pending.
//! Time and randomness are arguments. It never knows what an endpoint is: the caller keeps one [`Load`] beside each.
//!
//! Three choices make it fair where plain peak-EWMA is not (a client with one call at a time would follow the noise of its own
//! measurements for seconds): latencies that differ less than threefold, or rest on few calls, are called equal, and then the endpoint
//! takes the call that was given one the longest ago, unless it has many more pending; one slow answer moves the average a little, only
//! a row of slow ones much; and what was slow is asked again every now and then.

use std::cmp::Ordering;
use std::ops::Deref;
use std::time::{Duration, Instant};

use crate::model::PeakEwma;

/// What one client knows of one endpoint's load.
#[derive(Clone, Debug)]
pub struct Load {
    decay: f64,
    /// Nanoseconds.
    latency: f64,
    updated: Instant,
    /// How many calls the latency rests on, its siblings' among them.
    samples: u32,
    pending: u32,
    /// When the last call was sent; before the first one, never.
    last: Option<Instant>,
    /// The cost of a failure not yet answered by a success, and when it was laid on.
    penalty: Option<(f64, Instant)>,
}

impl Load {
    /// The load of an endpoint that nothing is known of: the median of its siblings' latencies, without siblings the default.
    pub fn new<'a>(settings: PeakEwma, siblings: impl IntoIterator<Item = &'a Load>, now: Instant) -> Self {
        let mut known: Vec<f64> = siblings.into_iter().filter(|load| load.samples > 0).map(|load| load.latency_at(now)).collect();
        known.sort_by(f64::total_cmp);
        // The siblings' latency is believed like one measured here: of many calls at once the quick ones end first, and a mean that
        // began with them would draw everything to the new endpoint.
        let (latency, samples) = match known.get(known.len() / 2) {
            Some(median) => (*median, TRUSTED),
            None => (settings.default_rtt.as_nanos() as f64, 0),
        };
        let decay = (settings.decay.as_nanos() as f64).max(1.0);
        Load { decay, latency, updated: now, samples, pending: 0, last: None, penalty: None }
    }

    /// A call was sent. Exactly one of `finished`, `failed` and `abandoned` follows.
    pub fn started(&mut self, now: Instant) {
        self.pending += 1;
        self.last = Some(now);
    }

    /// The call was answered after `rtt`.
    pub fn finished(&mut self, now: Instant, rtt: Duration) {
        self.abandoned();
        self.penalty = None;
        let rtt = rtt.as_nanos() as f64;
        if self.samples == 0 {
            self.latency = rtt;
        } else {
            let least = match (rtt > self.latency, self.samples < TRUSTED) {
                (true, _) => SLOWER,
                (false, true) => SETTLING,
                (false, false) => QUICKER,
            };
            let weight = (1.0 - faded(self.updated, now, self.decay)).max(least);
            self.latency += (rtt.min(OUTLIER * self.latency) - self.latency) * weight;
        }
        self.samples = self.samples.saturating_add(1);
        self.updated = now;
    }

    /// The call failed in a way that says something about the endpoint (no connection, overload): it costs at least `penalty`,
    /// fading with time, until a call succeeds. A failure is often faster than a success and must not look like one.
    pub fn failed(&mut self, now: Instant, penalty: Duration) {
        self.abandoned();
        self.penalty = Some((self.penalty_at(now).max(penalty.as_nanos() as f64), now));
    }

    /// The call ended in a way that says nothing about the endpoint (the client went away).
    pub fn abandoned(&mut self) {
        debug_assert!(self.pending > 0, "a call ends that was not started");
        self.pending = self.pending.saturating_sub(1);
    }

    pub fn pending(&self) -> u32 {
        self.pending
    }

    /// What one more call would meet here: nanoseconds times calls.
    pub fn cost(&self, now: Instant) -> f64 {
        self.latency_at(now).max(self.penalty_at(now)) * (f64::from(self.pending) + 1.0)
    }

    /// Fades while nothing is measured, so that a slow endpoint is asked again.
    fn latency_at(&self, now: Instant) -> f64 {
        self.latency * faded(self.updated, now, self.decay)
    }

    /// Fades much faster than a latency: nothing else ends the penalty of an endpoint that nobody asks any more.
    fn penalty_at(&self, now: Instant) -> f64 {
        self.penalty.map_or(0.0, |(penalty, since)| penalty * faded(since, now, PENALTY_DECAY))
    }

    /// Whether the difference to another endpoint is too small, or known too little, to act on.
    fn is_near(&self, other: &Load, now: Instant) -> bool {
        let (a, b) = (self.penalty_at(now), other.penalty_at(now));
        let (a, b) = (self.latency_at(now).max(a), other.latency_at(now).max(b));
        let forgotten = EXPLORE * a.min(b);
        let failing = self.penalty.is_some() || other.penalty.is_some();
        let known = failing || (self.is_known(forgotten, now) && other.is_known(forgotten, now));
        !known || a.max(b) <= NEAR * a.min(b)
    }

    /// Whether so much more is pending here than at the other endpoint that it is not its turn.
    fn is_crowded(&self, other: &Load) -> bool {
        self.pending > CROWDED * (other.pending + 1)
    }

    /// Whether the latency rests on enough calls, the last of them less than `forgotten` nanoseconds ago.
    fn is_known(&self, forgotten: f64, now: Instant) -> bool {
        let idle = self.pending == 0 && now.saturating_duration_since(self.updated).as_nanos() as f64 > forgotten;
        self.samples >= TRUSTED && !idle
    }
}

/// Picks one of `ready`, an index that `load` understands. None when nothing is ready. `random` is asked two or three times.
pub fn pick<L>(load: impl Fn(usize) -> L, ready: &[usize], now: Instant, random: &mut impl FnMut() -> u32) -> Option<usize>
where
    L: Deref<Target = Load>,
{
    let mut below = |n: usize| ((u64::from(random()) * n as u64) >> 32) as usize;
    let (first, second) = match ready {
        [] => return None,
        [only] => return Some(*only),
        _ => {
            let first = below(ready.len());
            let second = below(ready.len() - 1);
            (ready[first], ready[second + usize::from(second >= first)])
        }
    };
    let (a, b) = (load(first), load(second));
    let order = match (a.is_near(&b, now), a.is_crowded(&b), b.is_crowded(&a)) {
        (false, _, _) => a.cost(now).total_cmp(&b.cost(now)),
        (true, true, _) => Ordering::Greater,
        (true, _, true) => Ordering::Less,
        // Not by calls pending: of equal replicas one that shares its processor would get less than its part for as long as it does.
        (true, false, false) => a.last.cmp(&b.last),
    };
    // The two come in random order: a tie needs no third throw.
    Some(if order.is_le() { first } else { second })
}

/// What is left at `now` of something that was whole at `since`; `decay` in nanoseconds.
fn faded(since: Instant, now: Instant, decay: f64) -> f64 {
    (-(now.saturating_duration_since(since).as_nanos() as f64) / decay).exp()
}

/// What a failure costs: well above any latency that is worth waiting for.
pub const FAILURE_PENALTY: Duration = Duration::from_secs(5);
/// Nanoseconds. After a failure an endpoint whose siblings answer in milliseconds is left alone for some seconds.
const PENALTY_DECAY: f64 = 1e9;
/// Latencies within this factor are called equal: the noise of a busy machine stays below it.
const NEAR: f64 = 3.0;
/// An endpoint with more than this many times the other's calls pending (one more counted) is passed over, whatever its latency was.
const CROWDED: u32 = 2;
/// Calls after which a latency is believed.
const TRUSTED: u32 = 10;
/// After so many times the other endpoint's latency without a call an endpoint's own is not known any more: a slow moment must not
/// cost it its share for seconds.
const EXPLORE: f64 = 20.0;
/// An answer counts as at most this many times the average.
const OUTLIER: f64 = 3.0;
/// What a slower answer weighs at least: some twenty calls of a slow endpoint, but not the handful that one stall keeps waiting, move
/// the average out of `NEAR`.
const SLOWER: f64 = 1.0 / 32.0;
/// What a quicker answer weighs at least: an endpoint that recovered is soon believed.
const QUICKER: f64 = 1.0 / 8.0;
/// The same while the latency is not yet believed: the first call met an endpoint that had everything to load.
const SETTLING: f64 = 1.0 / 2.0;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests count time from wherever they begin")]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use proptest::prelude::*;

    use super::*;

    const SEEDS: u64 = 30;
    const SETTINGS: PeakEwma = PeakEwma { default_rtt: Duration::from_millis(30), decay: Duration::from_secs(10) };

    fn generator(seed: u64) -> impl FnMut() -> u32 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u32
        }
    }

    /// A client that keeps `concurrent` calls going; endpoints answer after 2 ms and an exponential share, one call in a hundred ten
    /// times later.
    struct Client {
        loads: Vec<Load>,
        slower: Vec<f64>,
        dead: Vec<usize>,
        /// Answers nothing before.
        stalled: Option<(usize, Duration)>,
        start: Instant,
        now: Duration,
        calls: BinaryHeap<Reverse<(Duration, usize, Duration)>>,
        random: Box<dyn FnMut() -> u32>,
    }

    impl Client {
        fn new(replicas: usize, seed: u64) -> Self {
            let start = Instant::now();
            let loads = (0..replicas).map(|_| Load::new(SETTINGS, [], start)).collect();
            let (slower, random) = (vec![1.0; replicas], Box::new(generator(seed)));
            Client { loads, slower, dead: vec![], stalled: None, start, now: Duration::ZERO, calls: BinaryHeap::new(), random }
        }

        fn run(&mut self, concurrent: usize, calls: usize) -> Vec<usize> {
            let mut counts = vec![0; self.loads.len()];
            let ready: Vec<usize> = (0..self.loads.len()).collect();
            for _ in 0..calls {
                while self.calls.len() >= concurrent {
                    self.finish();
                }
                let loads = &self.loads;
                let picked = pick(|index| &loads[index], &ready, self.start + self.now, &mut self.random).unwrap();
                counts[picked] += 1;
                self.loads[picked].started(self.start + self.now);
                let uniform = (f64::from((self.random)()) + 1.0) / 4_294_967_297.0;
                let outlier = if (self.random)().is_multiple_of(100) { 10.0 } else { 1.0 };
                let dead = self.dead.contains(&picked);
                let millis = if dead { 0.2 } else { (2.0 - 3.0 * uniform.ln()) * outlier * self.slower[picked] };
                let awake = self.stalled.filter(|(index, _)| *index == picked).map_or(self.now, |(_, until)| until.max(self.now));
                self.calls.push(Reverse((awake + Duration::from_secs_f64(millis / 1e3), picked, self.now)));
            }
            while !self.calls.is_empty() {
                self.finish();
            }
            counts
        }

        fn finish(&mut self) {
            let Reverse((at, index, since)) = self.calls.pop().unwrap();
            self.now = at;
            if self.dead.contains(&index) {
                self.loads[index].failed(self.start + at, FAILURE_PENALTY);
            } else {
                self.loads[index].finished(self.start + at, at - since);
            }
        }
    }

    /// Requirement: a replica that stood still for a moment, with calls waiting in it, keeps its share: it answers all of them late at
    /// once, and then as quickly as its siblings.
    #[test]
    fn a_stall_is_not_a_slow_replica() {
        for seed in 1..=SEEDS {
            let mut client = Client::new(3, seed);
            client.run(8, 300);
            client.stalled = Some((1, client.now + Duration::from_millis(100)));
            let shares = percents(&client.run(8, 3000));
            assert!(shares.iter().all(|share| (share - 33.3).abs() <= 5.0), "seed {seed}: {shares:?}");
        }
    }

    /// Requirement: a replica whose first answers are late, because it had everything to load, keeps its share.
    #[test]
    fn a_cold_start_is_not_a_slow_replica() {
        for seed in 1..=SEEDS {
            let mut client = Client::new(3, seed);
            client.stalled = Some((1, Duration::from_millis(100)));
            let shares = percents(&client.run(8, 3000));
            assert!(shares.iter().all(|share| (share - 33.3).abs() <= 5.0), "seed {seed}: {shares:?}");
        }
    }

    /// Requirement: replicas that are equal but for the processor they happen to share get equal shares.
    #[test]
    fn a_busy_processor_costs_no_share() {
        for (concurrent, tolerance) in [(1, 5.0), (8, 5.0), (64, 5.0)] {
            for seed in 1..=SEEDS {
                let mut client = Client::new(3, seed);
                client.slower = vec![1.0, 1.6, 1.3];
                let shares = percents(&client.run(concurrent, 3000));
                assert!(shares.iter().all(|share| (share - 33.3).abs() <= tolerance), "{concurrent} at once, seed {seed}: {shares:?}");
            }
        }
    }

    fn percents(counts: &[usize]) -> Vec<f64> {
        let total: usize = counts.iter().sum();
        counts.iter().map(|count| *count as f64 * 100.0 / total as f64).collect()
    }

    /// Requirement: equal replicas get equal shares, from a client with one call at a time too.
    #[test]
    fn equal_replicas_get_equal_shares() {
        for (concurrent, tolerance) in [(1, 10.0), (8, 5.0), (64, 5.0)] {
            for seed in 1..=SEEDS {
                let shares = percents(&Client::new(3, seed).run(concurrent, 3000));
                assert!(shares.iter().all(|share| (share - 33.3).abs() <= tolerance), "{concurrent} at once, seed {seed}: {shares:?}");
            }
        }
    }

    /// Requirement: a new replica gets its share at once, neither nothing nor everything.
    #[test]
    fn a_new_replica_gets_its_share_at_once() {
        for concurrent in [1, 8, 64] {
            for seed in 1..=SEEDS {
                let mut client = Client::new(3, seed);
                client.run(concurrent, 3000);
                let fresh = Load::new(SETTINGS, &client.loads, client.start + client.now);
                client.loads.push(fresh);
                client.slower.push(1.0);
                let shares = percents(&client.run(concurrent, 300));
                assert!((12.0..=40.0).contains(&shares[3]), "{concurrent} at once, seed {seed}: {shares:?}");
            }
        }
    }

    /// Requirement: a replica that was slow for a moment soon has its share again.
    #[test]
    fn a_slow_moment_is_soon_forgiven() {
        for concurrent in [1, 8] {
            for seed in 1..=SEEDS {
                let mut client = Client::new(3, seed);
                client.run(concurrent, 600);
                client.slower[1] = 10.0;
                client.run(concurrent, 60);
                client.slower[1] = 1.0;
                client.run(concurrent, 200 * concurrent);
                let shares = percents(&client.run(concurrent, 3000));
                assert!(shares.iter().all(|share| (share - 33.3).abs() <= 10.0), "{concurrent} at once, seed {seed}: {shares:?}");
            }
        }
    }

    /// Requirement: a replica ten times slower than its siblings gets little, and one that fails fast even less.
    #[test]
    fn slow_and_dead_replicas_are_avoided() {
        for concurrent in [1, 8, 64] {
            for seed in 1..=10 {
                let mut client = Client::new(3, seed);
                client.slower[1] = 10.0;
                let shares = percents(&client.run(concurrent, 3000));
                assert!(shares[1] < 15.0, "slow, {concurrent} at once, seed {seed}: {shares:?}");

                let mut client = Client::new(3, seed);
                client.dead = vec![1];
                let shares = percents(&client.run(concurrent, 3000));
                assert!(shares[1] < 5.0, "dead, {concurrent} at once, seed {seed}: {shares:?}");
            }
        }
    }

    /// Requirement: one success after a failure ends the penalty; until then it fades, so that the endpoint is tried again.
    #[test]
    fn penalties_fade_and_end() {
        let start = Instant::now();
        let mut load = Load::new(SETTINGS, [], start);
        load.started(start);
        load.failed(start, FAILURE_PENALTY);
        assert!(load.cost(start) >= 5e9);
        assert!(load.cost(start + Duration::from_secs(3)) > 1e8);
        assert!(load.cost(start + Duration::from_secs(10)) < 2e7);
        load.started(start + Duration::from_secs(1));
        load.finished(start + Duration::from_secs(1), Duration::from_millis(3));
        assert!(load.cost(start + Duration::from_secs(1)) < 4e6);
        assert_eq!(load.pending(), 0);
    }

    proptest! {
        /// Requirement: a pick is one of the ready, whatever the loads are and however chance falls.
        #[test]
        fn a_pick_is_ready(ready in prop::collection::btree_set(0_usize..9, 0..9), seed: u64, extreme in 0..3) {
            let start = Instant::now();
            let loads: Vec<_> = (0..9).map(|_| Load::new(SETTINGS, [], start)).collect();
            let ready: Vec<_> = ready.into_iter().collect();
            let mut any = generator(seed);
            let mut random = move || [0, u32::MAX, any()][extreme as usize];
            let picked = pick(|index| &loads[index], &ready, start, &mut random);
            prop_assert_eq!(picked.is_some(), !ready.is_empty());
            prop_assert!(picked.is_none_or(|picked| ready.contains(&picked)));
        }
    }
}
