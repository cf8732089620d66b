//! What every miner was owed and free to be paid, at any moment of the last days: a job is made of the balances of
//! its moment, and may be older than the entry that tells of its block.

use std::collections::BTreeMap;

use crate::base::time::HOUR;
use crate::pool::ledger::Ledger;
use crate::pool::record::MinerId;

/// No job is as old as this.
const KEPT_MS: u64 = 72 * HOUR;

/// See the module.
#[derive(Default)]
pub(super) struct Balances {
    /// By miner: from when on a balance held, in order.
    changes: BTreeMap<MinerId, Vec<(u64, i64)>>,
}

impl Balances {
    /// Takes in what an entry of this moment made of the accounts.
    pub(super) fn follow(&mut self, pool_ms: u64, ledger: &Ledger) {
        for (miner, account) in ledger.accounts() {
            let changes = self.changes.entry(miner).or_default();
            if changes.last().map_or(0, |(_, balance)| *balance) == account.available() {
                continue;
            }
            // Of those that are too old the last is still in force.
            let old = changes.partition_point(|(since, _)| since.saturating_add(KEPT_MS) < pool_ms);
            changes.drain(..old.saturating_sub(1));
            changes.push((pool_ms, account.available()));
        }
    }

    /// What a job of that moment may have seen: one balance, or several where an entry and the job share the
    /// millisecond.
    pub(super) fn at(&self, miner: MinerId, pool_ms: u64) -> Vec<i64> {
        let changes = self.changes.get(&miner).map_or(&[][..], Vec::as_slice);
        let before = changes.partition_point(|(since, _)| *since < pool_ms);
        let first = before.checked_sub(1).map_or(0, |index| changes[index].1);
        let same = changes[before..].iter().take_while(|(since, _)| *since == pool_ms).map(|(_, balance)| *balance);
        std::iter::once(first).chain(same).collect()
    }

    /// Everybody who ever had a balance.
    pub(super) fn miners(&self) -> impl Iterator<Item = MinerId> {
        self.changes.keys().copied()
    }
}
