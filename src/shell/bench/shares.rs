//! A pool's load on its ledger in the pool's time: shares of many miners, slot by slot, as batches. Makes the
//! same load from the same seed.

use crate::base::limits::WINDOW_SLOTS;
use crate::base::rng::Rng;
use crate::base::time::HOUR;
use crate::pool::record::{Batch, Cell, CellKey, ClockMark, MinerId};

/// Length of the window.
const WINDOW_MS: u64 = 24 * HOUR;
/// Length of its slots.
pub(super) const SLOT_MS: u64 = WINDOW_MS / WINDOW_SLOTS as u64;
/// Shares of all miners together.
pub(super) const SHARES_PER_S: u64 = 10;
/// Any time of the pool will do.
const START_MS: u64 = 1_700_000_000_000 / SLOT_MS * SLOT_MS;

/// See the module.
pub(super) struct Load {
    rng: Rng,
    clock: ClockMark,
    /// Difficulty of each miner's shares: some rigs are a hundred times larger than others.
    difficulties: Vec<u64>,
    /// What each miner did in the current slot.
    slot: Vec<Cell>,
    /// Thousandths of shares that are still to come.
    due: u64,
}

impl Load {
    pub(super) fn new(miners: u64) -> Load {
        let mut rng = Rng::new(1);
        let difficulties: Vec<u64> = (0..miners).map(|_| 20_000 + rng.below(2_000_000)).collect();
        let clock = ClockMark { pool_ms: START_MS, wall_ms: START_MS, ..ClockMark::default() };
        Load { rng, clock, slot: vec![Cell::default(); difficulties.len()], difficulties, due: 0 }
    }

    /// Every miner's script, and the window of a day in which all of them worked.
    pub(super) fn begin(&mut self) -> Batch {
        let miners = 0..self.difficulties.len() as MinerId;
        let scripts = miners.clone().map(|miner| (miner, script(miner))).collect();
        let shares = SHARES_PER_S * SLOT_MS / 1_000 / self.difficulties.len() as u64 + 1;
        let mut cells = Vec::new();
        for slot in 1..WINDOW_SLOTS as u64 {
            for (miner, difficulty) in miners.clone().zip(&self.difficulties) {
                let key = CellKey { slot_start_ms: START_MS - slot * SLOT_MS, miner };
                cells.push((key, Cell { work: shares * difficulty, shares: shares as u32 }));
            }
        }
        Batch { clock: self.clock, miners: scripts, cells, ..Batch::default() }
    }

    /// What is to be written after another `elapsed_ms`. Of a long time only the last slot's shares came.
    pub(super) fn next(&mut self, elapsed_ms: u64) -> Batch {
        let before = self.clock.pool_ms / SLOT_MS;
        self.clock.pool_ms += elapsed_ms;
        self.clock.wall_ms += elapsed_ms;
        let slot = self.clock.pool_ms / SLOT_MS;
        let mut batch = Batch::default();
        if slot != before {
            self.slot.fill(Cell::default());
            batch.forget_cells_before_ms = Some((slot + 1 - WINDOW_SLOTS as u64) * SLOT_MS);
        }
        self.due += elapsed_ms.min(SLOT_MS) * SHARES_PER_S;
        let mut touched = Vec::new();
        while self.due >= 1_000 {
            self.due -= 1_000;
            let miner = self.rng.below(self.slot.len() as u64) as usize;
            let (cell, work) = (&mut self.slot[miner], self.difficulties[miner]);
            cell.work += work;
            cell.shares += 1;
            self.clock.total_work += u128::from(work);
            self.clock.total_shares += 1;
            touched.push(miner);
        }
        touched.sort_unstable();
        touched.dedup();
        let key = |miner: usize| CellKey { slot_start_ms: slot * SLOT_MS, miner: miner as MinerId };
        batch.cells = touched.into_iter().map(|miner| (key(miner), self.slot[miner])).collect();
        batch.clock = self.clock;
        batch
    }

    /// The clock as it stands.
    pub(super) fn clock(&self) -> ClockMark {
        self.clock
    }

    /// Each miner's work of a whole window, a little different every time.
    pub(super) fn window_work(&mut self) -> Vec<u64> {
        let shares = SHARES_PER_S * WINDOW_MS / 1_000 / self.difficulties.len() as u64;
        let Load { rng, difficulties, .. } = self;
        difficulties.iter().map(|difficulty| difficulty * (shares * 9 / 10 + rng.below(shares / 5 + 1))).collect()
    }
}

/// A miner's output script: as long as most are.
pub(super) fn script(miner: MinerId) -> Vec<u8> {
    let mut script = vec![0x00, 0x14];
    script.extend((0..5u32).flat_map(|word| miner.wrapping_mul(0x9e37_79b9).wrapping_add(word).to_be_bytes()));
    script
}
