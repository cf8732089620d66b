//! Time as an argument: the core never asks for it.

/// One instant, as the shell read it at the start of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Milliseconds since the process started, never going back: for timers and intervals.
    pub mono_ms: u64,
    /// Milliseconds since 1970 by the system's clock: for labels only. A board has no battery clock,
    /// so this may jump by years after start.
    pub wall_ms: u64,
}

/// A deadline that never comes.
pub const NEVER: u64 = u64::MAX;

/// Milliseconds in a second.
pub const SECOND: u64 = 1_000;
/// Milliseconds in an hour.
pub const HOUR: u64 = 3_600 * SECOND;
/// A minute in milliseconds.
pub const MINUTE: u64 = 60 * SECOND;
