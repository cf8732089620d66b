//! A disk that keeps batches as the store does, and fails when told to.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use edgepool::base::Hash32;
use edgepool::face::Journals;
use edgepool::pool::record::{Batch, Cell, CellKey, ClockMark, Entry, Journal, MinerId, Recovered};

#[derive(Default)]
pub struct Disk {
    /// Why commits fail, while they do.
    pub fault: Option<String>,
    pub journal: Vec<(u64, Entry)>,
    pub blocks: BTreeMap<Hash32, Vec<u8>>,
    pub cells: BTreeMap<CellKey, Cell>,
    clock: Option<ClockMark>,
    miners: BTreeMap<MinerId, Vec<u8>>,
}

impl Disk {
    pub fn write(&mut self, batch: &Batch) -> Result<(), String> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        for (seq, entry) in &batch.journal {
            let next = self.journal.last().map_or(1, |(last, _)| last + 1);
            assert_eq!(*seq, next, "the journal has no gaps");
            self.journal.push((*seq, entry.clone()));
        }
        for (miner, script) in &batch.miners {
            let before = self.miners.insert(*miner, script.clone());
            assert!(before.is_none_or(|before| before == *script), "an id names one script for ever");
        }
        self.cells.extend(batch.cells.iter().copied());
        if let Some(before) = batch.forget_cells_before_ms {
            self.cells.retain(|key, _| key.slot_start_ms >= before);
        }
        for key in self.cells.keys() {
            assert!(self.miners.contains_key(&key.miner), "a cell's miner is on disk");
        }
        self.blocks.extend(batch.blocks.iter().map(|(hash, bytes)| (*hash, bytes.to_vec())));
        for hash in &batch.settled_blocks {
            self.blocks.remove(hash);
        }
        if let Some(last) = self.clock {
            assert!(batch.clock.pool_ms >= last.pool_ms, "the pool's time never goes back");
        }
        self.clock = Some(batch.clock);
        Ok(())
    }

    pub fn recover(&self) -> Recovered {
        Recovered {
            clock: self.clock,
            miners: self.miners.iter().map(|(miner, script)| (*miner, script.clone())).collect(),
            cells: self.cells.iter().map(|(key, cell)| (*key, *cell)).collect(),
            blocks: self.blocks.iter().map(|(hash, bytes)| (*hash, bytes.clone())).collect(),
        }
    }
}

impl Journal for Disk {
    fn visit(&self, from: u64, each: &mut dyn FnMut(u64, Entry) -> ControlFlow<()>) -> Result<(), String> {
        let wanted = self.journal.iter().filter(|(seq, _)| *seq >= from);
        // Whoever breaks off has had enough: that is no error.
        let _ = wanted.cloned().try_for_each(|(seq, entry)| each(seq, entry));
        Ok(())
    }
}

impl Journals for Disk {
    fn of(&self, _pool: usize) -> Box<dyn Journal + '_> {
        Box::new(Borrowed(self))
    }
}

struct Borrowed<'d>(&'d Disk);

impl Journal for Borrowed<'_> {
    fn visit(&self, from: u64, each: &mut dyn FnMut(u64, Entry) -> ControlFlow<()>) -> Result<(), String> {
        self.0.visit(from, each)
    }
}
