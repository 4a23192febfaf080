//! When each request of a constant rate is due, and on which connection. Pure.

use std::time::Duration;

/// A request: how long after the beginning it is due, and the connection that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) after: Duration,
    pub(crate) connection: usize,
}

/// Evenly spread over the time, and over the connections in turn: never a burst of all of them at once.
pub(crate) fn schedule(rate: f64, time: Duration, connections: usize) -> impl Iterator<Item = Due> {
    let requests = (rate * time.as_secs_f64()) as usize;
    (0..requests).map(move |number| Due { after: Duration::from_secs_f64(number as f64 / rate), connection: number % connections })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirement: equal distances, connections in turn, as many as the rate says.
    #[test]
    fn requests_are_spread_evenly() {
        let all: Vec<Due> = schedule(1000.0, Duration::from_millis(20), 16).collect();
        assert_eq!(all.len(), 20);
        assert!(all.windows(2).all(|pair| (pair[1].after - pair[0].after).as_micros().abs_diff(1000) <= 1));
        assert_eq!(all.iter().map(|each| each.connection).collect::<Vec<_>>()[14..18], [14, 15, 0, 1]);
    }
}
