//! The ledger as a fold, against books that are kept another way.

use proptest::prelude::*;

use super::*;
use crate::pool::record::{OutPoint, Part, PaymentJudged, PaymentOutput, PaymentQueued, PaymentSigned, PaymentStatus};

const MINERS: u32 = 5;
const AT: Stamp = Stamp { pool_ms: 1, wall_ms: 2 };

fn configured() -> Terms {
    Terms { pool_script: Script::from_bytes(vec![0x51]), fee_ppm: 10_000, min_payout: 100_000, max_outputs: 10 }
}

fn found(id: u8, value: u64, parts: &[(MinerId, u64, u64)]) -> BlockFound {
    let part = |(miner, entitled, _): &(MinerId, u64, u64)| Part {
        miner: *miner,
        work: 1,
        balance_before: 0,
        entitled: *entitled,
    };
    let paid = parts.iter().filter(|(.., paid)| *paid > 0);
    BlockFound {
        chain: 0,
        hash: [id; 32],
        height: u32::from(id),
        at: AT,
        job_at: AT,
        finder: 0,
        worker: String::new(),
        network_difficulty: 1,
        total_work: u128::from(id) * 10,
        value,
        fee_ppm: 0,
        min_payout: 0,
        max_outputs: 10,
        pool_script: vec![0x51],
        pool_amount: value - parts.iter().map(|(.., paid)| paid).sum::<u64>(),
        outputs: paid.map(|(miner, _, amount)| Payout { miner: *miner, amount: *amount }).collect(),
        parts: parts.iter().map(part).collect(),
        rebuilt: false,
    }
}

fn judged(id: u8, status: BlockStatus) -> Entry {
    let is_final = status == BlockStatus::Confirmed;
    Entry::BlockJudged(BlockJudged { chain: 0, hash: [id; 32], at: AT, status, is_final })
}

/// Applies entries and checks the law after each.
struct Fold {
    ledger: Ledger,
    seq: u64,
}

impl Fold {
    fn new() -> Fold {
        Fold { ledger: Ledger::new(0, configured()), seq: 0 }
    }

    fn apply(&mut self, entry: &Entry) -> Result<(), LedgerError> {
        self.seq += 1;
        let outcome = self.ledger.apply(self.seq, entry);
        assert_eq!(self.ledger.check(), Ok(()));
        outcome
    }

    #[track_caller]
    fn find(&mut self, found: BlockFound) {
        self.apply(&Entry::BlockFound(Box::new(found))).unwrap();
    }

    #[track_caller]
    fn judge(&mut self, id: u8, status: BlockStatus) {
        self.apply(&judged(id, status)).unwrap();
    }

    /// Balance, reserved and paid.
    fn account(&self, miner: MinerId) -> (i64, u64, u64) {
        let account = self.ledger.account(miner);
        (account.balance, account.reserved, account.paid)
    }
}

fn set(to: Term, configured: Term) -> Entry {
    Entry::TermSet(TermSet { chain: 0, at: AT, to, configured })
}

#[derive(Clone, Debug)]
enum Step {
    /// At one of a few heights; per miner what it is entitled to and is paid, each a share of the block in 256ths.
    Find(u8, [(u8, u8); MINERS as usize]),
    Judge(prop::sample::Index, BlockStatus, bool),
    Queue,
    /// The amount and what is received of it, in thousandths of what is payable.
    Sign(prop::sample::Index, u16, u16),
    JudgePayment(prop::sample::Index, PaymentStatus),
}

fn any_step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![
        3 => Just(BlockStatus::Accepted),
        2 => Just(BlockStatus::Confirmed),
        1 => Just(BlockStatus::Rejected("bad".into())),
        2 => Just(BlockStatus::Orphaned("passed".into())),
    ];
    let payment = prop_oneof![
        2 => Just(PaymentStatus::Sent),
        2 => Just(PaymentStatus::Settled { height: 1, block: [9; 32] }),
        1 => Just(PaymentStatus::Conflicted("spent".into())),
        1 => Just(PaymentStatus::Dropped("nobody".into())),
    ];
    let any_index = || any::<prop::sample::Index>();
    prop_oneof![
        4 => (0..20u8, any::<[(u8, u8); MINERS as usize]>()).prop_map(|(height, parts)| Step::Find(height, parts)),
        8 => (any_index(), status, any::<bool>()).prop_map(|(which, status, last)| Step::Judge(which, status, last)),
        1 => Just(Step::Queue),
        3 => (any_index(), 1..1_500u16, 1..=1_000u16).prop_map(|(which, amount, part)| Step::Sign(which, amount, part)),
        3 => (any_index(), payment).prop_map(|(which, status)| Step::JudgePayment(which, status)),
    ]
}

/// The same money kept another way: nothing running, every figure redone from all that was ever taken in.
#[derive(Default)]
struct Books {
    blocks: Vec<(BlockFound, BlockStatus, bool, usize)>,
    payments: Vec<(PaymentStatus, Vec<PaymentOutput>)>,
}

impl Books {
    /// Of each height: the confirmed one, or the one that was accepted last, or the first that is still open.
    fn counted(&self) -> Vec<&BlockFound> {
        let mut chosen: BTreeMap<u32, &(BlockFound, BlockStatus, bool, usize)> = BTreeMap::new();
        for block in &self.blocks {
            let rank = |(_, status, _, when): &(BlockFound, BlockStatus, bool, usize)| match status {
                BlockStatus::Confirmed => (3, *when),
                BlockStatus::Accepted => (2, *when),
                BlockStatus::Submitted => (1, 0),
                _ => (0, 0),
            };
            if rank(block).0 > 0 && chosen.get(&block.0.height).is_none_or(|other| rank(block) > rank(other)) {
                chosen.insert(block.0.height, block);
            }
        }
        chosen.into_values().map(|(block, ..)| block).collect()
    }

    /// Balance, reserved and paid.
    fn account(&self, miner: MinerId) -> (i64, u64, u64) {
        let (mut balance, mut reserved, mut paid) = (0i128, 0, 0);
        for block in self.counted() {
            let entitled: u64 = block.parts.iter().filter(|part| part.miner == miner).map(|part| part.entitled).sum();
            let out: u64 = block.outputs.iter().filter(|out| out.miner == miner).map(|out| out.amount).sum();
            balance += i128::from(entitled) - i128::from(out);
            paid += out;
        }
        for (status, outputs) in &self.payments {
            for output in outputs.iter().filter(|output| output.miner == miner) {
                match status {
                    PaymentStatus::Signed | PaymentStatus::Sent => reserved += output.amount,
                    PaymentStatus::Settled { .. } => {
                        balance -= i128::from(output.amount);
                        paid += output.received;
                    }
                    _ => {}
                }
            }
        }
        (balance as i64, reserved, paid)
    }
}

const SCALE: u64 = 1_000_003;
const VALUE: u64 = 256 * MINERS as u64 * SCALE;

proptest! {
    #[test]
    fn balances_are_the_sum_of_the_blocks_that_count_and_of_payments(
        steps in prop::collection::vec(any_step(), 1..80),
    ) {
        let mut fold = Fold::new();
        let mut books = Books::default();
        for (when, step) in steps.iter().enumerate() {
            match step {
                Step::Find(height, parts) => {
                    let parts: Vec<(MinerId, u64, u64)> = (0..MINERS).zip(parts)
                        .map(|(miner, (entitled, paid))| (miner, u64::from(*entitled) * SCALE, u64::from(*paid) * SCALE))
                        .collect();
                    let mut block = found(books.blocks.len() as u8, VALUE, &parts);
                    block.height = u32::from(*height);
                    prop_assert_eq!(fold.apply(&Entry::BlockFound(Box::new(block.clone()))), Ok(()));
                    books.blocks.push((block, BlockStatus::Submitted, false, when));
                }
                Step::Judge(which, status, last) => {
                    if books.blocks.is_empty() { continue }
                    let at = which.index(books.blocks.len());
                    let is_final = *last || *status == BlockStatus::Confirmed;
                    let judged = BlockJudged { chain: 0, hash: [at as u8; 32], at: AT, status: status.clone(), is_final };
                    let height = books.blocks[at].0.height;
                    let taken = *status == BlockStatus::Confirmed
                        && books.blocks.iter().any(|(block, status, ..)| block.height == height && *status == BlockStatus::Confirmed);
                    let closed = books.blocks[at].2 || taken;
                    // What is live for good is confirmed.
                    let outcome = fold.apply(&Entry::BlockJudged(judged));
                    if closed || (is_final && *status == BlockStatus::Accepted) {
                        prop_assert!(outcome.is_err());
                    } else {
                        prop_assert_eq!(outcome, Ok(()));
                        (books.blocks[at].1, books.blocks[at].2, books.blocks[at].3) = (status.clone(), is_final, when);
                    }
                }
                Step::Queue => {
                    let payment = books.payments.len() as u64 + 1;
                    prop_assert_eq!(fold.apply(&queued(payment)), Ok(()));
                    books.payments.push((PaymentStatus::Queued, Vec::new()));
                }
                Step::Sign(which, amount, part) => {
                    if books.payments.is_empty() { continue }
                    let at = which.index(books.payments.len());
                    let payable = fold.ledger.payables();
                    // Also more than is payable: a late block may have taken it meanwhile.
                    let output = |(miner, free): (&MinerId, &u64)| {
                        let amount = (free / 1_000).max(1) * u64::from(*amount);
                        PaymentOutput { miner: *miner, amount, received: (amount * u64::from(*part) / 1_000).max(1) }
                    };
                    let outputs: Vec<PaymentOutput> = payable.iter().map(output).collect();
                    let outcome = fold.apply(&signed(at as u64 + 1, &outputs));
                    if books.payments[at].0 != PaymentStatus::Queued || outputs.is_empty() {
                        prop_assert!(outcome.is_err());
                    } else {
                        prop_assert_eq!(outcome, Ok(()));
                        books.payments[at] = (PaymentStatus::Signed, outputs);
                    }
                }
                Step::JudgePayment(which, status) => {
                    if books.payments.is_empty() { continue }
                    let at = which.index(books.payments.len());
                    let before = books.payments[at].0.name();
                    let legal = [("queued", "dropped"), ("signed", "sent"), ("signed", "settled"), ("sent", "settled"),
                        ("signed", "conflicted"), ("sent", "conflicted")].contains(&(before, status.name()));
                    prop_assert_eq!(fold.apply(&payment_judged(at as u64 + 1, status.clone())).is_ok(), legal);
                    if legal {
                        books.payments[at].0 = status.clone();
                    }
                }
            }
            for miner in 0..MINERS {
                prop_assert_eq!(fold.account(miner), books.account(miner), "miner {}", miner);
            }
            // The law, from the accounts and the coinbases rather than from the parts.
            let counted = books.counted();
            let kept: i128 = counted.iter().map(|block| i128::from(block.pool_amount)).sum();
            let coinbases: i128 = counted.iter().flat_map(|block| &block.outputs).map(|out| i128::from(out.amount)).sum();
            let totals = fold.ledger.totals();
            prop_assert_eq!(totals.value as i128, VALUE as i128 * counted.len() as i128);
            prop_assert_eq!(coinbases + kept, totals.value as i128);
            prop_assert!(totals.is_balanced());
        }
    }
}

fn queued(payment: u64) -> Entry {
    let (wanted, threshold, is_scheduled) = (Vec::new(), 1, false);
    Entry::PaymentQueued(PaymentQueued { chain: 0, payment, at: AT, wanted, threshold, is_scheduled })
}

fn signed(payment: u64, outputs: &[PaymentOutput]) -> Entry {
    let inputs = vec![OutPoint { txid: [5; 32], vout: 0 }];
    let (txid, bytes, outputs) = ([payment as u8; 32], vec![1, 2, 3], outputs.to_vec());
    Entry::PaymentSigned(Box::new(PaymentSigned { chain: 0, payment, at: AT, txid, bytes, inputs, outputs, fee: 7 }))
}

fn payment_judged(payment: u64, status: PaymentStatus) -> Entry {
    Entry::PaymentJudged(PaymentJudged { chain: 0, payment, at: AT, status })
}

#[track_caller]
fn refused(entry: Entry, expected: fn(&LedgerError) -> bool) {
    let mut fold = Fold::new();
    fold.find(found(1, 100, &[(1, 60, 50)]));
    let before = (fold.ledger.totals(), fold.account(1), fold.ledger.blocks().len());
    let error = fold.apply(&entry).unwrap_err();
    assert!(expected(&error), "{error}");
    let after = (fold.ledger.totals(), fold.account(1), fold.ledger.blocks().len());
    assert_eq!(after, before, "a refused entry changes nothing");
}

#[test]
fn what_contradicts_the_ledger_is_refused_and_changes_nothing() {
    let block = |change: fn(&mut BlockFound)| {
        let mut block = found(2, 100, &[(1, 60, 50)]);
        change(&mut block);
        Entry::BlockFound(Box::new(block))
    };
    let unbalanced = |error: &LedgerError| matches!(error, LedgerError::Unbalanced(_));
    let payment = |error: &LedgerError| matches!(error, LedgerError::Payment(_));
    refused(judged(7, BlockStatus::Accepted), |error| matches!(error, LedgerError::UnknownBlock(_)));
    refused(block(|block| block.hash = [1; 32]), |error| matches!(error, LedgerError::BlockTwice(_)));
    refused(block(|block| block.pool_amount += 1), unbalanced);
    refused(block(|block| block.outputs[0].amount += 1), unbalanced);
    refused(block(|block| block.outputs[0].miner = 2), unbalanced);
    refused(block(|block| block.outputs = vec![Payout { miner: 1, amount: 25 }; 2]), unbalanced);
    refused(block(|block| block.parts.push(block.parts[0])), unbalanced);
    refused(block(|block| block.parts[0].entitled = 101), unbalanced);
    refused(block(|block| (block.value, block.pool_amount) = (u64::MAX, u64::MAX - 50)), unbalanced);
    refused(queued(2), payment);
    refused(signed(1, &[PaymentOutput { miner: 1, amount: 10, received: 10 }]), payment);
    refused(payment_judged(1, PaymentStatus::Sent), payment);
}

#[test]
fn a_judgement_counts_once_however_often_it_is_made() {
    let mut fold = Fold::new();
    fold.find(found(1, 100, &[(1, 60, 50), (2, 30, 35)]));
    let lives = [
        (BlockStatus::Accepted, 10, 50),
        (BlockStatus::Accepted, 10, 50),
        (BlockStatus::Rejected("a".into()), 0, 0),
        (BlockStatus::Orphaned("b".into()), 0, 0),
        (BlockStatus::Rejected("c".into()), 0, 0),
        (BlockStatus::Accepted, 10, 50),
        (BlockStatus::Confirmed, 10, 50),
    ];
    for (status, balance, paid) in lives {
        fold.judge(1, status.clone());
        assert_eq!(fold.account(1), (balance, 0, paid), "{status:?}");
        assert_eq!(fold.ledger.block(&[1; 32]).unwrap().status, status);
    }
    // Who was paid more than the block gave owes the difference.
    assert_eq!(fold.account(2), (-5, 0, 35));
    assert_eq!(fold.ledger.totals(), Totals { value: 100, paid: 85, owed: 5, fees: 10, payment_fees: 0 });
    assert!(matches!(fold.apply(&judged(1, BlockStatus::Accepted)), Err(LedgerError::AfterFinal(_))));
}

#[test]
fn only_what_is_confirmed_and_not_paid_otherwise_can_be_paid_from_the_wallet() {
    let mut fold = Fold::new();
    let payable = |fold: &Fold| fold.ledger.payables().into_iter().collect::<Vec<_>>();
    fold.find(found(1, 1_000, &[(1, 600, 0), (2, 300, 0)]));
    fold.judge(1, BlockStatus::Accepted);
    assert_eq!(payable(&fold), [], "it may yet be orphaned");
    fold.judge(1, BlockStatus::Confirmed);
    assert_eq!(payable(&fold), [(1, 600), (2, 300)]);
    // A younger block pays a part of the one and owes the other more.
    fold.find(found(2, 1_000, &[(1, 0, 400), (2, 500, 0)]));
    assert_eq!(payable(&fold), [(1, 200), (2, 300)]);
    // What is on its way is not paid again; what never can arrive is.
    let outputs = [PaymentOutput { miner: 1, amount: 200, received: 190 }];
    fold.apply(&queued(1)).unwrap();
    fold.apply(&signed(1, &outputs)).unwrap();
    assert_eq!((payable(&fold), fold.account(1)), (vec![(2, 300)], (200, 200, 400)));
    assert_eq!(fold.ledger.account(1).available(), 0, "nor by the next block");
    fold.apply(&payment_judged(1, PaymentStatus::Conflicted("spent elsewhere".into()))).unwrap();
    assert_eq!(payable(&fold), [(1, 200), (2, 300)]);
    fold.apply(&queued(2)).unwrap();
    fold.apply(&signed(2, &outputs)).unwrap();
    fold.apply(&payment_judged(2, PaymentStatus::Sent)).unwrap();
    fold.apply(&payment_judged(2, PaymentStatus::Settled { height: 3, block: [3; 32] })).unwrap();
    assert_eq!((payable(&fold), fold.account(1)), (vec![(2, 300)], (0, 0, 590)));
    assert_eq!(fold.ledger.totals().payment_fees, 10);
    let payment = fold.ledger.payments()[1].signed.as_ref().unwrap();
    assert!(payment.bytes.is_empty() && payment.inputs.is_empty(), "the journal has them");
}

#[test]
fn the_parts_of_a_final_block_are_forgotten_and_its_money_is_not() {
    let mut fold = Fold::new();
    fold.find(found(1, 100, &[(1, 60, 50)]));
    fold.find(found(2, 100, &[(1, 60, 60)]));
    fold.judge(1, BlockStatus::Confirmed);
    let orphaned = BlockStatus::Orphaned("passed".into());
    fold.apply(&Entry::BlockJudged(BlockJudged { chain: 0, hash: [2; 32], at: AT, status: orphaned, is_final: true }))
        .unwrap();
    assert!(fold.ledger.blocks().iter().all(|block| block.found.parts.is_empty() && block.is_final));
    assert_eq!((fold.account(1), fold.ledger.open_blocks().count()), ((10, 0, 50), 0));
    assert_eq!(fold.ledger.blocks()[0].paid(1), 50, "what it paid is remembered");
}

#[test]
fn of_one_height_one_block_counts() {
    let mut fold = Fold::new();
    let at_height = |id: u8, paid: u64| BlockFound { height: 7, ..found(id, 100, &[(1, paid, paid)]) };
    fold.find(at_height(1, 10));
    fold.find(at_height(2, 20));
    fold.find(at_height(3, 30));
    let counted = |fold: &Fold| (fold.account(1).2, fold.ledger.totals().value);
    assert_eq!(counted(&fold), (10, 100), "the first");
    fold.judge(2, BlockStatus::Accepted);
    assert_eq!(counted(&fold), (20, 100), "the one in the chain");
    fold.judge(3, BlockStatus::Accepted);
    assert_eq!(counted(&fold), (30, 100), "the one that is there now");
    fold.judge(3, BlockStatus::Orphaned("away".into()));
    fold.judge(2, BlockStatus::Orphaned("away".into()));
    assert_eq!(counted(&fold), (10, 100));
    fold.judge(1, BlockStatus::Rejected("bad".into()));
    assert_eq!(counted(&fold), (0, 0));
    fold.judge(2, BlockStatus::Confirmed);
    assert_eq!(counted(&fold), (20, 100));
    assert!(matches!(fold.apply(&judged(3, BlockStatus::Confirmed)), Err(LedgerError::AfterFinal(_))));
}

#[test]
fn a_term_that_was_set_holds_until_the_file_says_something_else() {
    let entries = [
        set(Term::FeePpm(20_000), Term::FeePpm(10_000)),
        set(Term::FeePpm(30_000), Term::FeePpm(10_000)),
        set(Term::MinPayout(5), Term::MinPayout(100_000)),
        set(Term::PoolScript(vec![0x52]), Term::PoolScript(vec![0x51])),
    ];
    let fold = |configured: Terms| {
        let mut ledger = Ledger::new(0, configured);
        entries.iter().zip(1..).for_each(|(entry, seq)| ledger.apply(seq, entry).unwrap());
        ledger.terms().clone()
    };
    let changed = Terms { fee_ppm: 30_000, min_payout: 5, pool_script: Script::from_bytes(vec![0x52]), ..configured() };
    assert_eq!(fold(configured()), changed);
    // The operator changed the fee in the file since: that one term follows the file, the others stay set.
    assert_eq!(fold(Terms { fee_ppm: 15_000, ..configured() }), Terms { fee_ppm: 15_000, ..changed.clone() });
    assert_eq!(fold(Terms { max_outputs: 3, ..configured() }), Terms { max_outputs: 3, ..changed });
}

#[test]
fn entries_of_other_chains_change_nothing() {
    let mut ledger = Ledger::new(1, configured());
    let entries = [
        Entry::BlockFound(Box::new(found(1, 100, &[(1, 60, 50)]))),
        judged(1, BlockStatus::Accepted),
        set(Term::FeePpm(1), Term::FeePpm(10_000)),
        queued(1),
    ];
    entries.iter().zip(1..).for_each(|(entry, seq)| ledger.apply(seq, entry).unwrap());
    assert_eq!((ledger.blocks().len(), ledger.totals(), ledger.terms().fee_ppm), (0, Totals::default(), 10_000));
    assert!(ledger.payments().is_empty());
}

#[test]
fn effort_is_the_work_since_the_block_before() {
    let mut fold = Fold::new();
    for id in [3, 5, 4] {
        fold.find(found(id, 100, &[]));
    }
    let effort: Vec<u128> = fold.ledger.blocks().iter().map(|block| block.effort_work).collect();
    assert_eq!(effort, [30, 20, 0]);
}
