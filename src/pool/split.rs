//! The payout rule: how one block's value becomes outputs and balances. Exact integers, a pure function;
//! README and this file say the same thing. Never sees a template or a socket.
//!
//! With V the coinbase value, f the fee, w the work in the window and b what is owed from earlier:
//! fee = ⌊V·f/10⁶⌋, D = V − fee, eᵢ = ⌊D·wᵢ/W⌋, dueᵢ = eᵢ + bᵢ. Who is due at least the minimum payout is
//! ranked by due, then by script (a miner without one is never due); the first `max_outputs − 1` are paid, the rest is
//! carried. The pool's output takes what is left.

use std::cmp::Reverse;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::amount::MILLION;
use crate::coin::script::Script;

use super::record::{BlockFound, MinerId, Part};
use super::spec::Terms;

/// One miner's claim on the next block.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Whose.
    pub miner: MinerId,
    /// Where it is paid; `None` while that is not known, and all that is due to it is carried.
    pub script: Option<&'a Script>,
    /// Work in the window, in difficulty units.
    pub work: u64,
    /// Owed from earlier blocks, in base units; negative when a late block paid too much.
    pub balance: i64,
}

/// One block shared out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// The coinbase value, in base units.
    pub value: u64,
    /// The pool's fee, in base units.
    pub fee: u64,
    /// The pool's output: fee, remainders and what is carried; 0 when it is left out.
    pub pool_amount: u64,
    /// Paid in rank order: miner, script and amount.
    pub paid: Vec<(MinerId, Script, u64)>,
    /// Everybody that worked, is paid, or could have been.
    pub parts: Vec<Part>,
}

/// A split that does not add up: a bug, found before anybody mines on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imbalance(String);

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the payout split does not add up: {}", self.0)
    }
}

impl std::error::Error for Imbalance {}

/// Shares a block of the journal out again among `parts`, by the value and the terms that its entry has. Each is paid at
/// the script that `payee` gives.
pub fn redo(found: &BlockFound, parts: &[Part], payee: impl Fn(&Part) -> Option<Script>) -> Split {
    let scripts: Vec<Option<Script>> = parts.iter().map(payee).collect();
    let claims: Vec<Claim> = parts
        .iter()
        .zip(&scripts)
        .map(|(part, script)| Claim {
            miner: part.miner,
            script: script.as_ref(),
            work: part.work,
            balance: part.balance_before,
        })
        .collect();
    let terms = Terms {
        pool_script: Script::from_bytes(found.pool_script.clone()),
        fee_ppm: found.fee_ppm,
        min_payout: found.min_payout,
        max_outputs: found.max_outputs,
    };
    split(found.value, &terms, &claims)
}

/// Shares out `value` base units among `claims` by `terms`. The order of the claims does not matter.
pub fn split(value: u64, terms: &Terms, claims: &[Claim]) -> Split {
    let fee = portion(value, u64::from(terms.fee_ppm), u128::from(MILLION));
    let total_work: u128 = claims.iter().map(|claim| u128::from(claim.work)).sum();
    if total_work == 0 {
        return Split { value, fee, pool_amount: value, paid: Vec::new(), parts: Vec::new() };
    }
    let distributable = value - fee;
    let entitled = |claim: &Claim| portion(distributable, claim.work, total_work);
    let due = |claim: &Claim| i128::from(entitled(claim)) + i128::from(claim.balance);
    let payable = |claim: &Claim| claim.script.is_some() && due(claim) >= i128::from(terms.min_payout.max(1));

    let mut ranked: Vec<&Claim> = claims.iter().filter(|claim| payable(claim)).collect();
    ranked.sort_by_key(|claim| (Reverse(due(claim)), claim.script));
    let chosen = &ranked[..ranked.len().min(terms.max_outputs.saturating_sub(1) as usize)];

    // What the chosen earned in this block always fits; what is owed from earlier is paid while it does.
    let earned = |claim: &Claim| due(claim).min(i128::from(entitled(claim)));
    let mut left = i128::from(value) - chosen.iter().map(|claim| earned(claim)).sum::<i128>();
    let mut paid = Vec::with_capacity(chosen.len());
    for claim in chosen {
        let from_balance = (due(claim) - earned(claim)).min(left);
        left -= from_balance;
        let amount = u64::try_from(earned(claim) + from_balance).expect("between nothing and the block's value");
        if let (Some(script), 1..) = (claim.script, amount) {
            paid.push((claim.miner, script.clone(), amount));
        }
    }
    let pool_amount = u64::try_from(left).expect("what is left of the block's value");

    let mut parts: Vec<Part> = claims
        .iter()
        .filter(|claim| claim.work > 0 || payable(claim))
        .map(|claim| Part {
            miner: claim.miner,
            work: claim.work,
            balance_before: claim.balance,
            entitled: entitled(claim),
        })
        .collect();
    parts.sort_by_key(|part| part.miner);
    Split { value, fee, pool_amount, paid, parts }
}

impl Split {
    /// What the outputs pay a miner, in base units.
    pub fn paid_to(&self, miner: MinerId) -> u64 {
        self.paid.iter().find(|(paid, ..)| *paid == miner).map_or(0, |(.., amount)| *amount)
    }

    /// Checks the whole before anybody mines on it: the outputs sum to the value and each is of somebody with a
    /// part; fee and entitlements are what `terms` and the work say; nobody is paid more than is due
    /// or less than the minimum unless the value ran out; there are no more outputs than allowed.
    pub fn check(&self, terms: &Terms) -> Result<(), Imbalance> {
        let wrong = |what: String| Err(Imbalance(what));
        if u128::from(self.fee) * u128::from(MILLION) > u128::from(self.value) * u128::from(terms.fee_ppm)
            || (u128::from(self.fee) + 1) * u128::from(MILLION) <= u128::from(self.value) * u128::from(terms.fee_ppm)
        {
            return wrong(format!("the fee is {}, not {} ppm of {}", self.fee, terms.fee_ppm, self.value));
        }
        let paid: u128 = self.paid.iter().map(|(.., amount)| u128::from(*amount)).sum();
        if paid + u128::from(self.pool_amount) != u128::from(self.value) {
            return wrong(format!("paid {paid} + pool {} is not the value {}", self.pool_amount, self.value));
        }
        if self.paid.len() > terms.max_outputs.saturating_sub(1) as usize {
            return wrong(format!("{} miners are paid of {} outputs", self.paid.len(), terms.max_outputs));
        }
        if self.parts.windows(2).any(|pair| pair[0].miner >= pair[1].miner) {
            return wrong("a miner has two parts".into());
        }
        let mut miners: Vec<MinerId> = self.paid.iter().map(|(miner, ..)| *miner).collect();
        miners.sort_unstable();
        let has_part = |miner: &MinerId| self.parts.binary_search_by_key(miner, |part| part.miner).is_ok();
        if !miners.iter().all(has_part) || miners.windows(2).any(|pair| pair[0] == pair[1]) {
            return wrong("the outputs are not those of the parts".into());
        }
        let work: u128 = self.parts.iter().map(|part| u128::from(part.work)).sum();
        let (mut entitled, mut is_short) = (0u128, false);
        for part in &self.parts {
            let (distributable, due) =
                (self.value - self.fee, i128::from(part.entitled) + i128::from(part.balance_before));
            if work == 0 || part.entitled != portion(distributable, part.work, work) {
                return wrong(format!("miner {} is entitled to {} by the block", part.miner, part.entitled));
            }
            let paid = self.paid_to(part.miner);
            if paid > 0 && (i128::from(paid) > due || due < i128::from(terms.min_payout)) {
                return wrong(format!("miner {} is paid {paid}, {due} is due", part.miner));
            }
            entitled += u128::from(part.entitled);
            is_short |= paid > 0 && i128::from(paid) < due;
        }
        if entitled > u128::from(self.value - self.fee) {
            return wrong(format!("entitled {entitled} + fee {} is more than the value {}", self.fee, self.value));
        }
        if is_short && self.pool_amount > 0 {
            return wrong("somebody is paid in part although there is value left".into());
        }
        Ok(())
    }

    /// What this block adds to the sum of balances, in base units; negative when old debts are paid.
    pub fn carried(&self) -> i128 {
        let entitled: i128 = self.parts.iter().map(|part| i128::from(part.entitled)).sum();
        entitled - self.paid.iter().map(|(.., amount)| i128::from(*amount)).sum::<i128>()
    }
}

/// ⌊amount · part / whole⌋ for part ≤ whole.
fn portion(amount: u64, part: u64, whole: u128) -> u64 {
    u64::try_from(u128::from(amount) * u128::from(part) / whole).expect("a portion is no more than its whole")
}

#[cfg(test)]
mod tests;
