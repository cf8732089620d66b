//! The split against an oracle written from the README's rule: no division, no sorting, one payment after
//! the other.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A claim that owns its script.
#[derive(Clone, Debug)]
struct Miner {
    id: MinerId,
    script: Script,
    work: u64,
    balance: i64,
}

fn claims(miners: &[Miner]) -> Vec<Claim<'_>> {
    miners.iter().map(|m| Claim { miner: m.id, script: Some(&m.script), work: m.work, balance: m.balance }).collect()
}

fn terms(fee_ppm: u32, min_payout: u64, max_outputs: u32) -> Terms {
    Terms { pool_script: Script::from_bytes(vec![0x51]), fee_ppm, min_payout, max_outputs }
}

/// ⌊a·b/c⌋, found bit by bit as the largest number whose product with `c` is not above `a·b`.
fn floor(a: i128, b: i128, c: i128) -> i128 {
    let mut found = 0i128;
    for bit in (0..62).rev() {
        let candidate = found + (1 << bit);
        if candidate.checked_mul(c).is_some_and(|product| product <= a * b) {
            found = candidate;
        }
    }
    found
}

/// What the rule says: payments in their order, the pool's output, new balances of everybody.
fn oracle(value: u64, terms: &Terms, miners: &[Miner]) -> (Vec<(MinerId, i128)>, i128, BTreeMap<MinerId, i128>) {
    let value = i128::from(value);
    let mut balances: BTreeMap<MinerId, i128> = miners.iter().map(|m| (m.id, i128::from(m.balance))).collect();
    let mut all_work = 0i128;
    for miner in miners {
        all_work += i128::from(miner.work);
    }
    if all_work == 0 {
        return (Vec::new(), value, balances);
    }
    let fee = floor(value, i128::from(terms.fee_ppm), 1_000_000);
    let mut entitled = BTreeMap::new();
    for miner in miners {
        let part = floor(value - fee, i128::from(miner.work), all_work);
        entitled.insert(miner.id, part);
        *balances.get_mut(&miner.id).unwrap() += part;
    }
    let mut waiting: Vec<&Miner> = miners.iter().filter(|m| balances[&m.id] >= i128::from(terms.min_payout)).collect();
    let mut chosen: Vec<&Miner> = Vec::new();
    while chosen.len() + 1 < terms.max_outputs as usize && !waiting.is_empty() {
        let mut best = 0;
        for index in 1..waiting.len() {
            let (this, that) = (waiting[index], waiting[best]);
            let (due, most) = (balances[&this.id], balances[&that.id]);
            if due > most || (due == most && this.script.as_bytes() < that.script.as_bytes()) {
                best = index;
            }
        }
        chosen.push(waiting.remove(best));
    }
    let mut left = value;
    let mut pay: BTreeMap<MinerId, i128> = BTreeMap::new();
    for miner in &chosen {
        let first = entitled[&miner.id].min(balances[&miner.id]);
        pay.insert(miner.id, first);
        left -= first;
    }
    for miner in &chosen {
        let rest = (balances[&miner.id] - pay[&miner.id]).min(left);
        *pay.get_mut(&miner.id).unwrap() += rest;
        left -= rest;
    }
    let payments: Vec<(MinerId, i128)> = chosen.iter().map(|m| (m.id, pay[&m.id])).filter(|(_, p)| *p > 0).collect();
    for (miner, amount) in &payments {
        *balances.get_mut(miner).unwrap() -= amount;
    }
    (payments, left, balances)
}

fn any_work() -> impl Strategy<Value = u64> {
    prop_oneof![3 => Just(0), 3 => Just(1_000), 3 => 1..100_000u64, 1 => 1..u64::MAX / 64]
}

fn any_balance() -> impl Strategy<Value = i64> {
    let huge = i64::MAX / 64;
    prop_oneof![4 => Just(0i64), 2 => -1_000..1_000i64, 2 => -10_000_000_000..10_000_000_000i64, 1 => -huge..huge]
}

prop_compose! {
    fn any_miners()(drawn in prop::collection::vec((any_work(), any_balance(), any::<u16>()), 0..=40)) -> Vec<Miner> {
        (0u32..).zip(drawn).map(|(id, (work, balance, salt))| {
            // Scripts are in another order than the ids.
            let script = Script::from_bytes([&salt.to_be_bytes()[..], &id.to_be_bytes()].concat());
            Miner { id, script, work, balance }
        }).collect()
    }
}

prop_compose! {
    fn any_terms()(
        fee_ppm in prop_oneof![Just(0), Just(10_000), Just(1_000_000), 0..=1_000_000u32],
        min_payout in prop_oneof![Just(0), Just(1), 0..100_000u64, Just(100_000_000), Just(u64::MAX)],
        max_outputs in 2..=12u32,
    ) -> Terms {
        terms(fee_ppm, min_payout, max_outputs)
    }
}

fn any_value() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), 0..1_000u64, 0..10_000_000_000u64, Just(u64::MAX / 4)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn the_split_is_what_the_rule_says(value in any_value(), terms in any_terms(), miners in any_miners()) {
        let split = split(value, &terms, &claims(&miners));
        let (payments, pool, balances) = oracle(value, &terms, &miners);
        let paid: Vec<(MinerId, i128)> = split.paid.iter().map(|(id, _, amount)| (*id, i128::from(*amount))).collect();
        prop_assert_eq!(paid, payments);
        prop_assert_eq!(i128::from(split.pool_amount), pool);
        prop_assert_eq!(split.check(&terms), Ok(()));
        let mut after: BTreeMap<MinerId, i128> = miners.iter().map(|m| (m.id, i128::from(m.balance))).collect();
        for part in &split.parts {
            let miner = &miners[part.miner as usize];
            prop_assert_eq!((part.work, part.balance_before), (miner.work, miner.balance));
            *after.get_mut(&part.miner).unwrap() += i128::from(part.entitled) - i128::from(split.paid_to(part.miner));
        }
        prop_assert_eq!(after, balances);
        for (id, script, amount) in &split.paid {
            prop_assert_eq!(script, &miners[*id as usize].script);
            prop_assert!(*amount >= terms.min_payout || split.pool_amount == 0, "less than the least only when V is used up");
        }
    }

    #[test]
    fn the_order_of_claims_does_not_matter(
        value in any_value(),
        terms in any_terms(),
        (miners, shuffled) in any_miners().prop_flat_map(|m| (Just(m.clone()), Just(m).prop_shuffle())),
    ) {
        prop_assert_eq!(split(value, &terms, &claims(&miners)), split(value, &terms, &claims(&shuffled)));
    }

    #[test]
    fn a_tampered_split_is_found_out(
        terms in (0..500_000u32, 0..1_000u64, 3..=12u32).prop_map(|(fee, least, outputs)| terms(fee, least, outputs)),
        miners in any_miners(),
        which in any::<prop::sample::Index>(),
        by in 1..1_000u64,
        how in 0..8,
    ) {
        let honest = split(5_000_000_000, &terms, &claims(&miners));
        prop_assume!(honest.paid.len() >= 2);
        let at = which.index(honest.paid.len());
        let other = (at + 1) % honest.paid.len();
        let by = by.min(honest.paid[at].2);
        let part = honest.parts.iter().position(|part| part.miner == honest.paid[at].0).unwrap();
        let other_part = honest.parts.iter().position(|part| part.miner == honest.paid[other].0).unwrap();
        let mut split = honest.clone();
        match how {
            0 => split.pool_amount += by,
            1 => split.fee += by,
            2 => split.value += by,
            3 => split.paid[at].2 -= by,
            4 => split.parts[part].entitled += by,
            // From one miner to another.
            5 => { split.paid[at].2 -= by; split.paid[other].2 += by; }
            6 => {
                split.parts[part].entitled += by;
                split.parts[other_part].entitled -= by.min(split.parts[other_part].entitled);
            }
            _ => { split.paid.remove(at); }
        }
        // Where the block can't pay everything owed, who gets the rest can't be told from the sums alone.
        prop_assume!(how != 5 || honest.pool_amount > 0);
        prop_assert!(split.check(&terms).is_err(), "{how}: {split:?}");
    }
}

#[track_caller]
fn case(
    value: u64,
    (fee_ppm, min_payout, max_outputs): (u32, u64, u32),
    miners: &[(u64, i64)],
    paid: &[(MinerId, u64)],
    pool: u64,
    balances: &[i64],
) {
    let miners: Vec<Miner> = (0u32..)
        .zip(miners)
        .map(|(id, (work, balance))| Miner {
            id,
            script: Script::from_bytes(vec![0, id as u8]),
            work: *work,
            balance: *balance,
        })
        .collect();
    let split = split(value, &terms(fee_ppm, min_payout, max_outputs), &claims(&miners));
    let found: Vec<(MinerId, u64)> = split.paid.iter().map(|(id, _, amount)| (*id, *amount)).collect();
    assert_eq!((found.as_slice(), split.pool_amount), (paid, pool));
    let entitled =
        |miner: &Miner| split.parts.iter().find(|part| part.miner == miner.id).map_or(0, |part| part.entitled);
    let owed = |miner: &Miner| entitled(miner) as i64 - split.paid_to(miner.id) as i64;
    let after: Vec<i64> = miners.iter().map(|miner| miner.balance + owed(miner)).collect();
    assert_eq!(after, balances);
}

#[test]
fn an_old_balance_is_paid_as_far_as_the_block_goes() {
    // 6.25 LTC and a fee of 1 % leave 6.1875 LTC for work of 4,000,300. The third miner is due 0.00046402 LTC, less
    // than the minimum of 0.001, so it is carried. The last did not work but is owed 0.5 LTC: more than is left once
    // the first two have what they earned. It gets what is left and stays owed the rest; the pool has no output.
    let terms = (10_000, 100_000, 10);
    case(
        625_000_000,
        terms,
        &[(3_000_000, 0), (1_000_000, 0), (300, 0), (0, 50_000_000)],
        &[(0, 464_027_697), (1, 154_675_899), (3, 6_296_404)],
        0,
        &[0, 0, 46_402, 43_703_596],
    );
    // Owed a tenth of it, the last is paid in full, and the pool's output takes the rest: the fee, 2 units that the
    // floors left over and the carried 46,402, less the old balance.
    case(
        625_000_000,
        terms,
        &[(3_000_000, 0), (1_000_000, 0), (300, 0), (0, 5_000_000)],
        &[(0, 464_027_697), (1, 154_675_899), (3, 5_000_000)],
        6_250_000 + 2 + 46_402 - 5_000_000,
        &[0, 0, 46_402, 0],
    );
}

#[test]
fn the_worked_example_of_the_readme_comes_out() {
    // 6.25 LTC and a fee of 1 % leave 6.1875 for work of 6,000 : 3,999 : 1. The second is also owed 0.02, the
    // third 0.0001: due 0.00071875, less than the minimum of 0.001, so it is carried. The pool's output holds the fee
    // and what is carried, less the old 0.02 that was paid.
    case(
        625_000_000,
        (10_000, 100_000, 10),
        &[(6_000, 0), (3_999, 2_000_000), (1, 10_000)],
        &[(0, 371_250_000), (1, 249_438_125)],
        4_311_875,
        &[0, 0, 71_875],
    );
}

#[test]
fn the_corners_of_the_rule_are_as_written() {
    // Nobody worked: the pool takes all, balances stay.
    case(100, (10_000, 0, 10), &[(0, 50)], &[], 100, &[50]);
    // The floors leave something over, and it stays with the pool.
    case(100, (0, 0, 10), &[(1, 0), (1, 0), (1, 0)], &[(0, 33), (1, 33), (2, 33)], 1, &[0, 0, 0]);
    // Two outputs: one miner; of equals the lower script.
    case(100, (0, 0, 2), &[(1, 0), (1, 0)], &[(0, 50)], 50, &[0, 50]);
    // Old balances beyond the block's value: what was earned now comes first, then old debts by rank.
    case(100, (0, 0, 10), &[(50, 200), (50, 300)], &[(1, 50), (0, 50)], 0, &[200, 300]);
    case(100, (500_000, 0, 10), &[(50, 30), (50, 40)], &[(1, 65), (0, 35)], 0, &[20, 0]);
    // A debt of the miner's is taken off first.
    case(100, (0, 0, 10), &[(1, -30), (1, -80)], &[(0, 20)], 80, &[0, -30]);
    // Exactly the minimum is enough; one unit less is not.
    case(100, (0, 50, 10), &[(1, 0), (1, -1)], &[(0, 50)], 50, &[0, 49]);
    // A fee of all: entitlements are nothing, old balances are paid all the same.
    case(100, (1_000_000, 10, 10), &[(1, 40), (1, 5)], &[(0, 40)], 60, &[0, 5]);
}
