//! The oracle: it sees what rigs, nodes, wallets and disk see, keeps its own books of shares and money, and says
//! which property is violated. It calls no code of the pool's that counts work or money.

use std::collections::{BTreeMap, BTreeSet};

use edgepool::pool::Pool;
use edgepool::pool::record::{Batch, MinerId};

use crate::bytes::Hash;
use crate::disk::Disk;
use crate::side::Side;
use crate::who::{Identity, Payee};

/// Slots of the contribution window, by the design.
const SLOTS: u64 = 288;

/// What became of a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// No answer yet.
    Waiting,
    Acknowledged,
    /// Refused, or taken back: it does not count.
    Refused,
    /// Taken back because the disk failed: it counted for a while.
    Revoked,
    /// Nobody will see the answer.
    Unseen,
}

#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Whose: an index of [`Oracle::people`].
    pub who: usize,
    pub units: u64,
    pub at_ms: u64,
    pub fate: Fate,
}

/// Time and work as the contribution window has them.
pub struct Ground {
    pub shares: Vec<Share>,
    /// Everybody who ever gave a username.
    pub people: Vec<Identity>,
    /// What the registry on disk says.
    pub registry: BTreeMap<MinerId, Identity>,
    pub slot_ms: u64,
}

pub struct Oracle {
    pub ground: Ground,
    /// What each chain's books say.
    pub sides: Vec<Side>,
    /// What happened at least once.
    pub marks: BTreeSet<String>,
}

#[track_caller]
pub fn hold(property: &str, holds: bool, detail: impl FnOnce() -> String) {
    assert!(holds, "property violated: {property}: {}", detail());
}

impl Ground {
    /// The least and the most work that each account of a chain may have in the window at a time.
    pub fn work_at(&self, chain: usize, at_ms: u64) -> BTreeMap<Payee, (u64, u64)> {
        let oldest = (at_ms / self.slot_ms + 1).saturating_sub(SLOTS);
        let mut work: BTreeMap<Payee, (u64, u64)> = BTreeMap::new();
        for share in self.shares.iter().filter(|s| s.at_ms <= at_ms && s.at_ms / self.slot_ms >= oldest) {
            let sums = work.entry(self.people[share.who].payee(chain)).or_default();
            let (is_sure, is_possible) = match share.fate {
                // In the same millisecond either may have been first.
                Fate::Acknowledged => (share.at_ms < at_ms, true),
                Fate::Refused => (false, false),
                Fate::Waiting | Fate::Unseen | Fate::Revoked => (false, true),
            };
            sums.0 += if is_sure { share.units } else { 0 };
            sums.1 += if is_possible { share.units } else { 0 };
        }
        work
    }

    /// The account of a chain that an id stands for.
    pub fn account(&self, chain: usize, miner: MinerId) -> Payee {
        self.registry[&miner].payee(chain)
    }
}

impl Oracle {
    pub fn new(sides: Vec<Side>, window_ms: u64) -> Oracle {
        let ground =
            Ground { shares: Vec::new(), people: Vec::new(), registry: BTreeMap::new(), slot_ms: window_ms / SLOTS };
        Oracle { ground, sides, marks: BTreeSet::new() }
    }

    pub fn mark(&mut self, what: impl Into<String>) {
        self.marks.insert(what.into());
    }

    /// Who a username means.
    pub fn meet(&mut self, username: &str) -> usize {
        let identity = Identity::of_username(username);
        let known = self.ground.people.iter().position(|known| *known == identity);
        known.unwrap_or_else(|| {
            self.ground.people.push(identity);
            self.ground.people.len() - 1
        })
    }

    /// A batch is on disk. `deepest`: what each chain's wallet has said.
    pub fn see_commit(&mut self, batch: &Batch, deepest: &[&BTreeMap<Hash, u32>]) {
        let read = |(miner, bytes): &(MinerId, Vec<u8>)| (*miner, Identity::of_record(bytes));
        self.ground.registry.extend(batch.miners.iter().map(read));
        for (seq, entry) in &batch.journal {
            for (side, deepest) in self.sides.iter_mut().zip(deepest) {
                if side.concerns(entry) {
                    side.see(*seq, entry, deepest, &mut self.marks);
                }
            }
        }
    }

    /// After every step: shares, blocks, books.
    pub fn audit(&mut self, pool: &Pool, disk: &Disk, now_ms: u64) {
        self.check_cells(disk, now_ms);
        for side in &mut self.sides {
            side.audit(&self.ground, pool, &mut self.marks);
        }
    }

    /// What was acknowledged is on disk; what is on disk and was not acknowledged is what nobody saw.
    fn check_cells(&self, disk: &Disk, now_ms: u64) {
        let Ground { shares, people, registry, slot_ms } = &self.ground;
        let oldest = (now_ms / slot_ms + 1).saturating_sub(SLOTS);
        let mut expected: BTreeMap<(u64, &Identity), (u64, u64)> = BTreeMap::new();
        for share in shares.iter().filter(|share| share.at_ms / slot_ms >= oldest) {
            let sums = expected.entry((share.at_ms / slot_ms, &people[share.who])).or_default();
            match share.fate {
                Fate::Acknowledged => *sums = (sums.0 + share.units, sums.1 + share.units),
                Fate::Waiting | Fate::Unseen => sums.1 += share.units,
                Fate::Refused | Fate::Revoked => {}
            }
        }
        for (key, cell) in &disk.cells {
            let (slot, who) = (key.slot_start_ms / slot_ms, &registry[&key.miner]);
            if slot >= oldest {
                let (least, most) = expected.remove(&(slot, who)).unwrap_or_default();
                hold(
                    "nothing acknowledged is lost, nothing refused is kept",
                    (least..=most).contains(&cell.work),
                    || format!("{} units of {who:?} on disk, not {least} to {most}", cell.work),
                );
            }
        }
        let lost = expected.iter().find(|(_, (least, _))| *least > 0);
        hold("nothing acknowledged is lost", lost.is_none(), || format!("{lost:?}"));
    }
}
