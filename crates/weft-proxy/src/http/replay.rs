//! The beginning of a request's body, kept while it may have to be sent again.
//!
//! Bounded twice: by what one request may keep and by what a worker keeps for all of them. A body that outgrows either is sent all the
//! same, and cannot be repeated. Pieces are shared with whoever sends them, not copied. It never decides to send anything again.

use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::rc::Rc;

use super::{Broken, Frame, Source};

/// What a request may keep.
#[derive(Clone)]
pub(crate) struct Keep {
    pub(crate) most: usize,
    /// Bytes that this worker may still keep.
    pub(crate) room: Rc<Cell<usize>>,
}

/// Listens while a body is sent.
pub(crate) struct Tape {
    keep: Option<Keep>,
    frames: VecDeque<Frame>,
    bytes: usize,
    /// A piece is gone that is not in `frames`.
    lost: bool,
}

impl Tape {
    pub(crate) fn new(keep: Option<Keep>) -> Self {
        Tape { keep, frames: VecDeque::new(), bytes: 0, lost: false }
    }

    /// This piece is about to be sent.
    pub(crate) fn record(&mut self, frame: &Frame) {
        if self.lost {
            return;
        }
        let size = match frame {
            Frame::Data(data) => data.len(),
            Frame::Trailers(trailers) => trailers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum(),
        };
        match &self.keep {
            Some(Keep { most, room }) if self.bytes + size <= *most && size <= room.get() => {
                room.set(room.get() - size);
                self.bytes += size;
                self.frames.push_back(frame.clone());
            }
            _ => self.lose(),
        }
    }

    /// The request cannot be repeated any more.
    pub(crate) fn lose(&mut self) {
        self.lost = true;
        self.frames = VecDeque::new();
        self.give_back();
    }

    pub(crate) fn is_whole(&self) -> bool {
        !self.lost
    }

    /// The body from its beginning: what was recorded, then what `rest` still has.
    pub(crate) fn rewind(mut self, rest: Source) -> Source {
        Replay::before(std::mem::take(&mut self.frames), rest)
    }

    fn give_back(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if let Some(keep) = &self.keep {
            keep.room.set(keep.room.get() + bytes);
        }
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// A body whose first pieces were read before.
pub(crate) struct Replay {
    frames: VecDeque<Frame>,
    rest: Source,
}

impl Replay {
    /// These pieces, then the rest.
    pub(crate) fn before(frames: impl Into<VecDeque<Frame>>, rest: Source) -> Source {
        let mut frames = frames.into();
        match rest {
            rest if frames.is_empty() => rest,
            Source::Replay(mut replay) => {
                frames.append(&mut replay.frames);
                replay.frames = frames;
                Source::Replay(replay)
            }
            rest => Source::Replay(Box::new(Replay { frames, rest })),
        }
    }

    pub(crate) async fn frame(&mut self) -> Result<Option<Frame>, Broken> {
        match self.frames.pop_front() {
            // Trailers are the last piece: the rest is over, and may not be asked again.
            Some(trailers @ Frame::Trailers(_)) => {
                self.rest = Source::Empty;
                Ok(Some(trailers))
            }
            Some(frame) => Ok(Some(frame)),
            None => self.rest.frame().await,
        }
    }

    pub(crate) async fn gather(&mut self) -> Infallible {
        self.rest.gather().await
    }

    pub(crate) fn is_end(&self) -> bool {
        self.frames.is_empty() && self.rest.is_end()
    }

    pub(crate) fn abort(&mut self, why: &Broken) {
        self.frames.clear();
        self.rest.abort(why);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn data(size: usize) -> Frame {
        Frame::Data(Bytes::from(vec![b'x'; size]))
    }

    fn keep(most: usize, room: usize) -> Keep {
        Keep { most, room: Rc::new(Cell::new(room)) }
    }

    fn read(mut source: Source) -> Vec<usize> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        runtime.block_on(async move {
            let mut sizes = Vec::new();
            while let Some(frame) = source.frame().await.expect("frame") {
                sizes.push(if let Frame::Data(data) = frame { data.len() } else { 0 });
            }
            assert!(source.is_end());
            sizes
        })
    }

    /// Requirement: a body that was recorded comes again from its beginning, as often as it is rewound, in the order in which it came.
    #[test]
    fn a_recorded_body_comes_again() {
        let mut first = Tape::new(Some(keep(100, 100)));
        [data(1), data(2), data(3)].iter().for_each(|frame| first.record(frame));
        let mut again = first.rewind(Source::Empty);
        let mut second = Tape::new(Some(keep(100, 100)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let piece = runtime.block_on(again.frame()).expect("frame").expect("data");
        second.record(&piece);
        assert!(second.is_whole());
        assert_eq!(read(second.rewind(again)), [1, 2, 3]);
    }

    /// Requirement: what one request may keep and what all of a worker's may are both limits; what is kept no longer makes room again.
    #[test]
    fn what_is_kept_is_bounded() {
        let keep = keep(10, 15);
        let mut one = Tape::new(Some(keep.clone()));
        one.record(&data(10));
        assert!(one.is_whole());
        let mut two = Tape::new(Some(keep.clone()));
        two.record(&data(6));
        assert!(!two.is_whole(), "the worker's room is used up");
        one.record(&data(1));
        assert!(!one.is_whole(), "more than one request may keep");
        assert_eq!(keep.room.get(), 15);
        let mut three = Tape::new(Some(keep.clone()));
        three.record(&data(5));
        drop(three);
        assert_eq!(keep.room.get(), 15);
        let mut nothing = Tape::new(None);
        assert!(nothing.is_whole());
        nothing.record(&data(1));
        assert!(!nothing.is_whole());
    }
}
