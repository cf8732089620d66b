//! The oracle: it sees what rigs, nodes, wallet and disk see, keeps its own books of shares and money, and says
//! which property is violated. It calls no code of the pool's that counts work or money.

use std::collections::{BTreeMap, BTreeSet};

use edgepool::pool::Pool;
use edgepool::pool::record::{Batch, BlockFound, BlockStatus, Entry, MinerId, PaymentStatus};

use crate::books::{Account, Books, Terms};
use crate::bytes::{Hash, show};
use crate::disk::Disk;
use crate::rule::{Claim, share_out};
use crate::tree::Tree;
use crate::wallet::{Wallet, script};
use crate::world::CONFIRMATIONS;

/// Slots of the contribution window, by the design.
const SLOTS: u64 = 288;

/// What became of a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// No answer yet.
    Waiting,
    Acknowledged,
    /// Refused, or taken back: it does not count.
    Refused,
    /// Taken back because the disk failed: it counted for a while.
    Revoked,
    /// Nobody will see the answer.
    Unseen,
}

#[derive(Clone, Copy, Debug)]
pub struct Share {
    pub address: u8,
    pub units: u64,
    pub at_ms: u64,
    pub fate: Fate,
}

/// What the books said after an entry.
struct Page {
    at_ms: u64,
    terms: Terms,
    available: BTreeMap<MinerId, i128>,
}

pub struct Oracle {
    pub shares: Vec<Share>,
    pub books: Books,
    /// What happened at least once.
    pub marks: BTreeSet<String>,
    pages: Vec<Page>,
    scripts: BTreeMap<MinerId, Vec<u8>>,
    /// Found blocks that are on disk and not looked at, with the number of pages before each.
    unchecked: Vec<(BlockFound, usize)>,
    slot_ms: u64,
    max_outputs: u32,
}

#[track_caller]
pub fn hold(property: &str, holds: bool, detail: impl FnOnce() -> String) {
    assert!(holds, "property violated: {property}: {}", detail());
}

impl Oracle {
    pub fn new(terms: Terms, window_ms: u64, max_outputs: u32) -> Oracle {
        Oracle {
            shares: Vec::new(),
            books: Books::new(terms.clone()),
            marks: BTreeSet::new(),
            pages: vec![Page { at_ms: 0, terms, available: BTreeMap::new() }],
            scripts: BTreeMap::new(),
            unchecked: Vec::new(),
            slot_ms: window_ms / SLOTS,
            max_outputs,
        }
    }

    pub fn mark(&mut self, what: impl Into<String>) {
        self.marks.insert(what.into());
    }

    /// A batch is on disk.
    pub fn see_commit(&mut self, batch: &Batch, deepest: &BTreeMap<Hash, u32>) {
        self.scripts.extend(batch.miners.iter().cloned());
        for (seq, entry) in &batch.journal {
            self.mark_entry(entry);
            if let Err(property) = self.books.follow(*seq, entry) {
                hold(&property, false, || format!("{entry:?}"));
            }
            if let Entry::PaymentJudged(judged) = entry
                && matches!(judged.status, PaymentStatus::Settled { .. })
            {
                let signed = self.books.payments[judged.payment as usize - 1].signed.as_ref().expect("it was signed");
                let is_deep = deepest.get(&signed.txid).is_some_and(|depth| *depth >= CONFIRMATIONS);
                hold("a payment is settled at its depth", is_deep, || format!("{judged:?}"));
            }
            let at_ms = match entry {
                Entry::TermSet(set) => set.at,
                Entry::BlockFound(found) => {
                    self.unchecked.push((BlockFound::clone(found), self.pages.len()));
                    found.at
                }
                Entry::BlockJudged(judged) => judged.at,
                Entry::PaymentQueued(queued) => queued.at,
                Entry::PaymentSigned(signed) => signed.at,
                Entry::PaymentJudged(judged) => judged.at,
                Entry::AddressNamed(named) => named.at,
            }
            .pool_ms;
            let accounts = self.books.accounts();
            let available = |account: &Account| account.balance - account.reserved;
            let available = accounts.iter().map(|(miner, account)| (*miner, available(account))).collect();
            if accounts.values().any(|account| account.balance < 0) {
                self.mark("negative balance");
            }
            self.pages.push(Page { at_ms, terms: self.books.terms.clone(), available });
        }
    }

    fn mark_entry(&mut self, entry: &Entry) {
        match entry {
            Entry::BlockFound(found) => {
                self.mark("block submitted");
                if self.books.blocks.iter().any(|block| block.found.height == found.height) {
                    self.mark("two own blocks on one height");
                }
            }
            Entry::BlockJudged(judged) => {
                let before = self.books.find(&judged.hash).map(|at| self.books.blocks[at].status.clone());
                let is_back = judged.status.is_live() && matches!(before, Some(BlockStatus::Orphaned(_)));
                let place =
                    if is_back { "an orphan comes back".into() } else { format!("block {}", judged.status.name()) };
                self.mark(place);
            }
            Entry::PaymentQueued(_) => self.mark("payment queued"),
            Entry::PaymentSigned(signed) => {
                self.mark("payment signed");
                let is_borne = signed.outputs.iter().any(|output| output.received < output.amount);
                self.mark(if is_borne { "a receiver bears the fee" } else { "the pool bears the fee" });
                if signed.outputs.len() > 1 {
                    self.mark("a payment of several");
                }
            }
            Entry::PaymentJudged(judged) => self.mark(format!("payment {}", judged.status.name())),
            Entry::TermSet(_) => self.mark("a term is set"),
            Entry::AddressNamed(_) => self.mark("an address is named"),
        }
    }

    /// After every step: shares, blocks, books.
    pub fn audit(&mut self, pool: &Pool, disk: &Disk, now_ms: u64) {
        for (found, pages) in std::mem::take(&mut self.unchecked) {
            self.check_found(&found, pages);
        }
        self.check_cells(disk, now_ms);
        let ledger = &pool.chains()[0].ledger;
        hold("the ledger's law", ledger.check().is_ok(), || format!("{:?}", ledger.check()));
        if pool.unwritten().is_none() {
            let mine = self.books.accounts();
            for (miner, account) in ledger.accounts() {
                let (balance, reserved, paid) = (account.balance, account.reserved, account.paid);
                let theirs = (i128::from(balance), i128::from(reserved), i128::from(paid));
                let own = mine.get(&miner).copied().unwrap_or_default();
                hold(
                    "the ledger and the oracle's books agree",
                    theirs == (own.balance, own.reserved, own.paid),
                    || format!("miner {miner}: {theirs:?}, {own:?}"),
                );
            }
        }
        let mut heights = BTreeSet::new();
        let counts = ledger.blocks().iter().filter(|block| block.counts);
        hold(
            "at most one own block of a height counts",
            counts.into_iter().all(|b| heights.insert(b.found.height)),
            || format!("{heights:?}"),
        );
    }

    /// What was acknowledged is on disk; what is on disk and was not acknowledged is what nobody saw.
    fn check_cells(&self, disk: &Disk, now_ms: u64) {
        let oldest = (now_ms / self.slot_ms + 1).saturating_sub(SLOTS);
        let mut expected: BTreeMap<(u64, u8), (u64, u64)> = BTreeMap::new();
        for share in self.shares.iter().filter(|share| share.at_ms / self.slot_ms >= oldest) {
            let sums = expected.entry((share.at_ms / self.slot_ms, share.address)).or_default();
            match share.fate {
                Fate::Acknowledged => *sums = (sums.0 + share.units, sums.1 + share.units),
                Fate::Waiting | Fate::Unseen => sums.1 += share.units,
                Fate::Refused | Fate::Revoked => {}
            }
        }
        for (key, cell) in &disk.cells {
            let (slot, address) = (key.slot_start_ms / self.slot_ms, self.address(key.miner));
            if slot >= oldest {
                let (least, most) = expected.remove(&(slot, address)).unwrap_or_default();
                hold(
                    "nothing acknowledged is lost, nothing refused is kept",
                    (least..=most).contains(&cell.work),
                    || format!("{} units of {address} on disk, not {least} to {most}", cell.work),
                );
            }
        }
        let lost = expected.iter().find(|(_, (least, _))| *least > 0);
        hold("nothing acknowledged is lost", lost.is_none(), || format!("{lost:?}"));
    }

    fn address(&self, miner: MinerId) -> u8 {
        self.scripts[&miner][3]
    }

    /// A found block's entry against the work that was sent and the balances of the moment its job was made.
    fn check_found(&mut self, found: &BlockFound, pages: usize) {
        let job_ms = found.job_at.pool_ms;
        let oldest = (job_ms / self.slot_ms + 1).saturating_sub(SLOTS);
        let mut work: BTreeMap<u8, (u64, u64)> = BTreeMap::new();
        for share in self.shares.iter().filter(|s| s.at_ms <= job_ms && s.at_ms / self.slot_ms >= oldest) {
            let sums = work.entry(share.address).or_default();
            let (is_sure, is_possible) = match share.fate {
                // In the same millisecond either may have been first.
                Fate::Acknowledged => (share.at_ms < job_ms, true),
                Fate::Refused => (false, false),
                Fate::Waiting | Fate::Unseen | Fate::Revoked => (false, true),
            };
            sums.0 += if is_sure { share.units } else { 0 };
            sums.1 += if is_possible { share.units } else { 0 };
        }
        for part in &found.parts {
            let (least, most) = work.remove(&self.address(part.miner)).unwrap_or_default();
            hold("a block is shared out by the work of the window", (least..=most).contains(&part.work), || {
                format!("{part:?}, not {least} to {most} units; {found:?}")
            });
        }
        let forgotten = work.iter().find(|(_, (least, _))| *least > 0);
        hold("who worked has a part", forgotten.is_none(), || format!("{forgotten:?} {found:?}"));

        // The books at the time of the job: one page, or one of those of the same millisecond.
        let first = self.pages[..pages].iter().rposition(|page| page.at_ms < job_ms).unwrap_or(0);
        let candidates = self.pages[first..pages].iter().filter(|page| page.at_ms <= job_ms);
        let reasons: Vec<String> = candidates.filter_map(|page| self.differs(found, page)).collect();
        let count = self.pages[first..pages].iter().filter(|page| page.at_ms <= job_ms).count();
        hold("a block is shared out by the rule", reasons.len() < count, || format!("{reasons:#?} {found:#?}"));
        if self.pages[first..pages].iter().any(|page| page.at_ms > job_ms) {
            self.mark("late block on an old split");
        }
    }

    /// In what the block is not what the rule makes of these books.
    fn differs(&self, found: &BlockFound, page: &Page) -> Option<String> {
        let mut claims: BTreeMap<MinerId, Claim> = BTreeMap::new();
        for (miner, balance) in page.available.iter().filter(|(_, balance)| **balance != 0) {
            claims.insert(*miner, Claim { script: self.scripts[miner].clone(), work: 0, balance: *balance });
        }
        for part in &found.parts {
            let script = self.scripts[&part.miner].clone();
            let claim = claims.entry(part.miner).or_insert(Claim { script, work: 0, balance: 0 });
            claim.work = part.work;
            if claim.balance != i128::from(part.balance_before) {
                return Some(format!("{part:?}: {} was owed", claim.balance));
            }
        }
        let terms =
            Terms { fee_ppm: found.fee_ppm, min_payout: found.min_payout, pool_script: found.pool_script.clone() };
        if terms != page.terms || found.max_outputs != self.max_outputs {
            return Some(format!("{terms:?}, and in force were {:?}", page.terms));
        }
        let claims: Vec<Claim> = claims.into_values().collect();
        let shares = share_out(found.value, found.fee_ppm, found.min_payout, found.max_outputs, &claims);
        let paid: Vec<(Vec<u8>, u64)> =
            found.outputs.iter().map(|output| (self.scripts[&output.miner].clone(), output.amount)).collect();
        if (&paid, found.pool_amount) != (&shares.paid, shares.pool) {
            return Some(format!("it pays {paid:?}, and should {shares:?}"));
        }
        let wrong = found.parts.iter().find(|part| {
            let entitled = shares.entitled.get(&self.scripts[&part.miner]).copied().unwrap_or(0);
            part.entitled != entitled
        });
        wrong.map(|part| format!("{part:?} should be {shares:?}"))
    }

    /// A transaction came to be sent: it must be on disk already, byte for byte.
    pub fn check_sent(&self, id: &Hash, bytes: &[u8]) {
        let is_written = |payment: &crate::books::Payment| {
            let signed = payment.signed.as_ref().filter(|signed| signed.txid == *id && signed.bytes == bytes);
            signed.is_some() && !payment.status.is_final()
        };
        hold("no payment is sent before it is committed", self.books.payments.iter().any(is_written), || show(id));
    }

    /// When all is quiet: the chain itself against the ledger, to the unit.
    pub fn check_end(&self, pool: &Pool, tree: &Tree, wallet: &Wallet, unjournaled: &BTreeSet<Hash>) {
        let ledger = &pool.chains()[0].ledger;
        let main: BTreeMap<Hash, _> = tree.branch(&tree.tip).collect();
        let confirmed = wallet.state(tree, &tree.tip).confirmed;
        for block in &self.books.blocks {
            let (hash, status) = (block.found.hash, &block.status);
            hold("every found block is judged finally", block.is_final, || format!("{} {status:?}", show(&hash)));
            let is_in_chain = main.contains_key(&hash);
            hold(
                "a block is confirmed when it is in the chain",
                is_in_chain == (*status == BlockStatus::Confirmed),
                || format!("{} {status:?}", show(&hash)),
            );
        }
        for payment in &self.books.payments {
            let status = &payment.status;
            let is_in_chain = payment.signed.as_ref().is_some_and(|signed| confirmed.contains_key(&signed.txid));
            hold("every payment comes to its end", status.is_final(), || format!("{:?}", payment.queued));
            let is_settled = matches!(status, PaymentStatus::Settled { .. });
            hold("a payment is settled when it is in the chain", is_in_chain == is_settled, || {
                format!("payment {} {status:?}", payment.queued.payment)
            });
        }
        let mut received: BTreeMap<&[u8], i128> = BTreeMap::new();
        let mut values = 0;
        for (hash, block) in &main {
            let Some(coinbase) = block.own.as_ref().filter(|_| !unjournaled.contains(hash)) else { continue };
            for (value, script) in &coinbase.outputs {
                *received.entry(script).or_default() += i128::from(*value);
                values += i128::from(*value);
            }
        }
        let mut network_fees: BTreeMap<&[u8], i128> = BTreeMap::new();
        for signed in self.books.payments.iter().filter_map(|payment| payment.signed.as_ref()) {
            if confirmed.contains_key(&signed.txid) {
                for (output, (value, script)) in signed.outputs.iter().zip(&wallet.txs[&signed.txid].outputs) {
                    hold("a payment pays whom it names", *script == self.scripts[&output.miner], || show(&signed.txid));
                    *received.entry(script).or_default() += i128::from(*value);
                    *network_fees.entry(script).or_default() += i128::from(output.amount) - i128::from(*value);
                }
            }
        }
        let mut entitled: BTreeMap<&[u8], i128> = BTreeMap::new();
        let mut fees = values;
        for block in self.books.blocks.iter().filter(|block| main.contains_key(&block.found.hash)) {
            for part in &block.found.parts {
                *entitled.entry(&self.scripts[&part.miner]).or_default() += i128::from(part.entitled);
                fees -= i128::from(part.entitled);
            }
        }
        let mut sum = fees;
        for (miner, script) in &self.scripts {
            let of = |sums: &BTreeMap<&[u8], i128>| sums.get(&script[..]).copied().unwrap_or(0);
            let owed = i128::from(ledger.account(*miner).balance);
            sum += of(&received) + owed + of(&network_fees);
            hold(
                "received + owed = entitled − network fees",
                of(&received) + owed == of(&entitled) - of(&network_fees),
                || format!("{}: {} + {owed} is not {}", hex::encode(script), of(&received), of(&entitled)),
            );
        }
        hold("Σ received + Σ owed + fees = Σ values", sum == values, || format!("{sum} is not {values}"));
        let is_rig = |script: &[u8]| self.scripts.values().any(|known| known == script);
        let strangers = received.keys().find(|script| !is_rig(script) && script[0] == 0x76 && script[3] < 0xe0);
        hold("nobody else is paid", strangers.is_none(), || format!("{strangers:?}"));
    }

    /// What a payment could pay an address now.
    pub fn payable(&self, address: u8) -> i128 {
        let accounts = self.books.accounts();
        let of = |miner: &MinerId| self.scripts.get(miner).is_some_and(|known| known[..] == script(address));
        accounts.iter().filter(|(miner, _)| of(miner)).map(|(_, account)| account.payable).sum()
    }
}
