//! A year of blocks for a thousand miners, straight through the payout rule and the ledger, beside books that are
//! kept here: what was paid, what is owed and what the pool kept is what the coinbases held, to the unit.

use std::rc::Rc;

use edgepool::base::rng::Rng;
use edgepool::coin::script::Script;
use edgepool::pool::ledger::Ledger;
use edgepool::pool::record::{
    BlockFound, BlockJudged, BlockStatus, Entry, MinerId, PaymentJudged, PaymentOutput, PaymentQueued, PaymentSigned,
    PaymentStatus, Payout, Stamp,
};
use edgepool::pool::spec::Terms;
use edgepool::pool::split::{Claim, split};

const MINERS: usize = 1_000;
const BLOCKS: u64 = 3_650;
/// Found blocks until one is final.
const MATURITY: usize = 20;
/// Found blocks between two payments from the wallet.
const PAYMENT_EVERY: u64 = 70;

/// What the year's books say.
#[derive(Default)]
struct Books {
    value: i128,
    fees: i128,
    network_fees: i128,
    paid: Vec<i128>,
    entitled: Vec<i128>,
}

impl Books {
    /// A block counts, or no longer.
    fn count(&mut self, found: &BlockFound, sign: i128) {
        self.value += sign * i128::from(found.value);
        self.fees += sign * i128::from(found.value);
        for part in &found.parts {
            self.entitled[part.miner as usize] += sign * i128::from(part.entitled);
            self.fees -= sign * i128::from(part.entitled);
        }
        for output in &found.outputs {
            self.paid[output.miner as usize] += sign * i128::from(output.amount);
        }
    }

    /// The ledger's books against these.
    fn close(&self, ledger: &Ledger, borne: &[i128]) {
        let (mut paid, mut owed) = (0, 0);
        for (miner, account) in ledger.accounts() {
            let of = |sums: &[i128]| sums[miner as usize];
            assert_eq!(i128::from(account.paid), of(&self.paid), "miner {miner} is paid");
            assert_eq!(i128::from(account.balance), of(&self.entitled) - of(&self.paid) - of(borne), "miner {miner}");
            paid += i128::from(account.paid);
            owed += i128::from(account.balance);
        }
        assert_eq!(owed + paid + self.fees + self.network_fees, self.value);
        ledger.check().unwrap();
    }
}

struct Year {
    rng: Rng,
    ledger: Ledger,
    books: Books,
    /// Network fees that each miner bore.
    borne: Vec<i128>,
    scripts: Vec<Script>,
    speeds: Vec<u64>,
    /// Blocks that are not final, and whether each is in the chain.
    open: Vec<(Rc<BlockFound>, bool)>,
    seq: u64,
}

impl Year {
    fn new() -> Year {
        let mut rng = Rng::new(365);
        let mut scripts: Vec<Script> = Vec::new();
        let mut speeds = Vec::new();
        for miner in 0..MINERS {
            let mut program = [0; 20];
            program[..8].copy_from_slice(&(miner as u64).to_be_bytes());
            scripts.push(Script::p2pkh(&program));
            // From a stick to a hall.
            speeds.push(1 + rng.below(1 << (1 + miner % 20)));
        }
        let pool_script = Script::p2pkh(&[0xee; 20]);
        let terms = Terms { pool_script, fee_ppm: 12_345, min_payout: 1_000_000, max_outputs: 20 };
        let books = Books { paid: vec![0; MINERS], entitled: vec![0; MINERS], ..Books::default() };
        Year {
            rng,
            ledger: Ledger::new(0, terms),
            books,
            borne: vec![0; MINERS],
            scripts,
            speeds,
            open: Vec::new(),
            seq: 0,
        }
    }

    fn write(&mut self, entry: &Entry) {
        self.seq += 1;
        self.ledger.apply(self.seq, entry).unwrap();
    }

    fn find(&mut self, number: u64) -> Rc<BlockFound> {
        let value = 312_500_000 + self.rng.below(20_000_000);
        let (rng, speeds) = (&mut self.rng, &self.speeds);
        let mut claims = Vec::with_capacity(MINERS);
        for (miner, script) in self.scripts.iter().enumerate() {
            // Each is away for some time.
            let work = if rng.below(10) == 0 { 0 } else { speeds[miner] * (50 + rng.below(100)) };
            let balance = self.ledger.account(miner as MinerId).available();
            claims.push(Claim { miner: miner as MinerId, script: Some(script), work, balance });
        }
        let terms = self.ledger.terms();
        let shares = split(value, terms, &claims);
        shares.check(terms).unwrap();
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        let found = BlockFound {
            chain: 0,
            hash,
            height: number as u32,
            at: Stamp::default(),
            job_at: Stamp::default(),
            finder: 0,
            worker: String::new(),
            network_difficulty: 1,
            total_work: u128::from(number),
            value,
            fee_ppm: terms.fee_ppm,
            min_payout: terms.min_payout,
            max_outputs: terms.max_outputs,
            pool_script: terms.pool_script.as_bytes().to_vec(),
            pool_amount: shares.pool_amount,
            outputs: shares.paid.iter().map(|(miner, _, amount)| Payout { miner: *miner, amount: *amount }).collect(),
            parts: shares.parts,
            rebuilt: false,
        };
        self.write(&Entry::BlockFound(Box::new(found.clone())));
        self.books.count(&found, 1);
        Rc::new(found)
    }

    fn judge(&mut self, found: &BlockFound, status: BlockStatus, is_final: bool) {
        let judged = BlockJudged { chain: 0, hash: found.hash, at: Stamp::default(), status, is_final };
        self.write(&Entry::BlockJudged(judged));
    }

    /// One of the open blocks leaves the chain, or comes back.
    fn reorganise(&mut self) {
        let at = self.rng.below(self.open.len() as u64) as usize;
        let (found, is_in_chain) = self.open[at].clone();
        self.open[at].1 = !is_in_chain;
        let status = if is_in_chain { BlockStatus::Orphaned("another".into()) } else { BlockStatus::Accepted };
        self.judge(&found, status, false);
        self.books.count(&found, if is_in_chain { -1 } else { 1 });
    }

    /// The wallet pays everybody that it may, and the receivers bear the fee; some payments come to nothing.
    fn pay(&mut self) {
        let payment = self.ledger.payments().len() as u64 + 1;
        let at = Stamp::default();
        let queued = PaymentQueued { chain: 0, payment, at, wanted: Vec::new(), threshold: 0, is_scheduled: true };
        self.write(&Entry::PaymentQueued(queued));
        let outputs: Vec<PaymentOutput> = self
            .ledger
            .payables()
            .into_iter()
            .filter(|(_, amount)| *amount > 10_000)
            .map(|(miner, amount)| PaymentOutput { miner, amount, received: amount - self.rng.below(1_000) })
            .collect();
        assert!(outputs.len() > 100, "small miners wait for the wallet");
        let signed = PaymentSigned {
            chain: 0,
            payment,
            at,
            txid: [payment as u8; 32],
            bytes: vec![0],
            inputs: Vec::new(),
            outputs: outputs.clone(),
            fee: 0,
        };
        self.write(&Entry::PaymentSigned(Box::new(signed)));
        let is_settled = self.rng.below(4) > 0;
        let status = if is_settled {
            PaymentStatus::Settled { height: 1, block: [0; 32] }
        } else {
            PaymentStatus::Conflicted("spent".into())
        };
        self.write(&Entry::PaymentJudged(PaymentJudged { chain: 0, payment, at, status }));
        for output in outputs.iter().filter(|_| is_settled) {
            let fee = i128::from(output.amount - output.received);
            self.books.paid[output.miner as usize] += i128::from(output.received);
            self.borne[output.miner as usize] += fee;
            self.books.network_fees += fee;
        }
    }
}

#[test]
fn a_year_of_a_thousand_miners_closes_to_the_unit() {
    let mut year = Year::new();
    let mut orphans = 0;
    for number in 1..=BLOCKS {
        let found = year.find(number);
        year.judge(&found, BlockStatus::Accepted, false);
        year.open.push((found, true));
        if year.rng.below(10) == 0 {
            year.reorganise();
        }
        if year.open.len() > MATURITY {
            let (oldest, is_in_chain) = year.open.remove(0);
            let status = if is_in_chain { BlockStatus::Confirmed } else { BlockStatus::Orphaned("another".into()) };
            orphans += u32::from(!is_in_chain);
            year.judge(&oldest, status, true);
        }
        if number % PAYMENT_EVERY == 0 {
            year.pay();
        }
        if year.rng.below(100) == 0 || number == BLOCKS {
            year.books.close(&year.ledger, &year.borne);
        }
    }
    assert!(orphans > 10 && year.ledger.payments().len() > 50);
    assert!(year.ledger.totals().value > 1_000_000_000_000, "a year's coinbases");
}
