//! Which of an exchange's time limits has run out, or when the next one does.
//!
//! Plain comparison of moments that the caller took. It never waits.

use std::time::{Duration, Instant};

/// The limits of one attempt at one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The moment until which the whole answer must be there, however many attempts it takes.
    pub request: Option<Instant>,
    /// The moment until which this attempt must have the head of an answer.
    pub attempt: Option<Instant>,
    /// From the end of the request to the head of its answer.
    pub response: Option<Duration>,
    /// Without a byte either way.
    pub idle: Option<Duration>,
    /// Until the next piece of the request's body, from a client of HTTP/1. Not of HTTP/2: streams of gRPC are quiet for hours.
    pub body: Option<Duration>,
}

impl Limits {
    /// Whether there is one for what `due` is asked about.
    pub fn any(&self) -> bool {
        self.request.is_some() || self.attempt.is_some() || self.response.is_some() || self.idle.is_some()
    }
}

/// How far the exchange has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// When the request was complete.
    pub sent: Option<Instant>,
    /// The head of the final answer came.
    pub answered: bool,
    /// When the last byte moved.
    pub moved: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    Request,
    Attempt,
    Response,
    Idle,
    Body,
}

impl Limit {
    /// One sentence for the client, the log and the metric.
    pub fn reason(self) -> &'static str {
        match self {
            Limit::Request => "the request took longer than its timeout",
            Limit::Attempt => "the attempt took longer than its timeout",
            Limit::Response => "the server took longer to answer than the response timeout",
            Limit::Idle => "nothing was sent either way for the idle timeout",
            Limit::Body => "nothing came of the request's body for the body timeout",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Never,
    At(Instant),
    Now(Limit),
}

/// What is due at `now`. Of several, the one that was due first.
pub fn due(limits: &Limits, progress: &Progress, now: Instant) -> Due {
    let unanswered = !progress.answered;
    let moments = [
        (limits.request, Limit::Request),
        (limits.attempt.filter(|_| unanswered), Limit::Attempt),
        (progress.sent.filter(|_| unanswered).and_then(|sent| sent.checked_add(limits.response?)), Limit::Response),
        (limits.idle.and_then(|idle| progress.moved.checked_add(idle)), Limit::Idle),
    ];
    let first = moments.into_iter().filter_map(|(at, limit)| Some((at?, limit))).min_by_key(|(at, _)| *at);
    match first {
        None => Due::Never,
        Some((at, limit)) if at <= now => Due::Now(limit),
        Some((at, _)) => Due::At(at),
    }
}

/// What the client of an unanswered request owes of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owes {
    /// Nothing: it asked whether to send it (`Expect: 100-continue`) and was not told.
    Nothing,
    /// The next piece.
    Piece,
    /// The next piece; it was told to go on at this moment.
    PieceSince(Instant),
    /// Nothing any more: its answer has begun, and says what the body is worth.
    Answered,
}

/// Whether the client that was ready to be read from since `asked` took longer than `most`.
pub fn body_due(most: Duration, owes: Owes, asked: Instant, now: Instant) -> Due {
    let since = match owes {
        Owes::Answered => return Due::Never,
        // Looked at again when it could have been told and then been slow.
        Owes::Nothing => now,
        Owes::Piece => asked,
        Owes::PieceSince(told) => asked.max(told),
    };
    match since.checked_add(most) {
        None => Due::Never,
        Some(at) if at <= now => Due::Now(Limit::Body),
        Some(at) => Due::At(at),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a moment has to begin somewhere")]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Requirement: each limit runs from its own beginning; those for the head of an answer end with it, the others go on to its end.
    #[test]
    fn each_limit_runs_from_its_own_beginning() {
        let start = Instant::now();
        let (sent, moved) = (start + ms(10), start + ms(20));
        let before = Progress { sent: Some(sent), answered: false, moved };
        let uploading = Progress { sent: None, ..before };
        let after = Progress { answered: true, ..before };
        let request = Limits { request: Some(start + ms(100)), ..Limits::default() };
        let attempt = Limits { attempt: Some(start + ms(100)), ..Limits::default() };
        let response = Limits { response: Some(ms(100)), ..Limits::default() };
        let idle = Limits { idle: Some(ms(100)), ..Limits::default() };
        for (limits, progress, at, limit) in [
            (request, before, Some(100), Limit::Request),
            (request, after, Some(100), Limit::Request),
            (attempt, uploading, Some(100), Limit::Attempt),
            (attempt, after, None, Limit::Attempt),
            (response, uploading, None, Limit::Response),
            (response, before, Some(110), Limit::Response),
            (response, after, None, Limit::Response),
            (idle, uploading, Some(120), Limit::Idle),
            (idle, after, Some(120), Limit::Idle),
        ] {
            let Some(at) = at.map(|at| start + ms(at)) else {
                assert_eq!(due(&limits, &progress, start + ms(1000)), Due::Never, "{limits:?} {progress:?}");
                continue;
            };
            assert_eq!(due(&limits, &progress, at - ms(1)), Due::At(at), "{limits:?} {progress:?}");
            assert_eq!(due(&limits, &progress, at), Due::Now(limit), "{limits:?} {progress:?}");
        }
    }

    /// Requirement: without limits nothing is ever due; of several, the first is.
    #[test]
    fn the_first_of_several_is_due() {
        let start = Instant::now();
        let progress = Progress { sent: Some(start), answered: false, moved: start };
        assert_eq!(due(&Limits::default(), &progress, start + ms(1 << 30)), Due::Never);
        assert!(!Limits::default().any());
        let all = Limits {
            request: Some(start + ms(40)),
            attempt: Some(start + ms(30)),
            response: Some(ms(20)),
            idle: Some(ms(50)),
            ..Limits::default()
        };
        assert_eq!(due(&all, &progress, start), Due::At(start + ms(20)));
        assert_eq!(due(&all, &progress, start + ms(60)), Due::Now(Limit::Response));
        assert_eq!(due(&all, &Progress { answered: true, ..progress }, start + ms(60)), Due::Now(Limit::Request));
    }

    /// Requirement: a client may take so long for each piece of its body, counted from when it is asked, or told to go on after it asked
    /// itself whether to; while it waits for that word, and once its answer has begun, it may take any time.
    #[test]
    fn a_body_may_pause_and_not_stop() {
        let start = Instant::now();
        let (asked, told) = (start + ms(10), start + ms(50));
        for (owes, now, expected) in [
            (Owes::Piece, 10, Due::At(start + ms(110))),
            (Owes::Piece, 109, Due::At(start + ms(110))),
            (Owes::Piece, 110, Due::Now(Limit::Body)),
            (Owes::Nothing, 1000, Due::At(start + ms(1100))),
            (Owes::PieceSince(told), 149, Due::At(start + ms(150))),
            (Owes::PieceSince(told), 150, Due::Now(Limit::Body)),
            (Owes::PieceSince(start), 110, Due::Now(Limit::Body)),
            (Owes::Answered, 1000, Due::Never),
        ] {
            assert_eq!(body_due(ms(100), owes, asked, start + ms(now)), expected, "{owes:?} {now}");
        }
    }
}
