//! Miners and their rigs as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::base::amount::{format_amount, format_signed};
use crate::base::time::Now;
use crate::coin::script::Script;
use crate::pool::Pool;
use crate::pool::chain::Chain;
use crate::pool::payees::Contribution;
use crate::pool::record::MinerId;
use crate::pool::workers::Worker;

use super::history;
use super::params::Page;
use super::views::{UNITS, hashes, percent_of, time_of};

/// Payouts that a miner's statistics hold.
const PAYOUTS: usize = 20;

/// `getminerstats` without an address: totals and every miner, by its account with a chain.
pub fn all_miners(pool: &Pool, chain_index: usize, now: Now) -> Value {
    let chain = &pool.chains()[chain_index];
    let counts = pool.counts();
    let rates = rates(pool, chain_index, now);
    let summary = |(miner, done)| summary(pool, chain_index, miner, &done, &rates, now);
    let rate = |rate: &crate::pool::workers::Rate| hashes(chain, rate.per_second(now.mono_ms));
    json!({
        "pool": pool.spec().name,
        "chain": chain.spec.name,
        "connections": pool.connections(),
        "workers_online": pool.workers().iter().filter(|worker| worker.is_online()).count(),
        "hashrate_1m": rate(&pool.rates().minute),
        "hashrate_15m": rate(&pool.rates().quarter),
        "hashrate_24h": rate(&pool.rates().day),
        "accepted": counts.accepted,
        "rejected": counts.rejected,
        "stale": counts.stale,
        "uncredited": counts.uncredited,
        "rejects": pool.rejects(),
        "miners": pool.contributions(chain_index).into_iter().map(summary).collect::<Vec<Value>>(),
    })
}

/// `getminerstats ADDRESS`: one account of a chain with its workers and payouts there; `of_parent` is the script that was
/// asked for, as the parent chain reads it. A rig that has not found a share yet has no account, only a place for one.
/// Of the parent chain it also says what its address has on each chain that is merge-mined.
pub fn miner(pool: &Pool, chain_index: usize, miner: MinerId, of_parent: Option<&Script>, now: Now) -> Value {
    let chain = &pool.chains()[chain_index];
    let has_account = pool.miners().identity(miner).is_some();
    let of_parent = of_parent.filter(|_| chain_index == 0 || !has_account);
    let aspirants: Vec<MinerId> = of_parent.into_iter().flat_map(|script| pool.miners().all_of(script)).collect();
    let rates = rates(pool, chain_index, now);
    let done = pool.contributions(chain_index).get(&miner).copied().unwrap_or_default();
    let mut stats = summary(pool, chain_index, miner, &done, &rates, now);
    if let Some(script) = of_parent.filter(|_| !has_account) {
        stats["address"] = pool.chains()[0].spec.address_text(script).into();
    }
    let payees = payees(pool, chain_index);
    let is_of = |worker: &&Worker| {
        payees.get(&worker.miner).copied().unwrap_or(worker.miner) == miner || aspirants.contains(&worker.miner)
    };
    stats["workers"] =
        pool.workers().iter().filter(is_of).map(|worker| worker_view(pool, chain, worker, now)).collect();
    for (name, sum) in sums(chain, miner) {
        stats[name] = sum.into();
    }
    stats["payouts"] = history::payouts(pool, chain_index, Some(miner), Page { count: PAYOUTS, skip: 0 });
    if let Some(script) = of_parent.filter(|_| chain_index == 0) {
        stats["chains"] = on_children(pool, script);
    }
    stats
}

/// What an account was paid, what blocks that are not confirmed pay it, and what payments under way hold for it.
fn sums(chain: &Chain, miner: MinerId) -> [(&'static str, String); 3] {
    let account = chain.ledger.account(miner);
    let counted = chain.ledger.open_blocks().filter(|block| block.counts);
    let pending: u64 = counted.map(|block| block.paid(miner)).sum();
    [
        ("paid_total", format_amount(account.paid)),
        ("pending", format_amount(pending)),
        ("reserved", format_amount(account.reserved)),
    ]
}

/// The accounts of merge-mined chains that work under an address of the parent chain counts for: one for each address
/// that its rigs name.
fn on_children(pool: &Pool, script: &Script) -> Value {
    let view = |index: usize, miner: MinerId| {
        let chain = &pool.chains()[index];
        let mut view = json!({
            "chain": chain.spec.name,
            "address": pool.account_text(index, miner),
            "payable": pool.payout_script(index, miner).is_some(),
            "balance": format_signed(chain.ledger.account(miner).balance),
        });
        for (name, sum) in sums(chain, miner) {
            view[name] = sum.into();
        }
        view
    };
    let of_chain = |index: usize| pool.accounts_of(index, script).into_iter().map(move |miner| view(index, miner));
    (1..pool.chains().len()).flat_map(of_chain).collect()
}

/// The account of a chain that each identity in the window works for.
fn payees(pool: &Pool, chain: usize) -> BTreeMap<MinerId, MinerId> {
    pool.window().iter().filter_map(|(_, row)| Some((row.miner, *row.payees.get(chain)?))).collect()
}

/// Difficulty units per second of every account of a chain that has workers, in one pass.
pub(super) fn rates(pool: &Pool, chain: usize, now: Now) -> BTreeMap<MinerId, f64> {
    let payees = payees(pool, chain);
    let mut rates = BTreeMap::new();
    for worker in pool.workers().iter() {
        let payee = payees.get(&worker.miner).copied().unwrap_or(worker.miner);
        *rates.entry(payee).or_default() += worker.rates.quarter.per_second(now.mono_ms);
    }
    rates
}

/// One account of a chain in a list.
pub(super) fn summary(
    pool: &Pool,
    chain_index: usize,
    miner: MinerId,
    done: &Contribution,
    rates: &BTreeMap<MinerId, f64>,
    now: Now,
) -> Value {
    let chain = &pool.chains()[chain_index];
    json!({
        "address": pool.account_text(chain_index, miner),
        "payable": chain_index == 0 || pool.payout_script(chain_index, miner).is_some(),
        "total_difficulty": done.work as f64 / UNITS,
        "share_count": done.shares,
        "last_share_time": time_of(pool, done.last_share_ms, now),
        "estimated_hashrate": hashes(chain, rates.get(&miner).copied().unwrap_or(0.0)),
        "contribution_percent": percent_of(done.work, pool.window().total_work()),
        "balance": format_signed(chain.ledger.account(miner).balance),
    })
}

fn worker_view(pool: &Pool, chain: &Chain, worker: &Worker, now: Now) -> Value {
    let rate = |rate: &crate::pool::workers::Rate| hashes(chain, rate.per_second(now.mono_ms));
    json!({
        "worker": worker.name,
        "online": worker.is_online(),
        "difficulty": worker.difficulty.parse::<f64>().ok(),
        "hashrate_1m": rate(&worker.rates.minute),
        "hashrate_15m": rate(&worker.rates.quarter),
        "hashrate_24h": rate(&worker.rates.day),
        "accepted": worker.counts.accepted,
        "rejected": worker.counts.rejected,
        "stale": worker.counts.stale,
        "uncredited": worker.counts.uncredited,
        "last_share_time": time_of(pool, worker.last_share_ms, now),
        "agent": worker.agent,
        "peer": worker.peer,
    })
}
