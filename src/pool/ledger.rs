//! The ledger of one chain: who is owed what, and every block that made it so. A fold over the journal:
//! [`Ledger::apply`] is the only thing that changes it, at start and live alike. Never decides, never writes.
//!
//! The law, checked by [`Ledger::check`]: Σ values of live blocks = Σ paid to miners + Σ owed + fees and
//! remainders.

use std::collections::BTreeMap;
use std::fmt;

use crate::base::Hash32;
use crate::coin::script::Script;

use super::record::{BlockFound, BlockJudged, BlockStatus, Entry, MinerId, Part, Stamp, Term, TermSet};
use super::spec::Terms;

/// The largest coinbase value that is believed, in base units: more than all litecoins, and a thousand such
/// blocks still fit a balance.
const MOST_VALUE: u64 = 1 << 53;

/// What one miner has with one chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Owed, in base units; negative when a late block paid too much.
    pub balance: i64,
    /// Paid by live blocks, in base units.
    pub paid: u64,
}

/// A block and what became of it.
#[derive(Clone, Debug)]
pub struct Block {
    /// As it was found.
    pub found: BlockFound,
    /// Where it is in its life.
    pub status: BlockStatus,
    /// When the status was last changed; `None` while it is as found.
    pub judged: Option<Stamp>,
    /// Work of the pool since the block before it, in difficulty units.
    pub effort_work: u128,
}

/// The terms of the law.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Coinbase values of live blocks.
    pub value: u128,
    /// Paid to miners by live blocks.
    pub paid: u128,
    /// Owed to miners; debts of miners count negative.
    pub owed: i128,
    /// Fees and remainders of live blocks.
    pub fees: u128,
}

/// An entry that the ledger cannot follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerError {
    /// A judgement of a block that was never found.
    UnknownBlock(String),
    /// The same block found again.
    BlockTwice(String),
    /// The entry's own sums are off.
    Unbalanced(String),
    /// The law does not hold.
    Broken(String),
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LedgerError::UnknownBlock(hash) => write!(f, "block {hash} is judged but was never found"),
            LedgerError::BlockTwice(hash) => write!(f, "block {hash} is found twice"),
            LedgerError::Unbalanced(what) => write!(f, "an entry does not add up: {what}"),
            LedgerError::Broken(what) => write!(f, "the ledger does not add up: {what}"),
        }
    }
}

impl std::error::Error for LedgerError {}

/// See the module.
#[derive(Clone, Debug)]
pub struct Ledger {
    chain: u8,
    configured: Terms,
    terms: Terms,
    accounts: BTreeMap<MinerId, Account>,
    /// In the order they were found.
    blocks: Vec<Block>,
    by_hash: BTreeMap<Hash32, usize>,
    totals: Totals,
}

impl Ledger {
    /// An empty ledger of chain number `chain` under the configured terms.
    pub fn new(chain: u8, configured: Terms) -> Ledger {
        Ledger {
            chain,
            terms: configured.clone(),
            configured,
            accounts: BTreeMap::new(),
            blocks: Vec::new(),
            by_hash: BTreeMap::new(),
            totals: Totals::default(),
        }
    }

    /// Follows one entry of the journal; entries of other chains change nothing.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), LedgerError> {
        match entry {
            Entry::TermSet(set) if set.chain == self.chain => self.apply_term(set),
            Entry::BlockFound(found) if found.chain == self.chain => self.apply_found(found)?,
            Entry::BlockJudged(judged) if judged.chain == self.chain => self.apply_judged(judged)?,
            _ => {}
        }
        Ok(())
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

    /// Every block, in the order they were found.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// One block.
    pub fn block(&self, hash: &Hash32) -> Option<&Block> {
        self.by_hash.get(hash).map(|index| &self.blocks[*index])
    }

    /// The terms of the law.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Redoes every sum from the blocks and compares: blocks to accounts, accounts to totals, and the law.
    pub fn check(&self) -> Result<(), LedgerError> {
        let mut totals = Totals::default();
        let mut accounts: BTreeMap<MinerId, Account> = BTreeMap::new();
        for block in self.blocks.iter().filter(|block| block.status.is_live()) {
            totals.value += u128::from(block.found.value);
            totals.fees += u128::from(block.found.value);
            for part in &block.found.parts {
                let account = accounts.entry(part.miner).or_default();
                account.balance += part.owed();
                account.paid += part.paid;
                totals.paid += u128::from(part.paid);
                totals.owed += i128::from(part.owed());
                totals.fees -= u128::from(part.entitled);
            }
        }
        let differs = |what: &str| Err(LedgerError::Broken(what.to_string()));
        if totals != self.totals {
            return differs(&format!("blocks give {totals:?}, the running totals are {:?}", self.totals));
        }
        if let Some((miner, _)) =
            self.accounts.iter().find(|(miner, account)| accounts.get(*miner).copied().unwrap_or_default() != **account)
        {
            return differs(&format!("the account of miner {miner} is not the sum of its parts"));
        }
        if totals.value as i128 != totals.paid as i128 + totals.owed + totals.fees as i128 {
            return differs(&format!("value is not paid + owed + fees: {totals:?}"));
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

    fn apply_found(&mut self, found: &BlockFound) -> Result<(), LedgerError> {
        let name = || crate::base::display_hash(&found.hash);
        if self.by_hash.contains_key(&found.hash) {
            return Err(LedgerError::BlockTwice(name()));
        }
        let paid: u128 = found.parts.iter().map(|part| u128::from(part.paid)).sum();
        let entitled: u128 = found.parts.iter().map(|part| u128::from(part.entitled)).sum();
        // Balances are signed: no coinbase of any coin comes near their bound.
        if paid + u128::from(found.pool_amount) != u128::from(found.value)
            || entitled > u128::from(found.value)
            || found.value > MOST_VALUE
        {
            return Err(LedgerError::Unbalanced(format!("block {}", name())));
        }
        let before = self.blocks.last().map_or(0, |block| block.found.total_work);
        self.by_hash.insert(found.hash, self.blocks.len());
        self.blocks.push(Block {
            found: found.clone(),
            status: BlockStatus::Submitted,
            judged: None,
            effort_work: found.total_work.saturating_sub(before),
        });
        self.count(self.blocks.len() - 1, true);
        Ok(())
    }

    fn apply_judged(&mut self, judged: &BlockJudged) -> Result<(), LedgerError> {
        let index = *self
            .by_hash
            .get(&judged.hash)
            .ok_or_else(|| LedgerError::UnknownBlock(crate::base::display_hash(&judged.hash)))?;
        let (was_live, is_live) = (self.blocks[index].status.is_live(), judged.status.is_live());
        self.blocks[index].status = judged.status.clone();
        self.blocks[index].judged = Some(judged.at);
        if was_live != is_live {
            self.count(index, is_live);
        }
        Ok(())
    }

    /// Adds a block's parts to accounts and totals, or takes them off again.
    fn count(&mut self, index: usize, add: bool) {
        let found = &self.blocks[index].found;
        let totals = &mut self.totals;
        let entitled: u128 = found.parts.iter().map(|part| u128::from(part.entitled)).sum();
        let fees = u128::from(found.value) - entitled;
        if add {
            totals.value += u128::from(found.value);
            totals.fees += fees;
        } else {
            totals.value -= u128::from(found.value);
            totals.fees -= fees;
        }
        for part in &found.parts {
            let account = self.accounts.entry(part.miner).or_default();
            if add {
                account.balance += part.owed();
                account.paid += part.paid;
                totals.owed += i128::from(part.owed());
                totals.paid += u128::from(part.paid);
            } else {
                account.balance -= part.owed();
                account.paid -= part.paid;
                totals.owed -= i128::from(part.owed());
                totals.paid -= u128::from(part.paid);
            }
        }
    }
}

impl Part {
    /// What the block adds to the miner's balance, in base units; negative when it pays an old debt.
    pub fn owed(&self) -> i64 {
        // Both are at most a coinbase value, far below 2^63 for every coin.
        self.entitled as i64 - self.paid as i64
    }
}

#[cfg(test)]
mod tests;
