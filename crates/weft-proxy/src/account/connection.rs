//! The account of one connection: its bytes, and that it was open.

use super::families;
use crate::metrics::{Counter, Gauge, Labels, Shard};

/// One connection. Counts its close when dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    open: Gauge,
    read: Counter,
    write: Counter,
    close: Counter,
}

impl Connection {
    pub(super) fn new(shard: &Shard, labels: Labels) -> Self {
        let open = shard.gauge(&families::TCP_OPEN_NOW, &labels);
        open.add(1);
        shard.counter(&families::TCP_OPEN, &labels).add(1);
        let (read, write) = (shard.counter(&families::TCP_READ, &labels), shard.counter(&families::TCP_WRITE, &labels));
        Connection { open, read, write, close: shard.counter(&families::TCP_CLOSE, &labels) }
    }

    pub(crate) fn read(&self, bytes: usize) {
        self.read.add(bytes as u64);
    }

    pub(crate) fn wrote(&self, bytes: usize) {
        self.write.add(bytes as u64);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.add(-1);
        self.close.add(1);
    }
}
