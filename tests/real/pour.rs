//! Rigs that send shares without waiting for their replies, and what they know of them when the pool is cut off.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::miner::{Miner, Want};

/// What the rigs of one address know of the shares of one round.
#[derive(Default)]
pub struct Tally {
    /// Sent, whatever became of them.
    pub sent: AtomicU64,
    /// Those whose `true` was read.
    pub acknowledged: AtomicU64,
}

/// Sends shares that are wanted, with a pause after each, until the connection dies.
pub fn pour(mut miner: Miner, want: Want, pause: Duration, tally: &Tally) {
    loop {
        let alive = miner.catch_up().is_ok();
        for (id, outcome) in miner.replies(Duration::ZERO).unwrap_or_default() {
            assert_eq!(outcome, Ok(json!(true)), "request {id}");
            tally.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        if !alive {
            return;
        }
        let share = miner.mine(want);
        // Counted first: a share that was cut off on its way may have arrived.
        tally.sent.fetch_add(1, Ordering::Relaxed);
        if miner.send_share(&share).is_err() {
            return;
        }
        thread::sleep(pause);
    }
}
