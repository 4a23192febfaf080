//! A body that arrives, frame by frame, read from the socket only when it is asked for. Never holds more than one read.

use std::future::poll_fn;

use super::connection::Shared;
use crate::http::{Broken, Frame};

pub(crate) struct Source {
    conn: Shared,
    turn: u64,
}

impl Source {
    pub(super) fn new(conn: &Shared) -> Self {
        Self { conn: conn.clone(), turn: conn.borrow().turn }
    }

    /// The next piece, or `None` at the end. Dropping the future loses nothing.
    pub(crate) async fn frame(&mut self) -> Result<Option<Frame>, Broken> {
        poll_fn(|cx| {
            let mut conn = self.conn.borrow_mut();
            if conn.turn != self.turn {
                return Err(Broken::Closed).into();
            }
            conn.poll_frame(cx)
        })
        .await
    }

    /// Whether nothing more will come; known together with the last piece when the peer sent the two at once.
    pub(crate) fn is_end(&self) -> bool {
        let conn = self.conn.borrow();
        conn.turn != self.turn || conn.body_ended()
    }
}
