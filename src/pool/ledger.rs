//! The ledger of one chain: who is owed what, and every block and payment that made it so. A fold over the
//! journal: [`Ledger::apply`] is the only thing that changes it, at start and live alike. Never decides,
//! never writes.
//!
//! The law, checked by [`Ledger::check`]: Σ values of the blocks that count = Σ paid to miners + Σ owed +
//! fees and remainders + network fees that receivers bore.

mod account;
mod error;
mod payments;

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Hash32, display_hash};
use crate::coin::script::Script;

use super::record::{AddressNamed, BlockFound, BlockJudged, BlockStatus, Entry, MinerId, Payout, Stamp, Term, TermSet};
use super::spec::Terms;

pub use account::{Account, Totals};
pub use error::LedgerError;
pub use payments::{Payment, Signed};

/// The largest coinbase value that is believed, in base units: more than all litecoins, and a thousand such
/// blocks still fit a balance.
const MOST_VALUE: u64 = 1 << 53;

/// A block and what became of it.
#[derive(Clone, Debug)]
pub struct Block {
    /// Number of its entry in the journal, where its parts are for ever.
    pub seq: u64,
    /// As it was found. Its parts are forgotten here once its status is final: a year of them would not fit
    /// a small board.
    pub found: BlockFound,
    /// What the block leaves to the pool: fee and remainders, in base units.
    pub fees: u64,
    /// Where it is in its life.
    pub status: BlockStatus,
    /// When the status was last changed; `None` while it is as found.
    pub judged: Option<Stamp>,
    /// Whether the status is the last one.
    pub is_final: bool,
    /// Whether its payments count. Of one height one block does at most.
    pub counts: bool,
    /// Work of the pool since the block before it, in difficulty units.
    pub effort_work: u128,
    /// Number of the entry that changed the status last.
    judged_seq: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Ledger {
    chain: u8,
    configured: Terms,
    terms: Terms,
    accounts: BTreeMap<MinerId, Account>,
    /// Where accounts are paid that have no output script of this chain, each with the pool's time at which it was named.
    names: BTreeMap<MinerId, Vec<(u64, Script)>>,
    /// In the order they were found.
    blocks: Vec<Block>,
    by_hash: BTreeMap<Hash32, usize>,
    by_height: BTreeMap<u32, Vec<usize>>,
    /// Blocks whose status is not final.
    open: BTreeSet<usize>,
    payments: Vec<Payment>,
    totals: Totals,
    /// What final blocks and settled payments brought to the totals.
    settled: Totals,
}

impl Ledger {
    /// An empty ledger of chain number `chain` under the configured terms.
    pub fn new(chain: u8, configured: Terms) -> Ledger {
        Ledger {
            chain,
            terms: configured.clone(),
            configured,
            accounts: BTreeMap::new(),
            names: BTreeMap::new(),
            blocks: Vec::new(),
            by_hash: BTreeMap::new(),
            by_height: BTreeMap::new(),
            open: BTreeSet::new(),
            payments: Vec::new(),
            totals: Totals::default(),
            settled: Totals::default(),
        }
    }

    /// Follows entry number `seq` of the journal; entries of other chains change nothing. After an error
    /// nothing has changed.
    pub fn apply(&mut self, seq: u64, entry: &Entry) -> Result<(), LedgerError> {
        match entry {
            Entry::TermSet(set) if set.chain == self.chain => self.apply_term(set),
            Entry::BlockFound(found) if found.chain == self.chain => self.apply_found(seq, found)?,
            Entry::BlockJudged(judged) if judged.chain == self.chain => self.apply_judged(seq, judged)?,
            Entry::PaymentQueued(queued) if queued.chain == self.chain => self.apply_queued(queued)?,
            Entry::PaymentSigned(signed) if signed.chain == self.chain => self.apply_signed(seq, signed)?,
            Entry::PaymentJudged(judged) if judged.chain == self.chain => self.apply_payment_judged(judged)?,
            Entry::AddressNamed(named) if named.chain == self.chain => self.apply_named(named),
            _ => {}
        }
        Ok(())
    }

    /// Index of the chain in its pool.
    pub fn chain(&self) -> u8 {
        self.chain
    }

    /// The terms in force.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The terms of the configuration file.
    pub fn configured(&self) -> &Terms {
        &self.configured
    }

    /// Every account, by miner.
    pub fn accounts(&self) -> impl Iterator<Item = (MinerId, &Account)> {
        self.accounts.iter().map(|(miner, account)| (*miner, account))
    }

    /// One miner's account; an empty one if there is none.
    pub fn account(&self, miner: MinerId) -> Account {
        self.accounts.get(&miner).copied().unwrap_or_default()
    }

    /// The output script that was named for an account, the last one.
    pub fn named(&self, miner: MinerId) -> Option<&Script> {
        self.names.get(&miner)?.last().map(|(_, script)| script)
    }

    /// The one that was in force at a moment of the pool's time, in milliseconds.
    pub fn named_at(&self, miner: MinerId, pool_ms: u64) -> Option<&Script> {
        let names = self.names.get(&miner)?;
        names.iter().rev().find(|(since, _)| *since <= pool_ms).map(|(_, script)| script)
    }

    /// Every account that an output script was named for, with the last one.
    pub fn names(&self) -> impl Iterator<Item = (MinerId, &Script)> {
        self.names.keys().filter_map(|miner| Some((*miner, self.named(*miner)?)))
    }

    /// Every block, in the order they were found.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The blocks whose status is not final, in the order they were found.
    pub fn open_blocks(&self) -> impl Iterator<Item = &Block> {
        self.open.iter().map(|index| &self.blocks[*index])
    }

    /// One block.
    pub fn block(&self, hash: &Hash32) -> Option<&Block> {
        self.by_hash.get(hash).map(|index| &self.blocks[*index])
    }

    /// The blocks that were found at a height.
    pub fn blocks_at(&self, height: u32) -> impl Iterator<Item = &Block> {
        self.by_height.get(&height).into_iter().flatten().map(|index| &self.blocks[*index])
    }

    /// The terms of the law.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Redoes every sum from the blocks and payments that may still change and from what those that can't
    /// left behind, and compares: parts to accounts, accounts to totals, and the law.
    pub fn check(&self) -> Result<(), LedgerError> {
        let differs = |what: String| Err(LedgerError::Broken(what));
        let mut totals = self.settled;
        let mut accounts: BTreeMap<MinerId, Account> =
            self.accounts.iter().map(|(miner, account)| (*miner, account.settled())).collect();
        for block in self.open_blocks().filter(|block| block.counts) {
            block.count(&mut accounts, &mut totals, true);
        }
        for output in self.payments.iter().filter_map(Payment::reserving).flatten() {
            accounts.entry(output.miner).or_default().reserved += output.amount;
        }
        if totals != self.totals {
            return differs(format!("blocks give {totals:?}, the running totals are {:?}", self.totals));
        }
        if let Some((miner, _)) = self.accounts.iter().find(|(miner, account)| accounts.get(miner) != Some(account)) {
            return differs(format!("the account of miner {miner} is not the sum of its parts"));
        }
        let owed: i128 = self.accounts.values().map(|account| i128::from(account.balance)).sum();
        let paid: u128 = self.accounts.values().map(|account| u128::from(account.paid)).sum();
        if (owed, paid) != (totals.owed, totals.paid) {
            return differs(format!("accounts are owed {owed} and paid {paid}: {totals:?}"));
        }
        if !totals.is_balanced() {
            return differs(format!("value is not paid + owed + fees: {totals:?}"));
        }
        Ok(())
    }

    fn apply_term(&mut self, set: &TermSet) {
        // The file was changed since: the operator's newer word is in the file.
        match (&set.to, &set.configured) {
            (Term::FeePpm(to), Term::FeePpm(was)) if *was == self.configured.fee_ppm => self.terms.fee_ppm = *to,
            (Term::MinPayout(to), Term::MinPayout(was)) if *was == self.configured.min_payout => {
                self.terms.min_payout = *to;
            }
            (Term::PoolScript(to), Term::PoolScript(was)) if *was == self.configured.pool_script.as_bytes() => {
                self.terms.pool_script = Script::from_bytes(to.clone());
            }
            _ => {}
        }
    }

    fn apply_named(&mut self, named: &AddressNamed) {
        let name = (named.at.pool_ms, Script::from_bytes(named.script.clone()));
        self.names.entry(named.miner).or_default().push(name);
    }

    fn apply_found(&mut self, seq: u64, found: &BlockFound) -> Result<(), LedgerError> {
        if self.by_hash.contains_key(&found.hash) {
            return Err(LedgerError::BlockTwice(display_hash(&found.hash)));
        }
        found.check_sums().map_err(|what| LedgerError::Unbalanced(format!("block {what}")))?;
        let before = self.blocks.last().map_or(0, |block| block.found.total_work);
        let index = self.blocks.len();
        self.by_hash.insert(found.hash, index);
        self.by_height.entry(found.height).or_default().push(index);
        self.open.insert(index);
        self.blocks.push(Block {
            seq,
            found: found.clone(),
            fees: found.value - found.parts.iter().map(|part| part.entitled).sum::<u64>(),
            status: BlockStatus::Submitted,
            judged: None,
            is_final: false,
            counts: false,
            effort_work: found.total_work.saturating_sub(before),
            judged_seq: seq,
        });
        self.recount(found.height);
        for part in &found.parts {
            if let Some(account) = self.accounts.get_mut(&part.miner) {
                account.earned_work = account.earned_work.saturating_add(u128::from(part.work));
            }
        }
        Ok(())
    }

    fn apply_judged(&mut self, seq: u64, judged: &BlockJudged) -> Result<(), LedgerError> {
        let name = || display_hash(&judged.hash);
        let index = *self.by_hash.get(&judged.hash).ok_or_else(|| LedgerError::UnknownBlock(name()))?;
        let height = self.blocks[index].found.height;
        let is_confirmed = |block: &Block| block.status == BlockStatus::Confirmed;
        let may_not = self.blocks[index].is_final
            || (judged.status == BlockStatus::Confirmed && self.blocks_at(height).any(is_confirmed));
        if may_not {
            return Err(LedgerError::AfterFinal(format!("block {}", name())));
        }
        if judged.status.is_live() && judged.is_final != (judged.status == BlockStatus::Confirmed) {
            return Err(LedgerError::Broken(format!("block {} is {} too early", name(), judged.status.name())));
        }
        let block = &mut self.blocks[index];
        block.status = judged.status.clone();
        block.judged = Some(judged.at);
        block.judged_seq = seq;
        self.recount(height);
        if judged.is_final {
            self.close(index);
        }
        Ok(())
    }

    /// Makes at most one block of a height count: the one that is in the chain by the latest word; while
    /// none is, the first that may still come to be.
    fn recount(&mut self, height: u32) {
        let Some(siblings) = self.by_height.get(&height) else { return };
        let rank = |index: &usize| {
            let block = &self.blocks[*index];
            match block.status {
                BlockStatus::Confirmed => (2, block.judged_seq),
                BlockStatus::Accepted => (1, block.judged_seq),
                _ => (0, u64::MAX - block.seq),
            }
        };
        let live = siblings.iter().copied().filter(|index| self.blocks[*index].status.is_live());
        let chosen = live.max_by_key(rank);
        let counted = siblings.iter().copied().find(|index| self.blocks[*index].counts);
        if chosen == counted {
            return;
        }
        for (index, counts) in counted.map(|index| (index, false)).into_iter().chain(chosen.map(|index| (index, true)))
        {
            self.blocks[index].counts = counts;
            self.blocks[index].count(&mut self.accounts, &mut self.totals, counts);
        }
    }

    /// Nothing changes this block any more: what it brought is booked for good, and its parts are forgotten.
    fn close(&mut self, index: usize) {
        self.open.remove(&index);
        let block = &mut self.blocks[index];
        block.is_final = true;
        if block.counts {
            block.settle(&mut self.accounts, &mut self.settled);
        }
        block.found.parts = Vec::new();
    }
}

impl Block {
    /// What the block brings each miner: entitled, and paid by the coinbase, in base units. Empty once the
    /// block is final.
    pub fn shares(&self) -> impl Iterator<Item = (MinerId, u64, u64)> {
        self.found.shares()
    }

    /// What the coinbase paid a miner, in base units.
    pub fn paid(&self, miner: MinerId) -> u64 {
        self.found.outputs.iter().find(|output| output.miner == miner).map_or(0, |output| output.amount)
    }

    /// Adds what the block brings to accounts and totals, or takes it off again.
    fn count(&self, accounts: &mut BTreeMap<MinerId, Account>, totals: &mut Totals, add: bool) {
        totals.count_block(self.found.value, self.fees, add);
        for (miner, entitled, paid) in self.shares() {
            accounts.entry(miner).or_default().count(entitled, paid, add);
            totals.count_share(entitled, paid, add);
        }
    }

    /// Books what the block brought as beyond recall.
    fn settle(&self, accounts: &mut BTreeMap<MinerId, Account>, settled: &mut Totals) {
        settled.count_block(self.found.value, self.fees, true);
        for (miner, entitled, paid) in self.shares() {
            accounts.entry(miner).or_default().mature(entitled, paid);
            settled.count_share(entitled, paid, true);
        }
    }
}

impl BlockFound {
    /// What the block brings each miner: entitled, and paid by the coinbase, in base units.
    pub fn shares(&self) -> impl Iterator<Item = (MinerId, u64, u64)> {
        let mut paid: BTreeMap<MinerId, u64> = self.outputs.iter().map(|out| (out.miner, out.amount)).collect();
        self.parts.iter().map(move |part| (part.miner, part.entitled, paid.remove(&part.miner).unwrap_or(0)))
    }

    /// Whether the entry adds up by itself; the error says what does not.
    pub fn check_sums(&self) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{}: {what}", display_hash(&self.hash)));
        let paid: u128 = self.outputs.iter().map(|output| u128::from(output.amount)).sum();
        let entitled: u128 = self.parts.iter().map(|part| u128::from(part.entitled)).sum();
        // Balances are signed: no coinbase of any coin comes near their bound.
        if self.value > MOST_VALUE {
            return wrong("its value is more than there are coins");
        }
        if paid + u128::from(self.pool_amount) != u128::from(self.value) {
            return wrong("its outputs are not its value");
        }
        if entitled > u128::from(self.value) {
            return wrong("its parts are more than its value");
        }
        if self.parts.windows(2).any(|pair| pair[0].miner >= pair[1].miner) {
            return wrong("its parts are not in order");
        }
        let has_part = |output: &Payout| self.parts.binary_search_by_key(&output.miner, |part| part.miner).is_ok();
        let mut paid: Vec<MinerId> = self.outputs.iter().map(|output| output.miner).collect();
        paid.sort_unstable();
        if !self.outputs.iter().all(has_part) || paid.windows(2).any(|pair| pair[0] == pair[1]) {
            return wrong("its outputs are not those of its parts");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
