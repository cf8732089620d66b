//! The ledger as a fold, against books that are kept another way.

use proptest::prelude::*;

use super::*;

const MINERS: u32 = 5;
const AT: Stamp = Stamp { pool_ms: 1, wall_ms: 2 };

fn configured() -> Terms {
    Terms { pool_script: Script::from_bytes(vec![0x51]), fee_ppm: 10_000, min_payout: 100_000, max_outputs: 10 }
}

fn found(id: u8, value: u64, parts: &[(MinerId, u64, u64)]) -> BlockFound {
    let parts: Vec<Part> = parts
        .iter()
        .map(|(miner, entitled, paid)| Part {
            miner: *miner,
            work: 1,
            balance_before: 0,
            entitled: *entitled,
            paid: *paid,
        })
        .collect();
    BlockFound {
        chain: 0,
        hash: [id; 32],
        height: u32::from(id),
        at: AT,
        finder: 0,
        worker: String::new(),
        network_difficulty: 1,
        total_work: u128::from(id) * 10,
        value,
        fee_ppm: 0,
        min_payout: 0,
        max_outputs: 10,
        pool_script: vec![0x51],
        pool_amount: value - parts.iter().map(|part| part.paid).sum::<u64>(),
        parts,
    }
}

fn judged(id: u8, status: BlockStatus) -> Entry {
    Entry::BlockJudged(BlockJudged { chain: 0, hash: [id; 32], at: AT, status })
}

fn set(to: Term, configured: Term) -> Entry {
    Entry::TermSet(TermSet { chain: 0, at: AT, to, configured })
}

#[derive(Clone, Debug)]
enum Step {
    /// Per miner what it is entitled to and is paid, each a share of the block in 256ths.
    Find([(u8, u8); MINERS as usize]),
    Judge(prop::sample::Index, BlockStatus),
}

fn any_step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![
        2 => Just(BlockStatus::Accepted),
        1 => Just(BlockStatus::Rejected("bad".into())),
        1 => Just(BlockStatus::Orphaned("passed".into())),
    ];
    prop_oneof![
        1 => any::<[(u8, u8); MINERS as usize]>().prop_map(Step::Find),
        3 => (any::<prop::sample::Index>(), status).prop_map(|(which, status)| Step::Judge(which, status)),
    ]
}

proptest! {
    #[test]
    fn balances_are_the_sum_of_the_live_blocks(steps in prop::collection::vec(any_step(), 1..80)) {
        const VALUE: u64 = 256 * MINERS as u64 * 1_000_003;
        let mut ledger = Ledger::new(0, configured());
        let mut blocks: Vec<(BlockFound, bool)> = Vec::new();
        for step in &steps {
            let entry = match step {
                Step::Find(parts) => {
                    let parts: Vec<(MinerId, u64, u64)> = (0..MINERS).zip(parts)
                        .map(|(miner, (entitled, paid))| (miner, u64::from(*entitled) * 1_000_003, u64::from(*paid) * 1_000_003))
                        .collect();
                    let block = found(blocks.len() as u8, VALUE, &parts);
                    blocks.push((block.clone(), true));
                    Entry::BlockFound(Box::new(block))
                }
                Step::Judge(..) if blocks.is_empty() => continue,
                Step::Judge(which, status) => {
                    let at = which.index(blocks.len());
                    blocks[at].1 = matches!(status, BlockStatus::Submitted | BlockStatus::Accepted);
                    judged(at as u8, status.clone())
                }
            };
            prop_assert_eq!(ledger.apply(&entry), Ok(()));
            prop_assert_eq!(ledger.check(), Ok(()));

            let live: Vec<&BlockFound> = blocks.iter().filter(|(_, live)| *live).map(|(block, _)| block).collect();
            for miner in 0..MINERS {
                let parts = live.iter().map(|block| &block.parts[miner as usize]);
                let (mut balance, mut paid) = (0i128, 0u128);
                for part in parts {
                    balance += i128::from(part.entitled) - i128::from(part.paid);
                    paid += u128::from(part.paid);
                }
                let account = ledger.account(miner);
                prop_assert_eq!((i128::from(account.balance), u128::from(account.paid)), (balance, paid));
            }
            // The law, from the accounts and the coinbases rather than from the parts.
            let value = u128::from(VALUE) * live.len() as u128;
            let kept: u128 = live.iter().map(|block| u128::from(block.pool_amount)).sum();
            let paid: u128 = ledger.accounts().map(|(_, account)| u128::from(account.paid)).sum();
            let owed: i128 = ledger.accounts().map(|(_, account)| i128::from(account.balance)).sum();
            let totals = ledger.totals();
            prop_assert_eq!((totals.value, totals.paid, totals.owed), (value, paid, owed));
            prop_assert_eq!(paid + kept, value);
            prop_assert_eq!(paid as i128 + owed + totals.fees as i128, value as i128);
        }
        prop_assert_eq!(ledger.blocks().len(), blocks.len());
    }
}

#[track_caller]
fn refused(entry: Entry, expected: fn(&LedgerError) -> bool) {
    let mut ledger = Ledger::new(0, configured());
    ledger.apply(&Entry::BlockFound(Box::new(found(1, 100, &[(1, 60, 50)])))).unwrap();
    let before = (ledger.totals(), ledger.account(1), ledger.blocks().len());
    let error = ledger.apply(&entry).unwrap_err();
    assert!(expected(&error), "{error}");
    assert_eq!((ledger.totals(), ledger.account(1), ledger.blocks().len()), before, "a refused entry changes nothing");
    assert_eq!(ledger.check(), Ok(()));
}

#[test]
fn what_contradicts_the_ledger_is_refused_and_changes_nothing() {
    let block = |change: fn(&mut BlockFound)| {
        let mut block = found(2, 100, &[(1, 60, 50)]);
        change(&mut block);
        Entry::BlockFound(Box::new(block))
    };
    refused(judged(7, BlockStatus::Accepted), |error| matches!(error, LedgerError::UnknownBlock(_)));
    refused(block(|block| block.hash = [1; 32]), |error| matches!(error, LedgerError::BlockTwice(_)));
    refused(block(|block| block.pool_amount += 1), |error| matches!(error, LedgerError::Unbalanced(_)));
    refused(block(|block| block.parts[0].paid += 1), |error| matches!(error, LedgerError::Unbalanced(_)));
    refused(block(|block| block.parts[0].entitled = 101), |error| matches!(error, LedgerError::Unbalanced(_)));
    let immense = block(|block| (block.value, block.pool_amount) = (u64::MAX, u64::MAX - 50));
    refused(immense, |error| matches!(error, LedgerError::Unbalanced(_)));
}

#[test]
fn a_judgement_counts_once_however_often_it_is_made() {
    let mut ledger = Ledger::new(0, configured());
    ledger.apply(&Entry::BlockFound(Box::new(found(1, 100, &[(1, 60, 50), (2, 30, 35)])))).unwrap();
    let lives = [
        (BlockStatus::Accepted, 10, 50),
        (BlockStatus::Accepted, 10, 50),
        (BlockStatus::Rejected("a".into()), 0, 0),
        (BlockStatus::Orphaned("b".into()), 0, 0),
        (BlockStatus::Rejected("c".into()), 0, 0),
        (BlockStatus::Accepted, 10, 50),
    ];
    for (status, balance, paid) in lives {
        ledger.apply(&judged(1, status.clone())).unwrap();
        assert_eq!(ledger.account(1), Account { balance, paid }, "{status:?}");
        assert_eq!(ledger.block(&[1; 32]).unwrap().status, status);
        assert_eq!(ledger.check(), Ok(()));
    }
    // Who was paid more than the block gave owes the difference.
    assert_eq!(ledger.account(2), Account { balance: -5, paid: 35 });
    assert_eq!(ledger.totals(), Totals { value: 100, paid: 85, owed: 5, fees: 10 });
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
        entries.iter().for_each(|entry| ledger.apply(entry).unwrap());
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
    ledger.apply(&Entry::BlockFound(Box::new(found(1, 100, &[(1, 60, 50)])))).unwrap();
    ledger.apply(&judged(1, BlockStatus::Accepted)).unwrap();
    ledger.apply(&set(Term::FeePpm(1), Term::FeePpm(10_000))).unwrap();
    assert_eq!((ledger.blocks().len(), ledger.totals(), ledger.terms().fee_ppm), (0, Totals::default(), 10_000));
}

#[test]
fn effort_is_the_work_since_the_block_before() {
    let mut ledger = Ledger::new(0, configured());
    for id in [3, 5, 4] {
        ledger.apply(&Entry::BlockFound(Box::new(found(id, 100, &[])))).unwrap();
    }
    let effort: Vec<u128> = ledger.blocks().iter().map(|block| block.effort_work).collect();
    assert_eq!(effort, [30, 20, 0]);
}
