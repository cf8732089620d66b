//! The only place that asks for the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::base::time::Now;

/// Reads the monotonic and the system's clock together.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose monotonic time starts now.
    pub fn start() -> Clock {
        Clock { start: Instant::now() }
    }

    /// This instant.
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono_ms: self.start.elapsed().as_millis() as u64, wall_ms: wall.as_millis() as u64 }
    }
}
