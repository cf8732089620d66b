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

/// `getminerstats ADDRESS`: one miner of a chain with its workers and payouts there. `None` for a script that never
/// mined.
pub fn miner(pool: &Pool, chain_index: usize, script: &Script, now: Now) -> Option<Value> {
    let chain = &pool.chains()[chain_index];
    // A rig that has not found a share yet has no account, only a place for one.
    let aspirants: Vec<MinerId> = pool.miners().all_of(script).filter(|_| chain_index == 0).collect();
    let account_id = pool.account_of(chain_index, script);
    let miner = account_id.or_else(|| aspirants.first().copied())?;
    let rates = rates(pool, chain_index, now);
    let done = pool.contributions(chain_index).get(&miner).copied().unwrap_or_default();
    let mut stats = summary(pool, chain_index, miner, &done, &rates, now);
    stats["address"] = chain.spec.address_text(script).into();
    let account = chain.ledger.account(miner);
    let counted = chain.ledger.open_blocks().filter(|block| block.counts);
    let pending: u64 = counted.map(|block| block.paid(miner)).sum();
    let payees = payees(pool, chain_index);
    let is_of = |worker: &&Worker| {
        payees.get(&worker.miner).copied().unwrap_or(worker.miner) == miner || aspirants.contains(&worker.miner)
    };
    stats["workers"] =
        pool.workers().iter().filter(is_of).map(|worker| worker_view(pool, chain, worker, now)).collect();
    stats["paid_total"] = format_amount(account.paid).into();
    stats["pending"] = format_amount(pending).into();
    stats["reserved"] = format_amount(account.reserved).into();
    stats["payouts"] = history::payouts(pool, chain_index, Some(miner), Page { count: PAYOUTS, skip: 0 });
    Some(stats)
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
