//! The contribution window: who did how much work in the last hours. Rows of time slots, one row an
//! identity; all memory is reserved at start, and a share costs two additions. Slides by slot. Never asks
//! for the time and never writes: it says which cells changed.

use std::collections::BTreeMap;
use std::fmt;

use crate::base::limits::WINDOW_SLOTS;
use crate::coin::script::Script;

use super::identity::Identity;
use super::record::{Cell, CellKey, MinerId};

/// Names a row for as long as it is held (see [`Window::admit`]) or holds work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowId(u32);

/// Every row holds work or is held by a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowFull {
    /// How many addresses there is room for.
    pub rows: usize,
}

impl fmt::Display for WindowFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pool is full: {} addresses", self.rows)
    }
}

/// One identity in the window.
#[derive(Debug)]
pub struct Row {
    /// Its name in the ledger's cells.
    pub miner: MinerId,
    /// Where it is paid.
    pub identity: Identity,
    /// The accounts that its work counts for, by chain. Empty until its first share is credited.
    pub payees: Box<[MinerId]>,
    /// Work inside the window, in difficulty units.
    pub work: u64,
    /// Shares inside the window.
    pub shares: u64,
    /// The pool's time of the last share, in milliseconds; 0 for none since start.
    pub last_share_ms: u64,
    holders: u32,
    dirty_slot: Option<u64>,
}

/// See the module.
#[derive(Debug)]
pub struct Window {
    slot_ms: u64,
    capacity: usize,
    /// The newest slot that was entered, counted from the beginning of the pool's time.
    current: u64,
    rows: Vec<Option<Row>>,
    free: Vec<u32>,
    by_identity: BTreeMap<Identity, RowId>,
    /// Cell (row, slot) is at `row * WINDOW_SLOTS + slot % WINDOW_SLOTS`.
    work: Box<[u64]>,
    shares: Box<[u32]>,
    total_work: u128,
    total_shares: u64,
    dirty: Vec<(RowId, u64)>,
    /// Names of cells on disk that are part of a longer slot now, and must be emptied there.
    merged: Vec<CellKey>,
    expired_before: Option<u64>,
}

/// What was done in one slot of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotSum {
    /// When it began, in the pool's time, in milliseconds.
    pub start_ms: u64,
    /// Work in difficulty units.
    pub work: u128,
    /// Accepted shares.
    pub shares: u64,
    /// Addresses with shares.
    pub miners: usize,
}

impl Window {
    /// A window of `window_ms` for at most `capacity` addresses, standing at `pool_ms`.
    pub fn new(window_ms: u64, capacity: usize, pool_ms: u64) -> Window {
        let slot_ms = (window_ms / WINDOW_SLOTS as u64).max(1);
        Window {
            slot_ms,
            capacity,
            current: pool_ms / slot_ms,
            rows: Vec::new(),
            free: Vec::new(),
            by_identity: BTreeMap::new(),
            // Zeroed memory is not touched by the system until it is used.
            work: vec![0; capacity * WINDOW_SLOTS].into_boxed_slice(),
            shares: vec![0; capacity * WINDOW_SLOTS].into_boxed_slice(),
            total_work: 0,
            total_shares: 0,
            dirty: Vec::with_capacity(capacity.min(1_024)),
            merged: Vec::new(),
            expired_before: None,
        }
    }

    /// Puts back a cell from disk. Cells outside the window, or beyond its capacity, are left out and
    /// answered `false`.
    pub fn restore(&mut self, key: CellKey, cell: Cell, identity: &Identity) -> bool {
        // After a change of window_hours, old slots map onto the new ones by their start.
        let slot = key.slot_start_ms / self.slot_ms;
        if slot > self.current || slot + WINDOW_SLOTS as u64 <= self.current {
            return false;
        }
        if cell.shares == 0 {
            return true;
        }
        let Ok(row_id) = self.find_or_place(key.miner, identity) else { return false };
        if slot * self.slot_ms != key.slot_start_ms {
            self.merged.push(key);
            self.mark(row_id, slot);
        }
        self.add(row_id, slot, cell.work, cell.shares);
        let last_share_ms = key.slot_start_ms;
        if let Some(row) = self.rows[row_id.0 as usize].as_mut() {
            row.last_share_ms = row.last_share_ms.max(last_share_ms);
        }
        true
    }

    /// Whether `identity` has a row or could have one; idle rows make room where need be.
    pub fn make_room(&mut self, identity: &Identity) -> Result<(), WindowFull> {
        if self.by_identity.contains_key(identity) {
            return Ok(());
        }
        let row_id = self.free_place()?;
        self.free.push(row_id.0);
        Ok(())
    }

    /// Finds or makes the row of `identity` and holds it until [`Window::release`]. `miner` is used for a new
    /// row. When there is no free row, one that is idle (not held, no work) makes room.
    pub fn admit(&mut self, miner: MinerId, identity: &Identity) -> Result<RowId, WindowFull> {
        let row_id = self.find_or_place(miner, identity)?;
        if let Some(row) = self.rows[row_id.0 as usize].as_mut() {
            row.holders += 1;
        }
        Ok(row_id)
    }

    /// Gives up one hold; the row stays while it has work.
    pub fn release(&mut self, row_id: RowId) {
        if let Some(row) = self.rows.get_mut(row_id.0 as usize).and_then(Option::as_mut) {
            row.holders = row.holders.saturating_sub(1);
        }
    }

    /// Credits one share of `work` difficulty units and answers the slot that it went into. The row must be
    /// held.
    pub fn credit(&mut self, row_id: RowId, work: u64, pool_ms: u64) -> u64 {
        self.advance(pool_ms);
        let slot = self.current;
        self.add(row_id, slot, work, 1);
        self.mark(row_id, slot);
        if let Some(row) = self.rows[row_id.0 as usize].as_mut() {
            row.last_share_ms = pool_ms;
        }
        slot
    }

    /// Takes a credit back that could not be written, unless its slot has left the window meanwhile.
    pub fn revoke(&mut self, row_id: RowId, work: u64, slot: u64) {
        let Some(row) = self.rows.get_mut(row_id.0 as usize).and_then(Option::as_mut) else { return };
        if slot + WINDOW_SLOTS as u64 <= self.current {
            return;
        }
        let cell = cell_index(row_id, slot);
        let (work, shares) = (work.min(self.work[cell]), 1.min(self.shares[cell]));
        self.work[cell] -= work;
        self.shares[cell] -= shares;
        row.work -= work;
        row.shares -= u64::from(shares);
        self.total_work -= u128::from(work);
        self.total_shares -= u64::from(shares);
        self.mark(row_id, slot);
    }

    /// Slides to `pool_ms`: what is older than the window leaves it.
    pub fn advance(&mut self, pool_ms: u64) {
        let target = pool_ms / self.slot_ms;
        if target <= self.current {
            return;
        }
        let steps = (target - self.current).min(WINDOW_SLOTS as u64);
        for slot in target - steps + 1..=target {
            self.clear_slot(slot);
        }
        self.current = target;
        self.expired_before = Some((target + 1).saturating_sub(WINDOW_SLOTS as u64) * self.slot_ms);
    }

    /// The cells that changed since the last call, with what they hold now.
    pub fn take_changed(&mut self) -> Vec<(CellKey, Cell)> {
        let oldest = (self.current + 1).saturating_sub(WINDOW_SLOTS as u64);
        let mut changed = Vec::with_capacity(self.merged.len() + self.dirty.len());
        changed.extend(self.merged.drain(..).map(|key| (key, Cell::default())));
        for (row_id, slot) in self.dirty.drain(..) {
            let Some(row) = self.rows[row_id.0 as usize].as_mut() else { continue };
            row.dirty_slot = None;
            if slot >= oldest {
                let cell = cell_index(row_id, slot);
                let key = CellKey { slot_start_ms: slot * self.slot_ms, miner: row.miner };
                changed.push((key, Cell { work: self.work[cell], shares: self.shares[cell] }));
            }
        }
        changed
    }

    /// Marks cells as changed again, after a batch that held them was not written.
    pub fn mark_changed(&mut self, cells: &[(CellKey, Cell)]) {
        let rows: BTreeMap<MinerId, RowId> = self.iter().map(|(row_id, row)| (row.miner, row_id)).collect();
        for (key, _) in cells {
            if key.slot_start_ms % self.slot_ms != 0 {
                self.merged.push(*key);
            } else if let Some(row_id) = rows.get(&key.miner) {
                self.mark(*row_id, key.slot_start_ms / self.slot_ms);
            }
        }
    }

    /// Whether [`Window::take_changed`] would answer anything.
    pub fn has_changed(&self) -> bool {
        !self.dirty.is_empty() || !self.merged.is_empty()
    }

    /// Slots that start before this (in the pool's time) left the window since the last call.
    pub fn take_expired_before(&mut self) -> Option<u64> {
        self.expired_before.take()
    }

    /// Each slot of the window, the oldest first, summed over the rows that are `wanted`.
    pub fn slots(&self, wanted: impl Fn(&Row) -> bool) -> Vec<SlotSum> {
        let oldest = (self.current + 1).saturating_sub(WINDOW_SLOTS as u64);
        let mut slots: Vec<SlotSum> = (oldest..=self.current)
            .map(|slot| SlotSum { start_ms: slot * self.slot_ms, work: 0, shares: 0, miners: 0 })
            .collect();
        for (row_id, _) in self.iter().filter(|(_, row)| wanted(row)) {
            for (slot, sum) in (oldest..).zip(&mut slots) {
                let cell = cell_index(row_id, slot);
                sum.work += u128::from(self.work[cell]);
                sum.shares += u64::from(self.shares[cell]);
                sum.miners += usize::from(self.shares[cell] > 0);
            }
        }
        slots
    }

    /// The row that `row_id` names.
    pub fn row(&self, row_id: RowId) -> Option<&Row> {
        self.rows.get(row_id.0 as usize)?.as_ref()
    }

    /// Says which accounts a row's work counts for, by chain.
    pub fn set_payees(&mut self, row_id: RowId, payees: Box<[MinerId]>) {
        if let Some(row) = self.rows.get_mut(row_id.0 as usize).and_then(Option::as_mut) {
            row.payees = payees;
        }
    }

    /// The row of an output script whose rigs name nothing beside it.
    pub fn find(&self, script: &Script) -> Option<RowId> {
        self.by_identity.get(&script.clone().into()).copied()
    }

    /// Every row, in order of identity.
    pub fn iter(&self) -> impl Iterator<Item = (RowId, &Row)> {
        self.by_identity.values().filter_map(|row_id| Some((*row_id, self.row(*row_id)?)))
    }

    /// Work of everybody inside the window, in difficulty units.
    pub fn total_work(&self) -> u128 {
        self.total_work
    }

    /// Shares of everybody inside the window.
    pub fn total_shares(&self) -> u64 {
        self.total_shares
    }

    /// Length of a slot, in milliseconds.
    pub fn slot_ms(&self) -> u64 {
        self.slot_ms
    }

    /// Checks that rows and totals are the sums of their cells. For tests and the run-time check.
    pub fn check(&self) -> bool {
        let mut work = 0u128;
        let mut shares = 0u64;
        for (row_id, row) in self.iter() {
            let cells = row_id.0 as usize * WINDOW_SLOTS..(row_id.0 as usize + 1) * WINDOW_SLOTS;
            let row_work: u128 = self.work[cells.clone()].iter().map(|work| u128::from(*work)).sum();
            let row_shares: u64 = self.shares[cells].iter().map(|shares| u64::from(*shares)).sum();
            if row_work != u128::from(row.work) || row_shares != row.shares {
                return false;
            }
            work += row_work;
            shares += row_shares;
        }
        work == self.total_work && shares == self.total_shares
    }

    fn find_or_place(&mut self, miner: MinerId, identity: &Identity) -> Result<RowId, WindowFull> {
        if let Some(row_id) = self.by_identity.get(identity) {
            return Ok(*row_id);
        }
        let (identity, payees) = (identity.clone(), Box::default());
        let row = Row { miner, identity, payees, work: 0, shares: 0, last_share_ms: 0, holders: 0, dirty_slot: None };
        let identity = row.identity.clone();
        let row_id = self.free_place()?;
        self.rows[row_id.0 as usize] = Some(row);
        self.by_identity.insert(identity, row_id);
        Ok(row_id)
    }

    fn free_place(&mut self) -> Result<RowId, WindowFull> {
        if let Some(index) = self.free.pop() {
            return Ok(RowId(index));
        }
        if self.rows.len() < self.capacity {
            self.rows.push(None);
            return Ok(RowId(self.rows.len() as u32 - 1));
        }
        let is_idle = |row: &Row| row.holders == 0 && row.shares == 0 && row.dirty_slot.is_none();
        let idle: Vec<RowId> = self.iter().filter(|(_, row)| is_idle(row)).map(|(row_id, _)| row_id).collect();
        for row_id in idle {
            if let Some(row) = self.rows[row_id.0 as usize].take() {
                self.by_identity.remove(&row.identity);
                self.free.push(row_id.0);
            }
        }
        self.free.pop().map(RowId).ok_or(WindowFull { rows: self.capacity })
    }

    fn add(&mut self, row_id: RowId, slot: u64, work: u64, shares: u32) {
        let Some(row) = self.rows[row_id.0 as usize].as_mut() else { return };
        let cell = cell_index(row_id, slot);
        // A row is bounded by 2^64 units of work: for scrypt, 200 TH/s for a whole day on one address.
        let work = work.min(u64::MAX - row.work);
        self.work[cell] += work;
        self.shares[cell] = self.shares[cell].saturating_add(shares);
        row.work += work;
        row.shares += u64::from(shares);
        self.total_work += u128::from(work);
        self.total_shares += u64::from(shares);
    }

    fn mark(&mut self, row_id: RowId, slot: u64) {
        if let Some(row) = self.rows[row_id.0 as usize].as_mut()
            && row.dirty_slot != Some(slot)
        {
            row.dirty_slot = Some(slot);
            self.dirty.push((row_id, slot));
        }
    }

    fn clear_slot(&mut self, slot: u64) {
        for index in 0..self.rows.len() {
            let Some(row) = self.rows[index].as_mut() else { continue };
            let cell = cell_index(RowId(index as u32), slot);
            let work = std::mem::take(&mut self.work[cell]);
            let shares = u64::from(std::mem::take(&mut self.shares[cell]));
            row.work -= work;
            row.shares -= shares;
            self.total_work -= u128::from(work);
            self.total_shares -= shares;
        }
    }
}

fn cell_index(row_id: RowId, slot: u64) -> usize {
    row_id.0 as usize * WINDOW_SLOTS + (slot % WINDOW_SLOTS as u64) as usize
}

#[cfg(test)]
mod tests;
