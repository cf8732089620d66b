//! What people and programs read of a running pool, and the few things they may change: JSON-RPC methods,
//! metrics for Prometheus, a status page and tables for a terminal. Views over the pools' state; opens no
//! socket and reads no file.

pub mod addresses;
pub mod balances;
pub mod blocks;
pub mod history;
pub mod http;
pub mod methods;
pub mod metrics;
pub mod miners;
pub mod page;
pub mod params;
pub mod payments;
pub mod proof;
pub mod table;
pub mod views;

use crate::base::time::Now;
use crate::pool::Pool;
use crate::pool::record::Journal;

/// How full the ledger's file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerSize {
    /// Bytes in use.
    pub used_bytes: u64,
    /// Bytes there is room for (`map_mib`).
    pub map_bytes: u64,
}

/// The pools' journals, for what is not kept in memory.
pub trait Journals {
    /// The journal of the pool at this place of [`Site::pools`].
    fn of(&self, pool: usize) -> Box<dyn Journal + '_>;
}

/// The running daemon as a request sees it.
pub struct Site<'a> {
    /// Every pool.
    pub pools: &'a mut [Pool],
    /// Their journals.
    pub journals: &'a dyn Journals,
    /// The time of this turn.
    pub now: Now,
    /// When the daemon started, monotonic milliseconds.
    pub started_ms: u64,
    /// How full the ledger is.
    pub ledger: LedgerSize,
    /// Whether the request carried the admin token.
    pub is_admin: bool,
    /// Set by a request that asks the daemon to stop.
    pub stop: bool,
    /// Set by a request whose effect must be on disk before it is answered.
    pub must_commit: bool,
}

impl Site<'_> {
    /// Seconds since the daemon started.
    pub fn uptime_s(&self) -> u64 {
        self.now.mono_ms.saturating_sub(self.started_ms) / 1_000
    }
}
