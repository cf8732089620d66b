//! The pool's own time, by which contributions age. A board has no battery clock: the system's clock may
//! stand in 1970 at boot and jump by decades when NTP answers. The pool's time never jumps: while the
//! process runs it follows the monotonic clock, and across a restart it adds the time that the system's
//! clock says has passed, if that is believable.

use crate::base::time::{HOUR, Now};

use super::record::{ClockMark, Stamp};

/// A longer pause than this is taken for a wrong clock, and counts as none: contributions then live a
/// little longer rather than vanish.
pub const BELIEVABLE_PAUSE_MS: u64 = 30 * 24 * HOUR;

/// A new ledger never starts before this (September 2001), so that slots can be counted backwards.
const EARLIEST_MS: u64 = 1_000_000_000_000;

/// Translates monotonic time to the pool's time.
#[derive(Clone, Copy, Debug)]
pub struct PoolClock {
    started_pool_ms: u64,
    started_mono_ms: u64,
}

impl PoolClock {
    /// Goes on from the last mark on disk, or starts anew.
    pub fn resume(mark: Option<&ClockMark>, now: Now) -> PoolClock {
        let started_pool_ms = match mark {
            None => now.wall_ms.max(EARLIEST_MS),
            Some(mark) => {
                let pause = now.wall_ms.saturating_sub(mark.wall_ms);
                mark.pool_ms + if pause <= BELIEVABLE_PAUSE_MS { pause } else { 0 }
            }
        };
        PoolClock { started_pool_ms, started_mono_ms: now.mono_ms }
    }

    /// The pool's time, in milliseconds. Never goes back.
    pub fn pool_ms(&self, now: Now) -> u64 {
        self.started_pool_ms + now.mono_ms.saturating_sub(self.started_mono_ms)
    }

    /// A moment of the pool's time by the system's clock as it stands now, so that labels of shares
    /// that came before NTP answered are right afterwards. Milliseconds since 1970.
    pub fn wall_ms(&self, pool_ms: u64, now: Now) -> u64 {
        now.wall_ms.saturating_sub(self.pool_ms(now).saturating_sub(pool_ms))
    }

    /// Now, in both times.
    pub fn stamp(&self, now: Now) -> Stamp {
        Stamp { pool_ms: self.pool_ms(now), wall_ms: now.wall_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: u64 = 365 * 24 * HOUR;
    const TODAY: u64 = 56 * YEAR;

    #[track_caller]
    fn case(mark_wall: u64, boot_wall: u64, expected_pause: u64) {
        let mark = ClockMark { pool_ms: TODAY, wall_ms: mark_wall, ..ClockMark::default() };
        let clock = PoolClock::resume(Some(&mark), Now { mono_ms: 7, wall_ms: boot_wall });
        assert_eq!(clock.pool_ms(Now { mono_ms: 7, wall_ms: boot_wall }), TODAY + expected_pause);
        // Whatever the system's clock does later, only monotonic time counts.
        assert_eq!(clock.pool_ms(Now { mono_ms: 107, wall_ms: boot_wall + 40 * YEAR }), TODAY + expected_pause + 100);
        assert_eq!(clock.pool_ms(Now { mono_ms: 107, wall_ms: 0 }), TODAY + expected_pause + 100);
    }

    #[test]
    fn only_a_believable_pause_ages_the_window() {
        case(TODAY, TODAY + HOUR, HOUR);
        case(TODAY, TODAY + 26 * HOUR, 26 * HOUR);
        case(TODAY, 0, 0);
        case(TODAY, TODAY - 5 * YEAR, 0);
        case(3 * HOUR, TODAY, 0);
    }

    #[test]
    fn a_label_follows_the_corrected_clock() {
        let at_boot = Now { mono_ms: 0, wall_ms: 0 };
        let clock = PoolClock::resume(None, at_boot);
        let share = clock.pool_ms(Now { mono_ms: 60_000, wall_ms: 60_000 });
        let after_ntp = Now { mono_ms: 90_000, wall_ms: TODAY };
        assert_eq!(clock.wall_ms(share, after_ntp), TODAY - 30_000);
    }
}
