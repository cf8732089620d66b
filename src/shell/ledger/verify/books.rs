//! A second set of books: which blocks count, what they brought and what was paid, summed from the entries alone and
//! compared with the ledger. Shares no code with the ledger's own sums.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::fault::Faults;
use super::names::Names;
use super::{coins, wide};
use crate::base::{Hash32, display_hash};
use crate::pool::ledger::Ledger;
use crate::pool::record::{
    BlockJudged, BlockStatus, Entry, Journal, MinerId, PaymentJudged, PaymentOutput, PaymentStatus,
};

/// See the module.
#[derive(Default)]
pub(super) struct Books {
    blocks: BTreeMap<Hash32, Row>,
    payments: BTreeMap<u64, Paid>,
}

/// What became of a block.
struct Row {
    /// Number of the entry that found it.
    seq: u64,
    height: u32,
    status: BlockStatus,
    is_final: bool,
    /// Number of the entry that spoke of it last.
    last: u64,
}

/// A signed payment and what became of it.
struct Paid {
    outputs: Vec<PaymentOutput>,
    end: Option<PaymentStatus>,
}

/// One miner's sums, in base units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    entitled: u128,
    mature_entitled: u128,
    by_coinbase: u128,
    by_mature_coinbase: u128,
    taken: u128,
    received: u128,
    reserved: u128,
}

impl Sums {
    fn balance(&self) -> i128 {
        self.entitled as i128 - self.by_coinbase as i128 - self.taken as i128
    }

    fn matured(&self) -> i128 {
        self.mature_entitled as i128 - self.by_mature_coinbase as i128 - self.taken as i128
    }
}

impl Books {
    /// Takes in an entry that the ledger took; answers which steps a block's life does not have.
    pub(super) fn follow(&mut self, seq: u64, entry: &Entry) -> Vec<String> {
        let mut wrong = Vec::new();
        match entry {
            Entry::BlockFound(found) => {
                let (height, status) = (found.height, BlockStatus::Submitted);
                self.blocks.insert(found.hash, Row { seq, height, status, is_final: false, last: seq });
            }
            Entry::BlockJudged(judged) => wrong.extend(self.judge(seq, judged)),
            Entry::PaymentSigned(signed) => {
                self.payments.insert(signed.payment, Paid { outputs: signed.outputs.clone(), end: None });
            }
            Entry::PaymentJudged(PaymentJudged { payment, status, .. }) => {
                if let Some(paid) = self.payments.get_mut(payment).filter(|_| status.is_final()) {
                    paid.end = Some(status.clone());
                }
            }
            Entry::TermSet(_) | Entry::PaymentQueued(_) | Entry::AddressNamed(_) => {}
        }
        wrong
    }

    fn judge(&mut self, seq: u64, judged: &BlockJudged) -> Option<String> {
        use BlockStatus::{Accepted, Confirmed, Orphaned, Rejected, Submitted};
        let row = self.blocks.get_mut(&judged.hash)?;
        let (before, was_final) = (std::mem::replace(&mut row.status, judged.status.clone()), row.is_final);
        (row.is_final, row.last) = (judged.is_final, seq);
        let is_legal = match (&before, &judged.status) {
            (_, Submitted) => false,
            (Submitted, _) | (_, Accepted | Confirmed) => before != judged.status,
            (Accepted, Orphaned(_)) => true,
            // The same word again, this time for good.
            (Rejected(_), Rejected(_)) | (Orphaned(_), Orphaned(_)) => judged.is_final && !was_final,
            _ => false,
        };
        (!is_legal).then(|| format!("a block that is {} can't be {} next", before.name(), judged.status.name()))
    }

    /// The entries of the blocks that count, each with whether it is beyond recall.
    fn counted(&self) -> BTreeMap<u64, bool> {
        let mut heights: BTreeMap<u32, Vec<&Row>> = BTreeMap::new();
        for row in self.blocks.values().filter(|row| row.status.is_live()) {
            heights.entry(row.height).or_default().push(row);
        }
        let choose = |rows: &Vec<&Row>| {
            let newest = |status: BlockStatus| {
                rows.iter().filter(|row| row.status == status).max_by_key(|row| row.last).copied()
            };
            let first = || rows.iter().min_by_key(|row| row.seq).copied();
            let row = newest(BlockStatus::Confirmed).or_else(|| newest(BlockStatus::Accepted)).or_else(first)?;
            Some((row.seq, row.is_final))
        };
        heights.values().filter_map(choose).collect()
    }

    /// Sums everything up and compares it with what the ledger has.
    pub(super) fn compare(
        &self,
        chain: u8,
        journal: &dyn Journal,
        ledger: &Ledger,
        names: &Names,
        faults: &mut Faults,
    ) {
        let name = format!("chain {}", names.chain(chain));
        self.compare_siblings(&name, faults);
        let counted = self.counted();
        let (mut value, mut by_pool) = (0u128, 0u128);
        let mut miners: BTreeMap<MinerId, Sums> = BTreeMap::new();
        let read = journal.visit(1, &mut |seq, entry| {
            if let (Entry::BlockFound(found), Some(is_final)) = (&entry, counted.get(&seq))
                && found.chain == chain
            {
                value += u128::from(found.value);
                by_pool += u128::from(found.value);
                for part in &found.parts {
                    let sums = miners.entry(part.miner).or_default();
                    sums.entitled += u128::from(part.entitled);
                    sums.mature_entitled += if *is_final { u128::from(part.entitled) } else { 0 };
                    by_pool = by_pool.saturating_sub(part.entitled.into());
                }
                for output in &found.outputs {
                    let sums = miners.entry(output.miner).or_default();
                    sums.by_coinbase += u128::from(output.amount);
                    sums.by_mature_coinbase += if *is_final { u128::from(output.amount) } else { 0 };
                }
            }
            ControlFlow::Continue(())
        });
        if read.is_err() {
            // Told by the replay already; sums of a part are no sums.
            return;
        }
        self.add_payments(&mut miners);
        compare_accounts(chain, &miners, ledger, names, faults);
        compare_totals(&name, (value, by_pool), &miners, ledger, faults);
        if let Err(error) = ledger.check() {
            faults.add(&name, error);
        }
    }

    fn add_payments(&self, miners: &mut BTreeMap<MinerId, Sums>) {
        for paid in self.payments.values() {
            for output in &paid.outputs {
                let sums = miners.entry(output.miner).or_default();
                match paid.end {
                    Some(PaymentStatus::Settled { .. }) => {
                        sums.taken += u128::from(output.amount);
                        sums.received += u128::from(output.received);
                    }
                    None => sums.reserved += u128::from(output.amount),
                    Some(_) => {}
                }
            }
        }
    }

    /// A chain has one block at a height.
    fn compare_siblings(&self, name: &str, faults: &mut Faults) {
        let mut held: BTreeMap<u32, &Hash32> = BTreeMap::new();
        let in_chain = |row: &Row| matches!(row.status, BlockStatus::Accepted | BlockStatus::Confirmed);
        for (hash, row) in self.blocks.iter().filter(|(_, row)| in_chain(row)) {
            if let Some(other) = held.insert(row.height, hash) {
                let (other, hash) = (display_hash(other), display_hash(hash));
                faults.add(name, format!("at height {} both {other} and {hash} are in the chain", row.height));
            }
        }
    }
}

fn compare_accounts(chain: u8, miners: &BTreeMap<MinerId, Sums>, ledger: &Ledger, names: &Names, faults: &mut Faults) {
    let known = ledger.accounts().map(|(miner, _)| miner);
    let all: std::collections::BTreeSet<MinerId> = known.chain(miners.keys().copied()).collect();
    for miner in all {
        let account = ledger.account(miner);
        let sums = miners.get(&miner).copied().unwrap_or_default();
        let pairs = [
            ("balance", sums.balance(), i128::from(account.balance)),
            ("matured balance", sums.matured(), i128::from(account.matured)),
            ("reserved", sums.reserved as i128, i128::from(account.reserved)),
            ("paid", (sums.by_coinbase + sums.received) as i128, i128::from(account.paid)),
        ];
        for (what, expected, found) in pairs.into_iter().filter(|(_, expected, found)| expected != found) {
            let (place, expected, found) = (names.miner(chain, miner), wide(expected), wide(found));
            faults.add(place, format!("the {what} is {found} in the ledger, and the journal sums up to {expected}"));
        }
        if names.identity(miner).is_none() {
            faults.add(format!("miner {miner}"), "it has an account and no output script");
        }
    }
}

fn compare_totals(
    name: &str,
    (value, by_pool): (u128, u128),
    miners: &BTreeMap<MinerId, Sums>,
    ledger: &Ledger,
    faults: &mut Faults,
) {
    let sum = |of: &dyn Fn(&Sums) -> i128| -> i128 { miners.values().map(of).sum() };
    let paid = sum(&|sums| (sums.by_coinbase + sums.received) as i128);
    let owed = sum(&Sums::balance);
    let borne = sum(&|sums| sums.taken as i128 - sums.received as i128);
    if paid + owed + by_pool as i128 + borne != value as i128 {
        let (value, paid, owed, borne) = (wide(value as i128), wide(paid), wide(owed), wide(borne));
        let fees = coins(u64::try_from(by_pool).unwrap_or(u64::MAX));
        faults
            .add(name, format!("value {value} is not paid {paid} + owed {owed} + fees {fees} + network fees {borne}"));
    }
    let totals = ledger.totals();
    let pairs = [
        ("coinbase value", value as i128, totals.value as i128),
        ("paid", paid, totals.paid as i128),
        ("owed", owed, totals.owed),
        ("fees and remainders", by_pool as i128, totals.fees as i128),
        ("network fees of payments", borne, totals.payment_fees as i128),
    ];
    for (what, expected, found) in pairs.into_iter().filter(|(_, expected, found)| expected != found) {
        let (expected, found) = (wide(expected), wide(found));
        faults.add(name, format!("{what} is {found} in the ledger, and the journal sums up to {expected}"));
    }
}
