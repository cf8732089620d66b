//! Miners and their rigs as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::base::amount::{format_amount, format_signed};
use crate::base::time::Now;
use crate::coin::script::Script;
use crate::pool::Pool;
use crate::pool::chain::Chain;
use crate::pool::record::MinerId;
use crate::pool::window::Row;
use crate::pool::workers::Worker;

use super::history;
use super::params::Page;
use super::views::{UNITS, hashes, percent_of, time_of};

/// Payouts that a miner's statistics hold.
const PAYOUTS: usize = 20;

/// `getminerstats` without an address: totals and every miner.
pub fn all_miners(pool: &Pool, now: Now) -> Value {
    let chain = &pool.chains()[0];
    let counts = pool.counts();
    let rates = rates(pool, now);
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
        "miners": pool.window().iter().map(|(_, row)| summary(pool, chain, row, &rates, now)).collect::<Vec<Value>>(),
    })
}

/// `getminerstats ADDRESS`: one miner with its workers and payouts. `None` for a script that never mined.
pub fn miner(pool: &Pool, script: &Script, now: Now) -> Option<Value> {
    let chain = &pool.chains()[0];
    let row = pool.window().find(script).and_then(|row| pool.window().row(row));
    let id = row.map(|row| row.miner).or_else(|| pool.miners().find_any(script))?;
    let rates = rates(pool, now);
    let mut stats = match row {
        Some(row) => summary(pool, chain, row, &rates, now),
        None => json!({
            "address": chain.spec.address_text(script),
            "total_difficulty": 0.0,
            "share_count": 0,
            "last_share_time": null,
            "estimated_hashrate": 0.0,
            "contribution_percent": 0.0,
            "balance": format_signed(chain.ledger.account(id).balance),
        }),
    };
    let account = chain.ledger.account(id);
    let counted = chain.ledger.open_blocks().filter(|block| block.counts);
    let pending: u64 = counted.map(|block| block.paid(id)).sum();
    let workers = pool.workers().iter().filter(|worker| worker.miner == id);
    stats["workers"] = workers.map(|worker| worker_view(pool, chain, worker, now)).collect();
    stats["paid_total"] = format_amount(account.paid).into();
    stats["pending"] = format_amount(pending).into();
    stats["reserved"] = format_amount(account.reserved).into();
    stats["payouts"] = history::payouts(pool, 0, Some(id), Page { count: PAYOUTS, skip: 0 });
    Some(stats)
}

/// Difficulty units per second of every miner that has workers, in one pass.
pub(super) fn rates(pool: &Pool, now: Now) -> BTreeMap<MinerId, f64> {
    let mut rates = BTreeMap::new();
    for worker in pool.workers().iter() {
        *rates.entry(worker.miner).or_default() += worker.rates.quarter.per_second(now.mono_ms);
    }
    rates
}

/// One miner in a list.
pub(super) fn summary(pool: &Pool, chain: &Chain, row: &Row, rates: &BTreeMap<MinerId, f64>, now: Now) -> Value {
    let rate = rates.get(&row.miner).copied().unwrap_or(0.0);
    json!({
        "address": chain.spec.address_text(&row.script),
        "total_difficulty": row.work as f64 / UNITS,
        "share_count": row.shares,
        "last_share_time": time_of(pool, row.last_share_ms, now),
        "estimated_hashrate": hashes(chain, rate),
        "contribution_percent": percent_of(row.work, pool.window().total_work()),
        "balance": format_signed(chain.ledger.account(row.miner).balance),
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
