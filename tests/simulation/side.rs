//! What the oracle knows of one chain: its books, what they said at every moment, and the checks of its blocks,
//! payments and names against work and rule.

use std::collections::{BTreeMap, BTreeSet};

use edgepool::pool::Pool;
use edgepool::pool::record::{BlockFound, BlockStatus, Entry, MinerId, PaymentStatus};

use crate::books::{Account, Books, Terms, chain_of};
use crate::bytes::{Hash, show};
use crate::oracle::{Ground, hold};
use crate::rule::{Claim, share_out};
use crate::tree::Tree;
use crate::wallet::Wallet;
use crate::who::Payee;
use crate::world::CONFIRMATIONS;

/// What the books said after an entry.
struct Page {
    at_ms: u64,
    terms: Terms,
    names: BTreeMap<MinerId, Vec<u8>>,
    available: BTreeMap<MinerId, i128>,
}

pub struct Side {
    pub chain: usize,
    pub books: Books,
    pages: Vec<Page>,
    /// Found blocks that are on disk and not looked at, with the number of pages before each.
    unchecked: Vec<(BlockFound, usize)>,
    max_outputs: u32,
}

impl Side {
    pub fn new(chain: usize, terms: Terms, max_outputs: u32) -> Side {
        let (names, available) = (BTreeMap::new(), BTreeMap::new());
        let first = Page { at_ms: 0, terms: terms.clone(), names, available };
        Side { chain, books: Books::new(terms), pages: vec![first], unchecked: Vec::new(), max_outputs }
    }

    pub fn concerns(&self, entry: &Entry) -> bool {
        chain_of(entry) == self.chain
    }

    /// An entry of the chain's is on disk.
    pub fn see(&mut self, seq: u64, entry: &Entry, deepest: &BTreeMap<Hash, u32>, marks: &mut BTreeSet<String>) {
        let whose = if self.chain == 0 { "" } else { "child " };
        let mut mark = |what: String| {
            marks.insert(format!("{whose}{what}"));
        };
        self.told_by(entry).into_iter().for_each(&mut mark);
        if let Err(property) = self.books.follow(seq, entry) {
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
            mark("negative balance".into());
        }
        let (terms, names) = (self.books.terms.clone(), self.books.names.clone());
        self.pages.push(Page { at_ms, terms, names, available });
    }

    /// What an entry tells of.
    fn told_by(&self, entry: &Entry) -> Vec<String> {
        let mut told: Vec<String> = Vec::new();
        match entry {
            Entry::BlockFound(found) => {
                told.push("block submitted".into());
                if self.books.blocks.iter().any(|block| block.found.height == found.height) {
                    told.push("two own blocks on one height".into());
                }
                if found.outputs.iter().any(|output| self.books.names.contains_key(&output.miner)) {
                    told.push("block pays a name".into());
                }
            }
            Entry::BlockJudged(judged) => {
                let before = self.books.find(&judged.hash).map(|at| self.books.blocks[at].status.clone());
                let is_back = judged.status.is_live() && matches!(before, Some(BlockStatus::Orphaned(_)));
                let name = format!("block {}", judged.status.name());
                told.push(if is_back { "an orphan comes back".into() } else { name });
                if judged.is_final && judged.status.is_live() && self.max_outputs == 1 {
                    told.push("block of its node's own is confirmed".into());
                }
            }
            Entry::PaymentQueued(_) => told.push("payment queued".into()),
            Entry::PaymentSigned(signed) => {
                told.push("payment signed".into());
                let is_borne = signed.outputs.iter().any(|output| output.received < output.amount);
                told.push(if is_borne { "a receiver bears the fee" } else { "the pool bears the fee" }.into());
                if signed.outputs.len() > 1 {
                    told.push("a payment of several".into());
                }
                if signed.outputs.iter().any(|output| self.books.names.contains_key(&output.miner)) {
                    told.push("payment to a name".into());
                }
            }
            Entry::PaymentJudged(judged) => told.push(format!("payment {}", judged.status.name())),
            Entry::TermSet(_) => told.push("a term is set".into()),
            Entry::AddressNamed(named) if named.by_operator => told.push("the operator names an address".into()),
            Entry::AddressNamed(_) => told.push("rigs name an address".into()),
        }
        told
    }

    /// After every step.
    pub fn audit(&mut self, ground: &Ground, pool: &Pool, marks: &mut BTreeSet<String>) {
        for (found, pages) in std::mem::take(&mut self.unchecked) {
            self.check_found(ground, &found, pages, marks);
        }
        let ledger = &pool.chains()[self.chain].ledger;
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
                    || format!("chain {}, miner {miner}: {theirs:?}, {own:?}", self.chain),
                );
                let place = pool.payout_script(self.chain, miner).map(|script| script.as_bytes().to_vec());
                hold("an account is paid where it says", place == self.place(ground, &self.books.names, miner), || {
                    format!("chain {}, miner {miner}: {place:?}", self.chain)
                });
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

    /// Where an account is paid.
    fn place(&self, ground: &Ground, names: &BTreeMap<MinerId, Vec<u8>>, miner: MinerId) -> Option<Vec<u8>> {
        match ground.account(self.chain, miner) {
            Payee::At(script) => Some(script),
            Payee::Owed(_) => names.get(&miner).cloned(),
        }
    }

    /// A found block's entry against the work that was sent and the balances of the moment its job was made.
    fn check_found(&mut self, ground: &Ground, found: &BlockFound, pages: usize, marks: &mut BTreeSet<String>) {
        let job_ms = found.job_at.pool_ms;
        let mut work = ground.work_at(self.chain, job_ms);
        for part in &found.parts {
            let (least, most) = work.remove(&ground.account(self.chain, part.miner)).unwrap_or_default();
            hold("a block is shared out by the work of the window", (least..=most).contains(&part.work), || {
                format!("{part:?}, not {least} to {most} units; {found:?}")
            });
        }
        let forgotten = work.iter().find(|(_, (least, _))| *least > 0);
        hold("who worked has a part", forgotten.is_none(), || format!("{forgotten:?} {found:?}"));

        // The books at the time of the job: one page, or one of those of the same millisecond.
        let first = self.pages[..pages].iter().rposition(|page| page.at_ms < job_ms).unwrap_or(0);
        let candidates = self.pages[first..pages].iter().filter(|page| page.at_ms <= job_ms);
        let reasons: Vec<String> = candidates.filter_map(|page| self.differs(ground, found, page)).collect();
        let count = self.pages[first..pages].iter().filter(|page| page.at_ms <= job_ms).count();
        hold("a block is shared out by the rule", reasons.len() < count, || format!("{reasons:#?} {found:#?}"));
        if self.pages[first..pages].iter().any(|page| page.at_ms > job_ms) {
            marks.insert(if self.chain == 0 { "" } else { "child " }.to_string() + "late block on an old split");
        }
    }

    /// In what the block is not what the rule makes of these books.
    fn differs(&self, ground: &Ground, found: &BlockFound, page: &Page) -> Option<String> {
        let mut claims: BTreeMap<MinerId, Claim> = BTreeMap::new();
        let claim =
            |miner: MinerId, balance| Claim { script: self.place(ground, &page.names, miner), work: 0, balance };
        for (miner, balance) in page.available.iter().filter(|(_, balance)| **balance != 0) {
            claims.insert(*miner, claim(*miner, *balance));
        }
        for part in &found.parts {
            let claim = claims.entry(part.miner).or_insert_with(|| claim(part.miner, 0));
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
        let shares = share_out(found.value, found.fee_ppm, found.min_payout, found.max_outputs, &claims);
        let paid: Vec<(MinerId, u64)> = found.outputs.iter().map(|output| (output.miner, output.amount)).collect();
        if (&paid, found.pool_amount) != (&shares.paid, shares.pool) {
            return Some(format!("it pays {paid:?}, and should {shares:?}"));
        }
        let wrong = found.parts.iter().find(|part| {
            let entitled = shares.entitled.get(&part.miner).copied().unwrap_or(0);
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
    pub fn check_end(&self, ground: &Ground, pool: &Pool, tree: &Tree, wallet: &Wallet, unjournaled: &BTreeSet<Hash>) {
        let ledger = &pool.chains()[self.chain].ledger;
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
            for (value, script) in coinbase.outputs.iter().filter(|(value, _)| *value > 0) {
                *received.entry(script).or_default() += i128::from(*value);
                values += i128::from(*value);
            }
        }
        let place = |miner: MinerId| self.place(ground, &self.books.names, miner);
        let mut network_fees: BTreeMap<&[u8], i128> = BTreeMap::new();
        for signed in self.books.payments.iter().filter_map(|payment| payment.signed.as_ref()) {
            if confirmed.contains_key(&signed.txid) {
                for (output, (value, script)) in signed.outputs.iter().zip(&wallet.txs[&signed.txid].outputs) {
                    let is_right = place(output.miner).as_ref() == Some(script);
                    hold("a payment pays whom it names", is_right, || show(&signed.txid));
                    *received.entry(script).or_default() += i128::from(*value);
                    *network_fees.entry(script).or_default() += i128::from(output.amount) - i128::from(*value);
                }
            }
        }
        // By where it is paid: several accounts may be paid at one script; who is paid nowhere is known by the account.
        let key = |miner: MinerId| place(miner).unwrap_or_else(|| miner.to_be_bytes().to_vec());
        let mut entitled: BTreeMap<Vec<u8>, i128> = BTreeMap::new();
        let mut fees = values;
        for block in self.books.blocks.iter().filter(|block| main.contains_key(&block.found.hash)) {
            for part in &block.found.parts {
                *entitled.entry(key(part.miner)).or_default() += i128::from(part.entitled);
                fees -= i128::from(part.entitled);
            }
        }
        let mut owed: BTreeMap<Vec<u8>, i128> = BTreeMap::new();
        for (miner, account) in ledger.accounts() {
            *owed.entry(key(miner)).or_default() += i128::from(account.balance);
        }
        let mut sum = fees;
        for (script, owed) in &owed {
            let of = |sums: &BTreeMap<&[u8], i128>| sums.get(&script[..]).copied().unwrap_or(0);
            let entitled = entitled.remove(script).unwrap_or(0);
            sum += of(&received) + owed + of(&network_fees);
            hold(
                "received + owed = entitled − network fees",
                of(&received) + owed == entitled - of(&network_fees),
                || format!("{}: {} + {owed} is not {entitled}", hex::encode(script), of(&received)),
            );
        }
        hold("who is entitled has an account", entitled.values().all(|sum| *sum == 0), || format!("{entitled:?}"));
        hold("Σ received + Σ owed + fees = Σ values", sum == values, || format!("{sum} is not {values}"));
        let is_pool = |script: &[u8]| script[0] == 0x76 && script[3] >= 0xe0;
        let strangers = received.keys().find(|script| !owed.contains_key(**script) && !is_pool(script));
        hold("nobody else is paid", strangers.is_none(), || format!("{strangers:?}"));
    }

    /// The most that a payment could pay anybody now.
    pub fn payable(&self, ground: &Ground) -> i128 {
        let accounts = self.books.accounts();
        let placed = accounts.iter().filter(|(miner, _)| self.place(ground, &self.books.names, **miner).is_some());
        placed.map(|(_, account)| account.payable).max().unwrap_or(0)
    }
}
