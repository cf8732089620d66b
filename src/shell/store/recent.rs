//! One small record that every commit of shares rewrites: where the pool stands, and the cells that changed since
//! they were last put in their own places. A card writes whole pages, so it is much cheaper to rewrite this one
//! page than a page for every miner that sent a share.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::journal::Head;
use crate::pool::record::{Cell, CellKey, ClockMark, MinerId};

/// A longer record than this is emptied into the cells: LMDB keeps a record inside a page of 4 KiB only up to half
/// of it.
const LONGEST: usize = 1_900;

/// See the module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Recent {
    /// Where the pool stands.
    pub(super) mark: ClockMark,
    /// Where its journal ends, so that entries missing at the end are missed.
    pub(super) head: Head,
    /// Work and shares by slot and miner.
    cells: BTreeMap<u64, BTreeMap<MinerId, (u64, u32)>>,
}

impl Recent {
    /// Puts a cell's new content.
    pub(super) fn put(&mut self, key: CellKey, cell: Cell) {
        self.cells.entry(key.slot_start_ms).or_default().insert(key.miner, (cell.work, cell.shares));
    }

    /// Drops the cells of slots that start before this.
    pub(super) fn forget(&mut self, before_ms: u64) {
        self.cells = self.cells.split_off(&before_ms);
    }

    /// The cells, by key.
    pub(super) fn cells(&self) -> impl Iterator<Item = (CellKey, Cell)> {
        self.cells.iter().flat_map(|(slot, miners)| {
            miners.iter().map(|(miner, (work, shares))| {
                (CellKey { slot_start_ms: *slot, miner: *miner }, Cell { work: *work, shares: *shares })
            })
        })
    }

    /// The record, and the cells that it has no room for any more.
    pub(super) fn encode(mut self) -> (Vec<u8>, Vec<(CellKey, Cell)>) {
        let bytes = postcard::to_allocvec(&self).expect("numbers always encode");
        if bytes.len() <= LONGEST {
            return (bytes, Vec::new());
        }
        let cells = self.cells().collect();
        self.cells.clear();
        (postcard::to_allocvec(&self).expect("numbers always encode"), cells)
    }

    /// The inverse of [`Recent::encode`].
    pub(super) fn decode(bytes: &[u8]) -> Result<Recent, String> {
        match postcard::take_from_bytes(bytes) {
            Ok((recent, [])) => Ok(recent),
            Ok(_) => Err("has bytes after its end".into()),
            Err(error) => Err(error.to_string()),
        }
    }
}
