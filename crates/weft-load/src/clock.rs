//! The clock, and an alarm finer than the runtime's timers: they round up to a millisecond, which is many times what is measured here.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Instant;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) struct Alarm(AsyncFd<Timer>);

impl Alarm {
    #[expect(deprecated, reason = "what replaces it is unsafe; this descriptor is the alarm's own and lives as long")]
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        Ok(Alarm(AsyncFd::new(Timer(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?))?))
    }

    /// Returns at `due`, at once when that has passed.
    pub(crate) async fn until(&mut self, due: Instant) -> io::Result<()> {
        let left = due.saturating_duration_since(now());
        if left.is_zero() {
            return Ok(());
        }
        self.0.get_ref().0.set(Expiration::OneShot(TimeSpec::from_duration(left)), TimerSetTimeFlags::empty())?;
        let mut ready = self.0.readable().await?;
        ready.clear_ready();
        Ok(self.0.get_ref().0.wait()?)
    }
}

struct Timer(TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}
