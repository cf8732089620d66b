//! The contributions on disk: whose they are, and whether they fit the work that blocks and the clock's mark tell of.

use std::collections::BTreeMap;

use super::block;
use super::fault::Faults;
use super::names::Names;
use crate::pool::record::{BlockFound, Cell, CellKey, ClockMark, MinerId, Recovered, Stamp};

/// The cells, and the work that blocks were found with.
pub(super) struct Work {
    cells: Vec<(CellKey, Cell)>,
    mark: ClockMark,
    /// [`BlockFound::total_work`] of the last block of each chain.
    totals: BTreeMap<u8, u128>,
}

impl Work {
    /// The work that is on disk. Miners and cells are checked by themselves.
    pub(super) fn new(recovered: &Recovered, names: &Names, faults: &mut Faults) -> Work {
        names.check(recovered, faults);
        let mark = recovered.clock.unwrap_or_default();
        for (key, cell) in &recovered.cells {
            let place = || format!("cell of miner {} at {}", key.miner, key.slot_start_ms);
            if names.identity(key.miner).is_none() {
                faults.add(place(), "the miner has no output script");
            }
            if (cell.shares == 0) != (cell.work == 0) {
                faults.add(place(), format!("it has {} shares of {} units of work", cell.shares, cell.work));
            }
            if key.slot_start_ms > mark.pool_ms {
                faults.add(place(), format!("it begins after the clock's mark, {}", mark.pool_ms));
            }
        }
        // A cell whose work was moved to another slot, when the window's length was changed, tells of none.
        let cells = recovered.cells.iter().filter(|(_, cell)| cell.shares > 0).copied().collect();
        Work { cells, mark, totals: BTreeMap::new() }
    }

    /// What is wrong with a found block's work, in words.
    pub(super) fn check(&mut self, found: &BlockFound, names: &Names) -> Vec<String> {
        let mut wrong = Vec::new();
        if let Some(before) = self.totals.insert(found.chain, found.total_work)
            && found.total_work < before
        {
            wrong
                .push(format!("{} units of work were done in all, and {before} at the block before", found.total_work));
        }
        if found.total_work > self.mark.total_work {
            let marked = self.mark.total_work;
            wrong.push(format!(
                "{} units of work were done in all, and the clock's mark has {marked}",
                found.total_work
            ));
            return wrong;
        }
        let oldest = self.cells.first().map_or(u64::MAX, |(key, _)| key.slot_start_ms);
        if !found.rebuilt && oldest <= found.at.pool_ms {
            self.check_since(found, &mut wrong);
            if !block::is_converted(found) && names.knows(found.chain) {
                self.check_parts(found, names, &mut wrong);
            }
        }
        wrong
    }

    /// Slots that began after the block hold no more than was done since.
    fn check_since(&self, found: &BlockFound, wrong: &mut Vec<String>) {
        let since = self.mark.total_work - found.total_work;
        let after = self.cells.iter().filter(|(key, _)| key.slot_start_ms > found.at.pool_ms);
        let cells: u128 = after.map(|(_, cell)| u128::from(cell.work)).sum();
        if cells > since {
            wrong.push(format!(
                "{since} units of work were done since by the clock's mark, and the cells after it have {cells}"
            ));
        }
    }

    /// What was done for an account in slots that were over when the job was made is part of its work in the window.
    fn check_parts(&self, found: &BlockFound, names: &Names, wrong: &mut Vec<String>) {
        let slot = self.slot_of(found.job_at.pool_ms);
        let mut before: BTreeMap<MinerId, u128> = BTreeMap::new();
        for (key, cell) in self.cells.iter().take_while(|(key, _)| key.slot_start_ms < slot) {
            *before.entry(key.miner).or_default() += u128::from(cell.work);
        }
        let mut due: BTreeMap<MinerId, u128> = BTreeMap::new();
        for (miner, work) in before {
            // A cell of nobody is told by itself.
            let Some(identity) = names.identity(miner) else { continue };
            let account = names.account(found.chain, identity);
            match names.find(&account) {
                Some(account) => *due.entry(account).or_default() += work,
                None => {
                    let (name, paid) = (names.miner(found.chain, miner), names.text(found.chain, account.script()));
                    wrong.push(format!("the account that {name} works for, {paid}, is not registered"));
                }
            }
        }
        for (account, work) in due {
            let part = found.parts.binary_search_by_key(&account, |part| part.miner);
            let credited = part.map_or(0, |index| found.parts[index].work);
            if work > u128::from(credited) {
                let name = names.miner(found.chain, account);
                wrong.push(format!("{name} is credited {credited} units of work, and its older cells have {work}"));
            }
        }
    }

    /// Start of the last slot on disk that began by then.
    fn slot_of(&self, pool_ms: u64) -> u64 {
        let after = self.cells.partition_point(|(key, _)| key.slot_start_ms <= pool_ms);
        after.checked_sub(1).map_or(0, |index| self.cells[index].0.slot_start_ms)
    }

    /// The cells all together, and the mark, at the end of the journal.
    pub(super) fn finish(self, recovered: &Recovered, last: Stamp, faults: &mut Faults) {
        let work: u128 = self.cells.iter().map(|(_, cell)| u128::from(cell.work)).sum();
        let shares: u64 = self.cells.iter().map(|(_, cell)| u64::from(cell.shares)).sum();
        let ClockMark { pool_ms, total_work, total_shares, .. } = self.mark;
        if work > total_work {
            faults.add("the cells", format!("they have {work} units of work, and the clock's mark {total_work}"));
        }
        if shares > total_shares {
            faults.add("the cells", format!("they have {shares} shares, and the clock's mark {total_shares}"));
        }
        if last.pool_ms > pool_ms {
            faults
                .add("the clock's mark", format!("it is {pool_ms}, before an entry of the journal, {}", last.pool_ms));
        }
        let newest = self.totals.values().max();
        if recovered.clock.is_none() && newest.is_some() {
            faults.add("the clock's mark", "there is none");
        }
    }
}
