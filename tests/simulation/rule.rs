//! The payout rule as its text says, written a second time and naively: nothing here is the pool's code.

use std::collections::BTreeMap;

/// One miner's claim.
#[derive(Clone, Debug)]
pub struct Claim {
    pub script: Vec<u8>,
    pub work: u64,
    pub balance: i128,
}

/// What a block brings, by script.
#[derive(Debug, Default, PartialEq)]
pub struct Shares {
    pub entitled: BTreeMap<Vec<u8>, u64>,
    /// In the order of the outputs.
    pub paid: Vec<(Vec<u8>, u64)>,
    pub pool: u64,
}

pub fn share_out(value: u64, fee_ppm: u32, min_payout: u64, max_outputs: u32, claims: &[Claim]) -> Shares {
    let value_wide = i128::from(value);
    let fee = value_wide * i128::from(fee_ppm) / 1_000_000;
    let all_work: i128 = claims.iter().map(|claim| i128::from(claim.work)).sum();
    let mut shares = Shares::default();
    if all_work == 0 {
        shares.pool = value;
        return shares;
    }
    let mut ranking: Vec<(i128, &[u8], i128)> = Vec::new();
    for claim in claims {
        let entitled = (value_wide - fee) * i128::from(claim.work) / all_work;
        shares.entitled.insert(claim.script.clone(), entitled as u64);
        let due = entitled + claim.balance;
        if due >= i128::from(min_payout) && due > 0 {
            ranking.push((-due, &claim.script, entitled));
        }
    }
    ranking.sort();
    ranking.truncate(max_outputs as usize - 1);
    let mut amounts: Vec<i128> = ranking.iter().map(|(debt, _, entitled)| (-debt).min(*entitled)).collect();
    let mut left = value_wide - amounts.iter().sum::<i128>();
    for (amount, (debt, ..)) in amounts.iter_mut().zip(&ranking) {
        let older = (-debt - *amount).min(left);
        *amount += older;
        left -= older;
    }
    let paid = ranking.iter().zip(amounts).filter(|(_, amount)| *amount > 0);
    shares.paid = paid.map(|((_, script, _), amount)| (script.to_vec(), amount as u64)).collect();
    shares.pool = left as u64;
    shares
}
