//! Whom a payment from the wallet pays, and whom not and why. A pure choice: never asks a wallet.

use std::collections::BTreeSet;
use std::fmt;

use crate::base::amount::format_amount;
use crate::coin::params::Dust;
use crate::coin::script::Script;
use crate::pool::record::MinerId;

/// A miner who is owed something. Amounts in base units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub miner: MinerId,
    /// The output script; the parent chain's where none of this chain is known.
    pub script: Script,
    /// Its address on this chain; `None` where it has none, and no wallet can be asked to pay it.
    pub address: Option<String>,
    /// The whole balance.
    pub owed: u64,
    /// Of it what an earlier payment holds.
    pub reserved: u64,
    /// Of it what may be paid now.
    pub payable: u64,
}

/// One output that is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Whom it pays.
    pub miner: MinerId,
    /// The output script.
    pub script: Script,
    /// The script's address.
    pub address: String,
    /// In base units.
    pub amount: u64,
}

/// A miner who is owed something and is not paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Who.
    pub miner: MinerId,
    /// The whole balance, in base units.
    pub owed: u64,
    /// Why not.
    pub why: Reason,
}

/// Why a miner is not paid. Amounts in base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// What is owed comes from blocks that may still be orphaned.
    Immature,
    /// An earlier payment is about to pay it.
    Reserved,
    /// What may be paid is below the threshold.
    Threshold(u64),
    /// What may be paid is below what nodes relay.
    Dust(u64),
    /// The script has no address.
    NoAddress,
    /// Another account is paid at the same address, which nodes refuse to be named twice in one transaction.
    SameAddress,
    /// Larger sums fill the transaction already.
    Full(usize),
    /// The wallet has not enough for this one too.
    Funds,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Immature => f.write_str("from blocks that are not mature yet"),
            Reason::Reserved => f.write_str("in a payment that is under way"),
            Reason::Threshold(least) => write!(f, "below the threshold of {}", format_amount(*least)),
            Reason::Dust(least) => write!(f, "below {}, which nodes don't relay", format_amount(*least)),
            Reason::NoAddress => f.write_str("no address is known that the wallet could pay"),
            Reason::SameAddress => f.write_str("a larger sum to the same address goes first"),
            Reason::Full(most) => write!(f, "{most} larger sums go first"),
            Reason::Funds => f.write_str("the wallet has not enough for it"),
        }
    }
}

/// What bounds a payment.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Nobody is paid less, in base units.
    pub threshold: u64,
    /// The coin's rule.
    pub dust: Dust,
    /// Outputs at most.
    pub max_outputs: usize,
    /// What the outputs may sum to, in base units.
    pub funds: u64,
}

/// What a payment would pay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order of the transaction's outputs.
    pub outputs: Vec<Planned>,
    /// The others who are owed something.
    pub left_out: Vec<LeftOut>,
}

impl Plan {
    /// Chooses the largest sums first, of equal ones the lower script, as long as there is room and money;
    /// where a sum is more than is left, a smaller one after it may still be paid.
    pub fn choose(mut candidates: Vec<Candidate>, bounds: &Bounds) -> Plan {
        candidates.sort_by(|a, b| b.payable.cmp(&a.payable).then_with(|| a.script.cmp(&b.script)));
        let mut plan = Plan::default();
        let mut funds = bounds.funds;
        let mut taken = BTreeSet::new();
        for candidate in candidates {
            let Candidate { miner, script, address, owed, reserved, payable } = candidate;
            let dust = bounds.dust.least(&script);
            let why = match address {
                _ if payable == 0 && reserved >= owed => Reason::Reserved,
                _ if payable == 0 => Reason::Immature,
                _ if payable < bounds.threshold => Reason::Threshold(bounds.threshold),
                _ if payable < dust => Reason::Dust(dust),
                None => Reason::NoAddress,
                Some(address) if taken.contains(&address) => Reason::SameAddress,
                Some(_) if plan.outputs.len() >= bounds.max_outputs => Reason::Full(bounds.max_outputs),
                Some(_) if payable > funds => Reason::Funds,
                Some(address) => {
                    funds -= payable;
                    taken.insert(address.clone());
                    plan.outputs.push(Planned { miner, script, address, amount: payable });
                    continue;
                }
            };
            plan.left_out.push(LeftOut { miner, owed, why });
        }
        plan
    }

    /// What the outputs sum to, in base units.
    pub fn total(&self) -> u64 {
        self.outputs.iter().map(|output| output.amount).sum()
    }

    /// Whether somebody would be paid if the wallet had more.
    pub fn lacks_funds(&self) -> bool {
        self.left_out.iter().any(|left_out| left_out.why == Reason::Funds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(miner: MinerId, owed: u64, payable: u64) -> Candidate {
        let script = Script::p2pkh(&[miner as u8; 20]);
        Candidate { miner, script, address: Some(format!("a{miner}")), owed, reserved: 0, payable }
    }

    const BOUNDS: Bounds = Bounds { threshold: 100, dust: Dust::Flat(50), max_outputs: 3, funds: 10_000 };

    #[track_caller]
    fn case(candidates: &[Candidate], bounds: &Bounds, paid: &[(MinerId, u64)], left_out: &[(MinerId, Reason)]) {
        let mut shuffled = candidates.to_vec();
        shuffled.reverse();
        let plan = Plan::choose(shuffled, bounds);
        assert_eq!(plan, Plan::choose(candidates.to_vec(), bounds));
        assert_eq!(plan.outputs.iter().map(|out| (out.miner, out.amount)).collect::<Vec<_>>(), paid);
        assert_eq!(plan.left_out.iter().map(|out| (out.miner, out.why)).collect::<Vec<_>>(), left_out);
        assert_eq!(plan.total(), paid.iter().map(|(_, amount)| amount).sum::<u64>());
    }

    #[test]
    fn the_largest_are_paid_first_and_ties_go_to_the_lower_script() {
        let all = [candidate(4, 200, 200), candidate(2, 200, 200), candidate(1, 900, 300), candidate(3, 500, 500)];
        case(&all, &BOUNDS, &[(3, 500), (1, 300), (2, 200)], &[(4, Reason::Full(3))]);
    }

    #[test]
    fn whoever_is_left_out_is_told_why() {
        let reserved = Candidate { reserved: 400, ..candidate(5, 400, 0) };
        let nowhere = Candidate { address: None, ..candidate(6, 400, 400) };
        let all = [candidate(1, 99, 99), candidate(2, 100, 100), candidate(3, 700, 0), reserved, nowhere];
        let left_out =
            [(6, Reason::NoAddress), (1, Reason::Threshold(100)), (3, Reason::Immature), (5, Reason::Reserved)];
        case(&all, &BOUNDS, &[(2, 100)], &left_out);
        let dusty = Bounds { threshold: 0, ..BOUNDS };
        case(&[candidate(1, 49, 49), candidate(2, 50, 50)], &dusty, &[(2, 50)], &[(1, Reason::Dust(50))]);
    }

    #[test]
    fn two_accounts_of_one_address_are_paid_one_after_the_other() {
        let same = |miner, owed| Candidate {
            script: Script::p2pkh(&[9; 20]),
            address: Some("a9".into()),
            ..candidate(miner, owed, owed)
        };
        let all = [same(1, 300), same(2, 500), candidate(3, 400, 400)];
        case(&all, &BOUNDS, &[(2, 500), (3, 400)], &[(1, Reason::SameAddress)]);
    }

    #[test]
    fn a_short_wallet_pays_fewer_and_never_more_than_it_has() {
        let all = [candidate(1, 700, 700), candidate(2, 600, 600), candidate(3, 300, 300)];
        let short = |funds| Bounds { funds, ..BOUNDS };
        case(&all, &short(1_600), &[(1, 700), (2, 600), (3, 300)], &[]);
        case(&all, &short(1_599), &[(1, 700), (2, 600)], &[(3, Reason::Funds)]);
        case(&all, &short(1_000), &[(1, 700), (3, 300)], &[(2, Reason::Funds)]);
        case(&all, &short(0), &[], &[(1, Reason::Funds), (2, Reason::Funds), (3, Reason::Funds)]);
        assert!(Plan::choose(all.to_vec(), &short(0)).lacks_funds());
        assert!(!Plan::choose(all.to_vec(), &BOUNDS).lacks_funds());
    }
}
