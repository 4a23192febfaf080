//! A question to the control plane that is asked again for ever.
//!
//! Asks, hands on what comes, and when the stream ends, breaks, stays silent or grows too old, waits a little and asks again. It says
//! which message is the first after asking (whole, replaces what was known) and which one follows (a change). It never forgets or
//! keeps an answer: that is for `view`, which keeps the last one while the control plane is away.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status};

use super::backoff::{Backoff, Chance};

/// What became of a question.
#[derive(Debug)]
pub(crate) enum Event<T> {
    /// The first message after asking: the whole answer.
    Whole(T),
    /// A message after it.
    Change(T),
    /// The control plane says that there is no answer (NOT_FOUND), or that the question makes no sense to it (INVALID_ARGUMENT,
    /// FAILED_PRECONDITION). It is asked again later, in case that changes.
    Nothing(Status),
    /// The control plane cannot be reached or broke off; what was known stays in force.
    Lost(Status),
}

/// How long each part may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Until the first message.
    pub(crate) initial: Duration,
    /// Between two messages.
    pub(crate) idle: Duration,
    /// Of one stream.
    pub(crate) lifetime: Duration,
    pub(crate) backoff: Backoff,
    pub(crate) chance: Chance,
}

/// Asks for ever. The stream of events never ends; dropping it ends the asking.
pub(crate) fn watch<T, A, F, S>(ask: A, patience: Patience) -> impl Stream<Item = Event<T>>
where
    A: FnMut() -> F,
    F: Future<Output = Result<S, Status>>,
    S: Stream<Item = Result<T, Status>> + Unpin,
{
    let asking = Asking { ask, patience, open: None, failures: 0 };
    stream::unfold(asking, |mut asking| async move { Some((asking.next().await, asking)) })
}

struct Asking<A, S> {
    ask: A,
    patience: Patience,
    open: Option<Open<S>>,
    /// In a row, without a message between them.
    failures: u32,
}

struct Open<S> {
    stream: S,
    until: Instant,
}

impl<A, S> Asking<A, S> {
    async fn next<T, F>(&mut self) -> Event<T>
    where
        A: FnMut() -> F,
        F: Future<Output = Result<S, Status>>,
        S: Stream<Item = Result<T, Status>> + Unpin,
    {
        loop {
            let Some(open) = &mut self.open else {
                if self.failures > 0 {
                    sleep(self.patience.backoff.pause(self.failures, (self.patience.chance)())).await;
                }
                match timeout(self.patience.initial, first(&mut self.ask)).await {
                    Ok(Ok((message, stream))) => {
                        self.failures = 0;
                        // Part of the lifetime is left to chance, so that streams opened together are not renewed together.
                        let life = self.patience.lifetime.mul_f64(1.0 - 0.2 * (self.patience.chance)());
                        self.open = Some(Open { stream, until: Instant::now() + life });
                        return Event::Whole(message);
                    }
                    Ok(Err(status)) => return self.failed(status),
                    Err(_) => return self.failed(Status::deadline_exceeded("the control plane did not answer in time")),
                }
            };
            let until = open.until.min(Instant::now() + self.patience.idle);
            match tokio::time::timeout_at(until, open.stream.next()).await {
                Ok(Some(Ok(message))) => return Event::Change(message),
                Ok(Some(Err(status))) => return self.failed(status),
                // A stream that ended well or grew old is asked for again, after one shortest pause: a server that closes every
                // stream at once would otherwise be asked without end.
                Ok(None) | Err(_) => {
                    self.open = None;
                    self.failures = 1;
                }
            }
        }
    }

    fn failed<T>(&mut self, status: Status) -> Event<T> {
        self.open = None;
        self.failures = self.failures.saturating_add(1);
        match status.code() {
            Code::NotFound | Code::InvalidArgument | Code::FailedPrecondition => Event::Nothing(status),
            _ => Event::Lost(status),
        }
    }
}

/// Opens the stream and waits for its first message: until that is there, nothing has been answered.
async fn first<T, A, F, S>(ask: &mut A) -> Result<(T, S), Status>
where
    A: FnMut() -> F,
    F: Future<Output = Result<S, Status>>,
    S: Stream<Item = Result<T, Status>> + Unpin,
{
    let mut stream = pin!(ask()).await?;
    match stream.next().await {
        Some(message) => Ok((message?, stream)),
        None => Err(Status::unavailable("the control plane ended the stream without an answer")),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use futures_util::stream::BoxStream;

    use super::*;

    type Script = VecDeque<Result<Vec<Result<u32, Status>>, Status>>;

    fn patience() -> Patience {
        Patience {
            initial: Duration::from_secs(3),
            idle: Duration::from_secs(300),
            lifetime: Duration::from_secs(3600),
            backoff: Backoff::CONTROL,
            chance: || 0.0,
        }
    }

    /// Plays the script, one entry for each time that the question is asked; after it, streams that say nothing.
    fn play(script: Script, patience: Patience) -> impl Stream<Item = Event<u32>> {
        let script = RefCell::new(script);
        watch(
            move || {
                let said = script.borrow_mut().pop_front();
                async move {
                    let stream: BoxStream<'static, Result<u32, Status>> = match said {
                        Some(said) => stream::iter(said?).boxed(),
                        None => stream::pending().boxed(),
                    };
                    Ok(stream)
                }
            },
            patience,
        )
    }

    fn short(event: Event<u32>) -> String {
        match event {
            Event::Whole(n) => format!("whole {n}"),
            Event::Change(n) => format!("change {n}"),
            Event::Nothing(_) => "nothing".into(),
            Event::Lost(status) => format!("lost {:?}", status.code()),
        }
    }

    async fn take(events: impl Stream<Item = Event<u32>>, n: usize) -> Vec<String> {
        events.take(n).map(short).collect().await
    }

    /// Requirement: after every reconnect the first message is the whole answer; the rest are changes; an error is told once each.
    #[tokio::test(start_paused = true)]
    async fn the_first_message_after_asking_is_whole() {
        let script = VecDeque::from([
            Ok(vec![Ok(1), Ok(2), Err(Status::unavailable("gone"))]),
            Err(Status::unavailable("still gone")),
            Ok(vec![Ok(3), Ok(4)]),
            Ok(vec![Ok(5)]),
        ]);
        let said = take(play(script, patience()), 7).await;
        assert_eq!(said, ["whole 1", "change 2", "lost Unavailable", "lost Unavailable", "whole 3", "change 4", "whole 5"]);
    }

    /// Requirement: NOT_FOUND, INVALID_ARGUMENT and FAILED_PRECONDITION are answers, and the question is asked again after them.
    #[tokio::test(start_paused = true)]
    async fn no_answer_is_an_answer() {
        let script = VecDeque::from([
            Err(Status::not_found("")),
            Err(Status::invalid_argument("")),
            Ok(vec![Err(Status::failed_precondition(""))]),
            Err(Status::internal("")),
            Ok(vec![Ok(1)]),
        ]);
        let said = take(play(script, patience()), 5).await;
        assert_eq!(said, ["nothing", "nothing", "nothing", "lost Internal", "whole 1"]);
    }

    /// Requirement: pauses grow while nothing is heard, and a message makes them short again.
    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_shrink() {
        let gone = || Err(Status::unavailable("gone"));
        let script = VecDeque::from([gone(), gone(), gone(), Ok(vec![Ok(1), Err(Status::unavailable("gone"))]), Ok(vec![Ok(2)])]);
        let mut events = pin!(play(script, patience()));
        let mut waited = Vec::new();
        let mut last = Instant::now();
        for _ in 0..6 {
            events.next().await;
            waited.push(last.elapsed().as_millis());
            last = Instant::now();
        }
        assert_eq!(waited, [0, 100, 200, 400, 0, 100]);
    }

    /// Requirement: a control plane that accepts the question and then says nothing is asked again, as is one that falls silent.
    #[tokio::test(start_paused = true)]
    async fn silence_does_not_last() {
        let said = take(play(VecDeque::new(), patience()), 1).await;
        assert_eq!(said, ["lost DeadlineExceeded"]);

        let asked = RefCell::new(0);
        let endless = watch(
            || {
                *asked.borrow_mut() += 1;
                let n = *asked.borrow();
                async move { Ok(stream::iter([Ok(n)]).chain(stream::pending()).boxed()) }
            },
            patience(),
        );
        let began = Instant::now();
        assert_eq!(take(endless, 2).await, ["whole 1", "whole 2"]);
        assert_eq!(began.elapsed(), Duration::from_millis(300_100));
    }
}
