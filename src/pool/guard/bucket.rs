//! A token bucket: how much a connection may ask for now, and when for more. Keeps one number.

use crate::base::time::{Now, SECOND};

/// What a connection may ask for at once: so many milliseconds' worth of its rate.
const BURST_MS: u64 = 2 * SECOND;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// When everything that was taken is paid for, in monotonic microseconds. Later than now: tokens are owed.
    paid_us: u64,
}

impl Bucket {
    /// Takes one token of a bucket that `per_second` flow into. The bucket may run into debt: what was read is answered.
    pub fn take(&mut self, per_second: u32, now: Now) {
        self.paid_us = self.paid_us.max(now.mono_ms * 1_000) + 1_000_000 / u64::from(per_second.max(1));
    }

    /// When there is a token again, in monotonic milliseconds; not after now when there is one.
    pub fn ready_at(&self) -> u64 {
        (self.paid_us / 1_000).saturating_sub(BURST_MS)
    }
}
