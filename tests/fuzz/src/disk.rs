//! A disk that keeps what a pool commits.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use edgepool::face::Journals;
use edgepool::pool::record::{Batch, Cell, CellKey, ClockMark, Entry, Journal, MinerId, Recovered};

#[derive(Default)]
pub struct Disk {
    journal: Vec<(u64, Entry)>,
    clock: Option<ClockMark>,
    cells: BTreeMap<CellKey, Cell>,
    miners: BTreeMap<MinerId, Vec<u8>>,
    blocks: BTreeMap<[u8; 32], Vec<u8>>,
}

impl Disk {
    pub fn write(&mut self, batch: &Batch) {
        for (seq, entry) in &batch.journal {
            assert_eq!(*seq, self.journal.last().map_or(1, |(last, _)| last + 1), "the journal has no gaps");
            self.journal.push((*seq, entry.clone()));
        }
        self.miners.extend(batch.miners.iter().cloned());
        self.cells.extend(batch.cells.iter().copied());
        if let Some(before) = batch.forget_cells_before_ms {
            self.cells.retain(|key, _| key.slot_start_ms >= before);
        }
        self.blocks.extend(batch.blocks.iter().map(|(hash, bytes)| (*hash, bytes.to_vec())));
        for hash in &batch.settled_blocks {
            self.blocks.remove(hash);
        }
        self.clock = Some(batch.clock);
    }

    pub fn recover(&self) -> Recovered {
        Recovered {
            clock: self.clock,
            miners: self.miners.clone().into_iter().collect(),
            cells: self.cells.clone().into_iter().collect(),
            blocks: self.blocks.clone().into_iter().collect(),
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
