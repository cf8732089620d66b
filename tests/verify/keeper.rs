//! A pool's ledger as a true pool would have written it: blocks in every state, a late one, two of one height, terms
//! that change, and payments of every end.

use std::collections::BTreeMap;

use edgepool::base::Hash32;
use edgepool::coin::pow::sha256d;
use edgepool::coin::script::Script;
use edgepool::pool::ledger::Ledger;
use edgepool::pool::record::{
    BlockFound, BlockJudged, BlockStatus, Cell, CellKey, ClockMark, Entry, MinerId, OutPoint, PaymentJudged,
    PaymentOutput, PaymentQueued, PaymentSigned, PaymentStatus, Payout, Stamp, Term, TermSet,
};
use edgepool::pool::spec::Terms;
use edgepool::pool::split::{Claim, Split, split};

pub const VALUE: u64 = 1_250_000_000;
const START: u64 = 1_795_000_000_000;
const SLOT: u64 = 300_000;
const MINUTE: u64 = 60_000;

/// Everything that is in a ledger.
#[derive(Clone)]
pub struct Ledgers {
    pub entries: Vec<Entry>,
    pub miners: BTreeMap<MinerId, Vec<u8>>,
    pub cells: BTreeMap<CellKey, Cell>,
    pub clock: ClockMark,
}

pub fn script(miner: MinerId) -> Script {
    Script::witness(0, &[miner as u8 + 1; 20]).unwrap()
}

pub fn pool_script() -> Script {
    Script::p2pkh(&[0xee; 20])
}

pub fn terms() -> Terms {
    Terms { pool_script: pool_script(), fee_ppm: 10_000, min_payout: 150_000_000, max_outputs: 3 }
}

/// A work unit's share of the pool, frozen.
struct Job {
    split: Split,
    terms: Terms,
    at: Stamp,
}

struct Keeper {
    ledger: Ledger,
    now: u64,
    all: Ledgers,
    /// The ledger as each entry left it.
    past: Vec<Ledgers>,
}

impl Keeper {
    fn new() -> Keeper {
        let miners = (0..5).map(|miner| (miner, script(miner).as_bytes().to_vec())).collect();
        let clock = ClockMark::default();
        let all = Ledgers { entries: Vec::new(), miners, cells: BTreeMap::new(), clock };
        Keeper { ledger: Ledger::new(0, terms()), now: START, all, past: Vec::new() }
    }

    fn stamp(&self) -> Stamp {
        Stamp { pool_ms: self.now, wall_ms: self.now }
    }

    fn record(&mut self, entry: Entry) {
        let seq = self.all.entries.len() as u64 + 1;
        self.ledger.apply(seq, &entry).unwrap();
        self.ledger.check().unwrap();
        self.all.entries.push(entry);
        (self.all.clock.pool_ms, self.all.clock.wall_ms) = (self.now, self.now);
        self.past.push(self.all.clone());
    }

    /// Some minutes of work, 20 : 10 : 5 : 2 : 1.
    fn work(&mut self) {
        for (miner, work) in (0..).zip([20, 10, 5, 2, 1]) {
            self.now += 7_000;
            let cell = self.all.cells.entry(CellKey { slot_start_ms: self.now / SLOT * SLOT, miner }).or_default();
            cell.work += work * 1_000 + u64::from(miner);
            cell.shares += 1;
            self.all.clock.total_work += u128::from(work * 1_000 + u64::from(miner));
            self.all.clock.total_shares += 1;
        }
        self.now += 3 * MINUTE;
    }

    fn job(&mut self) -> Job {
        self.now += 1_000;
        let work = |miner| self.all.cells.iter().filter(|(key, _)| key.miner == miner).map(|(_, cell)| cell.work).sum();
        let scripts: Vec<Script> = (0..5).map(script).collect();
        let claims: Vec<Claim> = (0..5)
            .map(|miner| Claim {
                miner,
                script: Some(&scripts[miner as usize]),
                work: work(miner),
                balance: self.ledger.account(miner).available(),
            })
            .collect();
        let terms = self.ledger.terms().clone();
        Job { split: split(VALUE, &terms, &claims), terms, at: self.stamp() }
    }

    fn find(&mut self, height: u32, salt: u8, job: &Job) -> Hash32 {
        self.now += 20_000;
        let hash = sha256d(&[height as u8, salt]);
        let Job { split, terms, at } = job;
        let found = BlockFound {
            chain: 0,
            hash,
            height,
            at: self.stamp(),
            job_at: *at,
            finder: 1,
            worker: "rig".into(),
            network_difficulty: 30_000,
            total_work: self.all.clock.total_work,
            value: split.value,
            fee_ppm: terms.fee_ppm,
            min_payout: terms.min_payout,
            max_outputs: terms.max_outputs,
            pool_script: terms.pool_script.as_bytes().to_vec(),
            pool_amount: split.pool_amount,
            outputs: split.paid.iter().map(|(miner, _, amount)| Payout { miner: *miner, amount: *amount }).collect(),
            parts: split.parts.clone(),
            rebuilt: false,
        };
        self.record(Entry::BlockFound(Box::new(found)));
        hash
    }

    fn judge(&mut self, hash: Hash32, status: BlockStatus, is_final: bool) {
        self.now += 2_000;
        let at = self.stamp();
        self.record(Entry::BlockJudged(BlockJudged { chain: 0, hash, at, status, is_final }));
    }

    /// A block that is accepted.
    fn block(&mut self, height: u32) -> Hash32 {
        self.work();
        let job = self.job();
        let hash = self.find(height, 0, &job);
        self.judge(hash, BlockStatus::Accepted, false);
        hash
    }

    fn queue(&mut self) -> u64 {
        self.now += MINUTE;
        let (payment, at) = (self.ledger.payments().len() as u64 + 1, self.stamp());
        let queued = PaymentQueued { chain: 0, payment, at, wanted: Vec::new(), threshold: 1, is_scheduled: false };
        self.record(Entry::PaymentQueued(queued));
        payment
    }

    fn sign(&mut self, payment: u64, part: u64) {
        self.now += 1_000;
        let payables = self.ledger.payables();
        let (miner, payable) = payables.iter().max_by_key(|(_, payable)| **payable).expect("somebody is owed");
        let amount = payable / part;
        let output = PaymentOutput { miner: *miner, amount, received: amount - 200 };
        let input = OutPoint { txid: [payment as u8; 32], vout: 7 };
        self.record(Entry::PaymentSigned(Box::new(signed(payment, self.stamp(), input, output))));
    }

    fn judge_payment(&mut self, payment: u64, status: PaymentStatus) {
        self.now += 2_000;
        let at = self.stamp();
        self.record(Entry::PaymentJudged(PaymentJudged { chain: 0, payment, at, status }));
    }
}

/// A payment with a real transaction: one input, the output and one for what is left over.
pub fn signed(payment: u64, at: Stamp, input: OutPoint, output: PaymentOutput) -> PaymentSigned {
    let bytes = transaction(input, b"", &[(script(output.miner), output.received), (pool_script(), 5_000)]);
    let txid = sha256d(&bytes);
    PaymentSigned { chain: 0, payment, at, txid, bytes, inputs: vec![input], outputs: vec![output], fee: 200 }
}

/// The bytes of a transaction that spends one coin.
pub fn transaction(input: OutPoint, unlocking: &[u8], outputs: &[(Script, u64)]) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 1];
    bytes.extend(input.txid);
    bytes.extend(input.vout.to_le_bytes());
    bytes.push(unlocking.len() as u8);
    bytes.extend(unlocking);
    bytes.extend([0xff, 0xff, 0xff, 0xff, outputs.len() as u8]);
    for (script, value) in outputs {
        bytes.extend(value.to_le_bytes());
        bytes.push(script.as_bytes().len() as u8);
        bytes.extend(script.as_bytes());
    }
    bytes.extend([0; 4]);
    bytes
}

/// Where the first payment is settled.
pub const SETTLED: (u32, Hash32) = (150, [0x5e; 32]);

pub fn true_ledger() -> Ledgers {
    let Keeper { now, mut all, .. } = keeper();
    (all.clock.pool_ms, all.clock.wall_ms) = (now, now);
    all
}

/// The ledger as its first `entries` left it.
pub fn past_ledger(entries: usize) -> Ledgers {
    keeper().past.swap_remove(entries - 1)
}

fn keeper() -> Keeper {
    let mut keeper = Keeper::new();
    let first: Vec<Hash32> = (100..104).map(|height| keeper.block(height)).collect();
    // One in which a job was made before another block was found, and pays the same balances again.
    keeper.work();
    let late = keeper.job();
    let in_time = keeper.find(104, 0, &late);
    keeper.judge(in_time, BlockStatus::Accepted, false);
    let late = keeper.find(105, 0, &late);
    keeper.judge(late, BlockStatus::Accepted, false);
    let at = keeper.stamp();
    let (to, configured) = (Term::FeePpm(20_000), Term::FeePpm(10_000));
    keeper.record(Entry::TermSet(TermSet { chain: 0, at, to, configured }));
    // Two of one height, of which the chain takes the second.
    keeper.work();
    let job = keeper.job();
    let twins = [keeper.find(106, 0, &job), keeper.find(106, 1, &job)];
    keeper.judge(twins[0], BlockStatus::Accepted, false);
    keeper.judge(twins[0], BlockStatus::Orphaned("the other".into()), false);
    keeper.judge(twins[1], BlockStatus::Accepted, false);
    let lost = keeper.block(107);
    keeper.judge(lost, BlockStatus::Orphaned("another".into()), false);
    keeper.work();
    let job = keeper.job();
    let refused = keeper.find(108, 0, &job);
    keeper.judge(refused, BlockStatus::Rejected("bad-blk".into()), false);
    keeper.block(109);
    for hash in &first[..3] {
        keeper.judge(*hash, BlockStatus::Confirmed, true);
    }
    keeper.judge(first[3], BlockStatus::Orphaned("a longer branch".into()), false);
    keeper.judge(first[3], BlockStatus::Orphaned("a longer branch".into()), true);
    for (end, part) in [(0, 2), (1, 1), (2, 1), (3, 3)] {
        let payment = keeper.queue();
        if end == 2 {
            keeper.judge_payment(payment, PaymentStatus::Dropped("no funds".into()));
            continue;
        }
        keeper.sign(payment, part);
        keeper.judge_payment(payment, PaymentStatus::Sent);
        let (height, block) = SETTLED;
        match end {
            0 => keeper.judge_payment(payment, PaymentStatus::Settled { height, block }),
            1 => keeper.judge_payment(payment, PaymentStatus::Conflicted("spent otherwise".into())),
            _ => {}
        }
    }
    keeper.block(110);
    keeper.block(111);
    keeper.work();
    keeper
}

impl Ledgers {
    /// Number and place of the first entry that is so.
    #[track_caller]
    pub fn position(&self, wanted: impl Fn(&Entry) -> bool) -> usize {
        self.entries.iter().position(wanted).expect("there is such an entry")
    }

    /// The block of a height, the `nth` found there, and its place.
    #[track_caller]
    pub fn found(&mut self, height: u32, nth: usize) -> (usize, &mut BlockFound) {
        let blocks = self.entries.iter_mut().enumerate().filter_map(|(index, entry)| match entry {
            Entry::BlockFound(found) if found.height == height => Some((index, &mut **found)),
            _ => None,
        });
        blocks.into_iter().nth(nth).expect("there is such a block")
    }

    /// The signed payment of a number, and its place.
    #[track_caller]
    pub fn signed(&mut self, number: u64) -> (usize, &mut PaymentSigned) {
        let payments = self.entries.iter_mut().enumerate().find_map(|(index, entry)| match entry {
            Entry::PaymentSigned(signed) if signed.payment == number => Some((index, &mut **signed)),
            _ => None,
        });
        payments.expect("there is such a payment")
    }
}
