//! The payout rule as its text says, written a second time and naively: nothing here is the pool's code.

use std::collections::BTreeMap;

use edgepool::pool::record::MinerId;

/// One account's claim.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Where it is paid; nobody knows where the nameless are.
    pub script: Option<Vec<u8>>,
    pub work: u64,
    pub balance: i128,
}

/// What a block brings.
#[derive(Debug, Default, PartialEq)]
pub struct Shares {
    pub entitled: BTreeMap<MinerId, u64>,
    /// In the order of the outputs.
    pub paid: Vec<(MinerId, u64)>,
    pub pool: u64,
}

pub fn share_out(
    value: u64,
    fee_ppm: u32,
    min_payout: u64,
    max_outputs: u32,
    claims: &BTreeMap<MinerId, Claim>,
) -> Shares {
    let value_wide = i128::from(value);
    let fee = value_wide * i128::from(fee_ppm) / 1_000_000;
    let all_work: i128 = claims.values().map(|claim| i128::from(claim.work)).sum();
    let mut shares = Shares::default();
    if all_work == 0 {
        shares.pool = value;
        return shares;
    }
    // By what is due, then by script; two accounts may be paid at one.
    let mut ranking: Vec<(i128, &[u8], MinerId, i128)> = Vec::new();
    for (miner, claim) in claims {
        let entitled = (value_wide - fee) * i128::from(claim.work) / all_work;
        shares.entitled.insert(*miner, entitled as u64);
        let due = entitled + claim.balance;
        if let Some(script) = claim.script.as_ref().filter(|_| due >= i128::from(min_payout) && due > 0) {
            ranking.push((-due, script, *miner, entitled));
        }
    }
    ranking.sort();
    ranking.truncate(max_outputs as usize - 1);
    let mut amounts: Vec<i128> = ranking.iter().map(|(debt, .., entitled)| (-debt).min(*entitled)).collect();
    let mut left = value_wide - amounts.iter().sum::<i128>();
    for (amount, (debt, ..)) in amounts.iter_mut().zip(&ranking) {
        let older = (-debt - *amount).min(left);
        *amount += older;
        left -= older;
    }
    let paid = ranking.iter().zip(amounts).filter(|(_, amount)| *amount > 0);
    shares.paid = paid.map(|((_, _, miner, _), amount)| (*miner, amount as u64)).collect();
    shares.pool = left as u64;
    shares
}
