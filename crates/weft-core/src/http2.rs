//! Which frames pass on an HTTP/2 connection, and whether a peer sends too many that carry nothing.
//!
//! Pings, settings, priorities, window updates and empty data cost the receiver work and the sender next to nothing. Each costs one credit;
//! heads and data, whoever sends them, earn some, and so does time: nobody who uses a connection for what it is there for runs out. It
//! reads frame heads only and checks nothing else: the bytes are the HTTP/2 library's to judge.

use std::time::Instant;

/// The first nine bytes of a frame (RFC 9113 4.1), as far as anybody here asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub length: u32,
    pub kind: u8,
    pub stream: u32,
}

impl Head {
    /// Whether a message begins or goes on with it.
    fn is_useful(self) -> bool {
        match self.kind {
            DATA => self.length > 0,
            HEADERS | CONTINUATION => true,
            _ => false,
        }
    }
}

/// Finds the heads of frames in bytes that come in pieces of any size.
#[derive(Clone, Copy, Debug, Default)]
pub struct Walk {
    /// Bytes until the next head begins.
    skip: usize,
    /// What is there of a head that came in two pieces.
    part: [u8; HEAD],
    have: usize,
}

impl Walk {
    /// In what a client sends.
    pub fn behind_preface() -> Self {
        Walk { skip: PREFACE, ..Walk::default() }
    }

    /// Calls `found` for each head that is complete with these bytes.
    #[inline]
    pub fn feed(&mut self, mut bytes: &[u8], mut found: impl FnMut(Head)) {
        loop {
            if bytes.len() <= self.skip {
                self.skip -= bytes.len();
                return;
            }
            bytes = &bytes[self.skip..];
            self.skip = 0;
            let head = match bytes.split_first_chunk::<HEAD>() {
                Some((head, rest)) if self.have == 0 => {
                    bytes = rest;
                    *head
                }
                _ => {
                    let take = bytes.len().min(HEAD - self.have);
                    self.part[self.have..self.have + take].copy_from_slice(&bytes[..take]);
                    self.have += take;
                    if self.have < HEAD {
                        return;
                    }
                    bytes = &bytes[take..];
                    self.have = 0;
                    self.part
                }
            };
            let [a, b, c, kind, _, d, e, f, g] = head;
            let length = u32::from_be_bytes([0, a, b, c]);
            self.skip = length as usize;
            found(Head { length, kind, stream: u32::from_be_bytes([d & 0x7f, e, f, g]) });
        }
    }
}

/// What a peer may still send that carries nothing.
#[derive(Clone, Copy, Debug)]
pub struct Credit {
    left: i64,
    /// When time was last paid for.
    since: Instant,
}

impl Credit {
    pub fn new(now: Instant) -> Self {
        Credit { left: MOST, since: now }
    }

    /// The peer has sent this.
    #[inline]
    pub fn received(&mut self, head: Head) {
        if head.is_useful() { self.earn() } else { self.left -= 1 }
    }

    /// This was sent to the peer.
    #[inline]
    pub fn sent(&mut self, head: Head) {
        if head.is_useful() {
            self.earn();
        }
    }

    /// Whether it takes a look at the clock to say more.
    #[inline]
    pub fn is_low(&self) -> bool {
        self.left <= 0
    }

    /// Whether the peer has sent too much, time that passed taken into account.
    pub fn is_spent(&mut self, now: Instant) -> bool {
        let millis = now.saturating_duration_since(self.since).as_millis();
        let earned = i64::try_from(millis).unwrap_or(i64::MAX).saturating_mul(PER_SECOND) / 1000;
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(MOST);
            self.since = now;
        }
        self.is_low()
    }

    fn earn(&mut self) {
        self.left = (self.left + USEFUL).min(MOST_EARNED);
    }
}

pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
const DATA: u8 = 0;
const CONTINUATION: u8 = 9;
const HEAD: usize = 9;
/// `PRI * HTTP/2.0` and what follows it.
const PREFACE: usize = 24;
/// Frames that may come at once: what clients do at the start of a connection, or after a pause, is far below.
const MOST: i64 = 10_000;
/// What may be earned ahead: a client answers a burst of small messages when all of them have been sent.
const MOST_EARNED: i64 = 1_000_000;
/// What each piece of a message earns: a window update for stream and connection each, a ping that measures the bandwidth, and then some.
const USEFUL: i64 = 10;
/// Earned by waiting: a thousand times what keep-alive pings need, a thousandth of what one processor can answer.
const PER_SECOND: i64 = 100;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a moment has to begin somewhere")]
mod tests {
    use std::time::Duration;

    use super::*;

    const PING: Head = Head { length: 8, kind: 6, stream: 0 };
    const EMPTY: Head = Head { length: 0, kind: DATA, stream: 1 };
    const MESSAGE: Head = Head { length: 100, kind: DATA, stream: 1 };
    const REQUEST: Head = Head { length: 100, kind: HEADERS, stream: 1 };
    const UPDATE: Head = Head { length: 4, kind: 8, stream: 1 };

    fn frame(head: Head) -> Vec<u8> {
        let [_, a, b, c] = head.length.to_be_bytes();
        let [d, e, f, g] = head.stream.to_be_bytes();
        let mut bytes = vec![a, b, c, head.kind, 0xff, d | 0x80, e, f, g];
        bytes.resize(HEAD + head.length as usize, 0xaa);
        bytes
    }

    /// Requirement: the heads are the same however the bytes are cut, the reserved bit aside.
    #[test]
    fn heads_are_found_however_bytes_are_cut() {
        let heads = [PING, EMPTY, MESSAGE, Head { length: 70_000, kind: DATA, stream: 0x7fff_ffff }, UPDATE, EMPTY];
        let all: Vec<u8> = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()].into_iter().chain(heads.map(frame)).flatten().collect();
        for size in [1, 2, 3, 7, 8, 9, 10, 11, 33, 100, 4096, all.len()] {
            let (mut walk, mut found) = (Walk::behind_preface(), Vec::new());
            all.chunks(size).for_each(|piece| walk.feed(piece, |head| found.push(head)));
            assert_eq!(found, heads, "{size}");
        }
    }

    /// Requirement: frames that carry nothing use the credit up, whichever they are.
    #[test]
    fn what_carries_nothing_is_spent() {
        let start = Instant::now();
        for head in [PING, EMPTY, UPDATE, Head { kind: 2, ..UPDATE }, Head { kind: 4, ..EMPTY }, Head { kind: 200, ..PING }] {
            let mut credit = Credit::new(start);
            (1..MOST).for_each(|_| credit.received(head));
            assert!(!credit.is_low(), "{head:?}");
            credit.received(head);
            assert!(credit.is_low() && credit.is_spent(start), "{head:?}");
        }
    }

    /// Requirement: a client is not taken for an attacker that sends a keep-alive ping every ten seconds for ever, nor one that answers every
    /// message, however small, with two window updates and a ping that measures the bandwidth, whichever way the messages go.
    #[test]
    fn clients_that_do_their_work_never_run_out() {
        let start = Instant::now();
        let mut quiet = Credit::new(start);
        for number in 1..100_000u32 {
            quiet.received(PING);
            let now = start + Duration::from_secs(10) * number;
            assert!(!quiet.is_low() || !quiet.is_spent(now));
        }
        let (mut down, mut up) = (Credit::new(start), Credit::new(start));
        for _ in 0..100_000 {
            down.sent(MESSAGE);
            [UPDATE, UPDATE, PING].iter().for_each(|head| down.received(*head));
            up.received(REQUEST);
            [UPDATE, UPDATE, PING, EMPTY].iter().for_each(|head| up.received(*head));
        }
        assert!(!down.is_low() && !up.is_low());
    }

    /// Requirement: time pays for a bounded number, whether it is asked often or seldom.
    #[test]
    fn time_pays() {
        let start = Instant::now();
        let mut credit = Credit::new(start);
        (0..MOST).for_each(|_| credit.received(PING));
        assert!(credit.is_spent(start + Duration::from_millis(9)));
        assert!(!credit.is_spent(start + Duration::from_millis(10)));
        credit.received(PING);
        assert!(!credit.is_spent(start + Duration::from_secs(1 << 40)));
        (0..MOST).for_each(|_| credit.received(PING));
        assert!(credit.is_spent(start + Duration::from_secs(1 << 40)));
    }
}
