//! The oracle's own books of one chain: what the committed journal says of everybody's money, added up a second time and from
//! the start at every question. Nothing here is the pool's code but the shape of a journal entry.

use std::collections::BTreeMap;

use edgepool::base::Hash32;
use edgepool::pool::record::{
    BlockFound, BlockStatus, Entry, MinerId, PaymentQueued, PaymentSigned, PaymentStatus, Term,
};

#[derive(Clone, Debug)]
pub struct Block {
    pub found: BlockFound,
    pub status: BlockStatus,
    pub is_final: bool,
    /// Number of the entry that judged it last.
    judged: u64,
    seq: u64,
}

#[derive(Clone, Debug)]
pub struct Payment {
    pub queued: PaymentQueued,
    pub signed: Option<PaymentSigned>,
    pub status: PaymentStatus,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub balance: i128,
    pub reserved: i128,
    pub paid: i128,
    /// What a wallet may pay.
    pub payable: i128,
}

/// The terms in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    pub fee_ppm: u32,
    pub min_payout: u64,
    pub pool_script: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct Books {
    pub blocks: Vec<Block>,
    pub payments: Vec<Payment>,
    pub terms: Terms,
    /// Where accounts are paid that have no address of their own.
    pub names: BTreeMap<MinerId, Vec<u8>>,
}

/// The chain that an entry is of.
pub fn chain_of(entry: &Entry) -> usize {
    usize::from(match entry {
        Entry::TermSet(set) => set.chain,
        Entry::BlockFound(found) => found.chain,
        Entry::BlockJudged(judged) => judged.chain,
        Entry::PaymentQueued(queued) => queued.chain,
        Entry::PaymentSigned(signed) => signed.chain,
        Entry::PaymentJudged(judged) => judged.chain,
        Entry::AddressNamed(named) => named.chain,
    })
}

impl Books {
    pub fn new(terms: Terms) -> Books {
        Books { blocks: Vec::new(), payments: Vec::new(), terms, names: BTreeMap::new() }
    }

    /// Follows an entry; the error names the property that it breaks.
    pub fn follow(&mut self, seq: u64, entry: &Entry) -> Result<(), String> {
        match entry {
            Entry::AddressNamed(named) => drop(self.names.insert(named.miner, named.script.clone())),
            Entry::TermSet(set) => match &set.to {
                Term::FeePpm(to) => self.terms.fee_ppm = *to,
                Term::MinPayout(to) => self.terms.min_payout = *to,
                Term::PoolScript(to) => self.terms.pool_script = to.clone(),
            },
            Entry::BlockFound(found) => {
                if self.find(&found.hash).is_some() {
                    return Err("a block is found once".into());
                }
                let (found, status) = (BlockFound::clone(found), BlockStatus::Submitted);
                self.blocks.push(Block { found, status, is_final: false, judged: 0, seq });
            }
            Entry::BlockJudged(judged) => {
                let at = self.find(&judged.hash).ok_or("what is judged was found")?;
                if self.blocks[at].is_final {
                    return Err("final is final".into());
                }
                let block = &mut self.blocks[at];
                (block.status, block.is_final, block.judged) = (judged.status.clone(), judged.is_final, seq);
            }
            Entry::PaymentQueued(queued) => {
                self.payments.push(Payment { queued: queued.clone(), signed: None, status: PaymentStatus::Queued });
                if queued.payment != self.payments.len() as u64 {
                    return Err("payments are numbered without gaps".into());
                }
            }
            Entry::PaymentSigned(signed) => {
                if self.payments.iter().any(|other| other.signed.is_some() && !other.status.is_final()) {
                    return Err("no second payment while an earlier one may still confirm".into());
                }
                let accounts = self.accounts();
                for output in &signed.outputs {
                    let payable = accounts.get(&output.miner).map_or(0, |account| account.payable);
                    if i128::from(output.amount) > payable {
                        return Err(format!("only what is owed and mature is paid: {payable}, not {output:?}"));
                    }
                }
                let payment = &mut self.payments[signed.payment as usize - 1];
                if payment.signed.is_some() {
                    return Err("the same payment's bytes never change".into());
                }
                (payment.signed, payment.status) = (Some(PaymentSigned::clone(signed)), PaymentStatus::Signed);
            }
            Entry::PaymentJudged(judged) => {
                let payment = &mut self.payments[judged.payment as usize - 1];
                if payment.status.is_final() {
                    return Err("final is final".into());
                }
                payment.status = judged.status.clone();
            }
        }
        Ok(())
    }

    pub fn find(&self, hash: &Hash32) -> Option<usize> {
        self.blocks.iter().position(|block| block.found.hash == *hash)
    }

    /// The blocks that count, one at a height: the one in the chain by the latest word, or else the first found.
    pub fn counted(&self) -> Vec<&Block> {
        let mut by_height: BTreeMap<u32, &Block> = BTreeMap::new();
        let rank = |block: &Block| match block.status {
            BlockStatus::Confirmed => (2, i128::from(block.judged)),
            BlockStatus::Accepted => (1, i128::from(block.judged)),
            _ => (0, -i128::from(block.seq)),
        };
        for block in &self.blocks {
            let is_live =
                matches!(block.status, BlockStatus::Submitted | BlockStatus::Accepted | BlockStatus::Confirmed);
            let best = by_height.get(&block.found.height);
            if is_live && best.is_none_or(|best| rank(best) < rank(block)) {
                by_height.insert(block.found.height, block);
            }
        }
        by_height.into_values().collect()
    }

    pub fn accounts(&self) -> BTreeMap<MinerId, Account> {
        let mut accounts: BTreeMap<MinerId, Account> = BTreeMap::new();
        for block in self.counted() {
            let mut owed: BTreeMap<MinerId, i128> = BTreeMap::new();
            for part in &block.found.parts {
                *owed.entry(part.miner).or_default() += i128::from(part.entitled);
            }
            for output in &block.found.outputs {
                *owed.entry(output.miner).or_default() -= i128::from(output.amount);
                accounts.entry(output.miner).or_default().paid += i128::from(output.amount);
            }
            for (miner, owed) in owed {
                let account = accounts.entry(miner).or_default();
                account.balance += owed;
                account.payable += if block.is_final { owed } else { owed.min(0) };
            }
        }
        for payment in &self.payments {
            let Some(signed) = &payment.signed else { continue };
            for output in &signed.outputs {
                let account = accounts.entry(output.miner).or_default();
                let amount = i128::from(output.amount);
                match payment.status {
                    PaymentStatus::Signed | PaymentStatus::Sent => {
                        account.reserved += amount;
                        account.payable -= amount;
                    }
                    PaymentStatus::Settled { .. } => {
                        account.balance -= amount;
                        account.payable -= amount;
                        account.paid += i128::from(output.received);
                    }
                    _ => {}
                }
            }
        }
        accounts
    }
}
