//! gRPC messages in HTTP/2 bodies: where one ends, and windows that never hold a body up. Asking and answering side share them.

use bytes::{Bytes, BytesMut};

/// A message of 100 bytes with its prefix.
pub(crate) const MESSAGE: Bytes = Bytes::from_static(&PREFIXED);

const PREFIXED: [u8; 100] = {
    let mut bytes = [b'x'; 100];
    (bytes[0], bytes[1], bytes[2], bytes[3], bytes[4]) = (0, 0, 0, 0, 95);
    bytes
};

pub(crate) const STREAM_WINDOW: u32 = 1 << 20;
pub(crate) const CONNECTION_WINDOW: u32 = 16 << 20;

const PREFIX: usize = 5;

/// A body so far: pieces go in as they came, whole messages come out.
#[derive(Default)]
pub(crate) struct Messages(BytesMut);

impl Messages {
    pub(crate) fn add(&mut self, piece: &[u8]) {
        self.0.extend_from_slice(piece);
    }
}

impl Iterator for Messages {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let length = self.0.get(1..PREFIX)?.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
        (self.0.len() >= PREFIX + length).then(|| self.0.split_to(PREFIX + length).freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirement: messages are found however their bytes were cut.
    #[test]
    fn messages_are_found_in_pieces() {
        let bytes = [&MESSAGE[..], &MESSAGE[..], &[0, 0, 0, 0, 0]].concat();
        for size in [1, 3, 99, 100, 101, 205] {
            let mut messages = Messages::default();
            let mut found = Vec::new();
            for piece in bytes.chunks(size) {
                messages.add(piece);
                found.extend(messages.by_ref());
            }
            assert_eq!(found.iter().map(Bytes::len).collect::<Vec<_>>(), [100, 100, 5], "in pieces of {size}");
        }
    }
}
