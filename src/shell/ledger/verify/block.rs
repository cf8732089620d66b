//! One found block by itself: its split is redone by the payout rule from the work and the balances that its entry
//! records, and those balances are looked up in the journal before it.

use crate::base::amount::{MILLION, format_signed};
use crate::coin::script::Script;
use crate::pool::record::{BlockFound, MinerId, Payout};
use crate::pool::split::{Split, redo};

use super::balances::Balances;
use super::coins;
use super::names::Names;
use super::payees::Payees;

/// Everything that is wrong with the entry, in words.
pub(super) fn check(found: &BlockFound, names: &Names, payees: &Payees, balances: &Balances) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Err(what) = found.check_sums() {
        // The rule can't be applied to what does not even add up.
        return vec![format!("it does not add up: {what}")];
    }
    for miner in found.parts.iter().map(|part| part.miner).chain([found.finder]) {
        wrong.extend(names.check_account(found.chain, miner));
    }
    if found.job_at.pool_ms > found.at.pool_ms {
        wrong.push("its job is younger than itself".into());
    }
    if found.rebuilt {
        wrong.extend(check_rebuilt(found, names));
        return wrong;
    }
    if found.fee_ppm > MILLION {
        wrong.push(format!("its fee is {} parts per million", found.fee_ppm));
        return wrong;
    }
    if names.is_node_block(found.chain) && found.max_outputs != 1 {
        wrong.push(format!("it is its node's own, and is said to have {} outputs", found.max_outputs));
    }
    if names.knows(found.chain) {
        wrong.extend(check_split(found, names, payees));
    }
    if !is_converted(found) {
        compare_balances(found, names, balances, &mut wrong);
        if names.knows(found.chain) {
            compare_left_out(found, names, payees, balances, &mut wrong);
        }
    }
    wrong
}

/// Whether the entry comes from the first format of the ledger, which knew neither the job's moment nor the order of
/// the outputs.
pub(super) fn is_converted(found: &BlockFound) -> bool {
    found.job_at == found.at
}

/// Redoes the split. Where an address was named in the millisecond of the job, the job may have been made before.
fn check_split(found: &BlockFound, names: &Names, payees: &Payees) -> Vec<String> {
    let check = |script: &dyn Fn(&[Option<&Script>]) -> Option<Script>| {
        let redone =
            redo(found, &found.parts, |part| script(&payees.at(names, found.chain, part.miner, found.job_at.pool_ms)));
        let mut wrong = Vec::new();
        compare_parts(found, &redone, names, &mut wrong);
        compare_outputs(found, &redone, names, &mut wrong);
        wrong
    };
    let wrong = check(&|scripts| scripts.first().copied().flatten().cloned());
    let is_right_before = || check(&|scripts| scripts.last().copied().flatten().cloned()).is_empty();
    if wrong.is_empty() || is_right_before() { Vec::new() } else { wrong }
}

fn compare_parts(found: &BlockFound, redone: &Split, names: &Names, wrong: &mut Vec<String>) {
    for part in &found.parts {
        let name = names.miner(found.chain, part.miner);
        match redone.parts.binary_search_by_key(&part.miner, |part| part.miner) {
            Ok(index) if redone.parts[index].entitled == part.entitled => {}
            Ok(index) => wrong.push(format!(
                "{name} is entitled to {}, and the payout rule gives {}",
                coins(part.entitled),
                coins(redone.parts[index].entitled)
            )),
            Err(_) => wrong.push(format!("{name} has a part, and neither work nor a balance that can be paid")),
        }
    }
}

fn compare_outputs(found: &BlockFound, redone: &Split, names: &Names, wrong: &mut Vec<String>) {
    let mut expected: Vec<Payout> =
        redone.paid.iter().map(|(miner, _, amount)| Payout { miner: *miner, amount: *amount }).collect();
    let mut recorded = found.outputs.clone();
    if is_converted(found) {
        expected.sort_by_key(|output| output.miner);
        recorded.sort_by_key(|output| output.miner);
    }
    let text = |output: Option<&Payout>| match output {
        None => "nobody".to_string(),
        Some(output) => format!("{} to {}", coins(output.amount), names.miner(found.chain, output.miner)),
    };
    for index in 0..recorded.len().max(expected.len()) {
        let (recorded, expected) = (recorded.get(index), expected.get(index));
        if recorded != expected {
            let (recorded, expected) = (text(recorded), text(expected));
            wrong.push(format!("output {index} pays {recorded}, and by the payout rule it is {expected}"));
        }
    }
    if found.pool_amount != redone.pool_amount {
        let (recorded, expected) = (coins(found.pool_amount), coins(redone.pool_amount));
        wrong.push(format!("the pool's output is {recorded}, and by the payout rule it is {expected}"));
    }
}

fn compare_balances(found: &BlockFound, names: &Names, balances: &Balances, wrong: &mut Vec<String>) {
    let at = |miner: MinerId| balances.at(miner, found.job_at.pool_ms);
    for part in &found.parts {
        let known = at(part.miner);
        if !known.contains(&part.balance_before) {
            wrong.push(format!(
                "{} has a balance of {} before it, and by the journal it was {}",
                names.miner(found.chain, part.miner),
                format_signed(part.balance_before),
                format_signed(known[0])
            ));
        }
    }
}

/// Who was owed enough, and had an address, has a part although it did no work.
fn compare_left_out(found: &BlockFound, names: &Names, payees: &Payees, balances: &Balances, wrong: &mut Vec<String>) {
    if found.parts.iter().all(|part| part.work == 0) {
        return;
    }
    let job_ms = found.job_at.pool_ms;
    let least = i64::try_from(found.min_payout.max(1)).unwrap_or(i64::MAX);
    let has_part = |miner: &MinerId| found.parts.binary_search_by_key(miner, |part| part.miner).is_ok();
    let is_payable =
        |miner: &MinerId| payees.at(names, found.chain, *miner, job_ms).iter().all(|script| script.is_some());
    for miner in balances.miners().filter(|miner| !has_part(miner) && is_payable(miner)) {
        if let Some(owed) = balances.at(miner, job_ms).into_iter().min().filter(|owed| *owed >= least) {
            let name = names.miner(found.chain, miner);
            wrong.push(format!("{name} was owed {} and is left out", format_signed(owed)));
        }
    }
}

/// A block that was taken from the chain's own coinbase after the ledger was lost: everybody in it is paid wholly.
fn check_rebuilt(found: &BlockFound, names: &Names) -> Vec<String> {
    let mut wrong = Vec::new();
    for part in &found.parts {
        let paid = found.outputs.iter().find(|output| output.miner == part.miner).map_or(0, |output| output.amount);
        let due = i128::from(part.entitled) + i128::from(part.balance_before);
        if part.work != 0 || part.balance_before < 0 || due != i128::from(paid) {
            let name = names.miner(found.chain, part.miner);
            wrong.push(format!("{name} is paid {} by a rebuilt block, and is due {due} base units", coins(paid)));
        }
    }
    wrong
}
