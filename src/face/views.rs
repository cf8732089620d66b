//! The pool's state as JSON. Amounts are decimal strings in whole coins, exact to the unit; difficulties,
//! hashrates and percentages are numbers for display; times are seconds since 1970.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::base::amount::{format_amount, format_percent, format_signed};
use crate::base::display_hash;
use crate::base::time::{HOUR, Now, SECOND};
use crate::coin::script::Script;
use crate::pool::Pool;
use crate::pool::chain::Chain;
use crate::pool::ledger::Block;
use crate::pool::record::{BlockStatus, MinerId, Payout};
use crate::pool::window::Row;
use crate::pool::workers::Worker;

use super::LedgerSize;

/// Difficulty units in difficulty 1.
const UNITS: f64 = 65_536.0;

/// `getpayoutinfo`: the terms, what the next block would pay, and everybody in the window.
pub fn payout_info(pool: &Pool, chain_index: usize, now: Now) -> Value {
    let chain = &pool.chains()[chain_index];
    let terms = chain.ledger.terms();
    let window = pool.window();
    let total = window.total_work();
    // A pool mines one job at a time: its split is what the next block pays, to the unit.
    let split = pool.current_job().filter(|_| chain_index == 0).map(|job| &job.split);
    let percent = |work: u64| percent_of(work, total);
    let work_of = |script: &Script| window.find(script).and_then(|row| window.row(row)).map_or(0, |row| row.work);
    let next: Vec<Value> = split.map_or(Vec::new(), |split| {
        let payout = |(_, script, amount): &(MinerId, Script, u64)| {
            json!({
                "address": chain.spec.address_text(script),
                "amount": format_amount(*amount),
                "contribution_percent": percent(work_of(script)),
            })
        };
        split.paid.iter().map(payout).collect()
    });
    let rates = rates(pool, now);
    let active: Vec<&Row> = window.iter().map(|(_, row)| row).filter(|row| row.shares > 0).collect();
    json!({
        "pool": pool.spec().name,
        "chain": chain.spec.name,
        "pool_fee_percent": format_percent(terms.fee_ppm),
        "pool_address": chain.spec.address_text(&terms.pool_script),
        "min_payout": format_amount(terms.min_payout),
        "max_outputs": terms.max_outputs,
        "payout_window_hours": pool.spec().window_ms as f64 / HOUR as f64,
        "active_miners": active.len(),
        "total_difficulty": total as f64 / UNITS,
        "total_shares": window.total_shares(),
        "block_value": split.map(|split| format_amount(split.value)),
        "next_payouts": next,
        "pool_amount": split.map(|split| format_amount(split.pool_amount)),
        "carried": split.map(|split| signed_wide(split.carried())),
        "job_age_s": pool.current_job().map(|job| now.mono_ms.saturating_sub(job.made_ms) / SECOND),
        "miners": active.iter().map(|row| miner_summary(pool, chain, row, &rates, now)).collect::<Vec<Value>>(),
    })
}

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
        "rejects": pool.rejects(),
        "miners": pool.window().iter().map(|(_, row)| miner_summary(pool, chain, row, &rates, now)).collect::<Vec<Value>>(),
    })
}

/// `getminerstats ADDRESS`: one miner with its workers and payouts. `None` for a script that never mined.
pub fn miner(pool: &Pool, script: &Script, now: Now) -> Option<Value> {
    let chain = &pool.chains()[0];
    let row = pool.window().find(script).and_then(|row| pool.window().row(row));
    let id = row.map(|row| row.miner).or_else(|| pool.miners().find(script))?;
    let rates = rates(pool, now);
    let mut stats = match row {
        Some(row) => miner_summary(pool, chain, row, &rates, now),
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
    let payouts: Vec<Value> = chain
        .ledger
        .blocks()
        .iter()
        .rev()
        .filter_map(|block| {
            let paid = Some(block.paid(id)).filter(|paid| *paid > 0)?;
            Some(json!({
                "block": display_hash(&block.found.hash),
                "height": block.found.height,
                "time": block.found.at.wall_ms / SECOND,
                "amount": format_amount(paid),
                "kind": "coinbase",
                "state": block.status.name(),
            }))
        })
        .take(100)
        .collect();
    let pending: u64 = chain
        .ledger
        .blocks()
        .iter()
        .filter(|block| block.status.is_live() && !is_mature(chain, block))
        .flat_map(|block| &block.found.outputs)
        .filter(|part| part.miner == id)
        .map(|output| output.amount)
        .sum();
    let workers = pool.workers().iter().filter(|worker| worker.miner == id);
    stats["workers"] = workers.map(|worker| worker_view(pool, chain, worker, now)).collect();
    stats["paid_total"] = format_amount(chain.ledger.account(id).paid).into();
    stats["pending"] = format_amount(pending).into();
    stats["payouts"] = payouts.into();
    Some(stats)
}

/// `getinfo`: the daemon and, for each pool, its chains and nodes.
pub fn info(pools: &[Pool], uptime_s: u64, ledger: LedgerSize, now: Now) -> Value {
    let pools: Vec<Value> = pools.iter().map(|pool| pool_info(pool, now)).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime": uptime_s,
        "time": now.wall_ms / SECOND,
        "ledger_used_bytes": ledger.used_bytes,
        "ledger_map_bytes": ledger.map_bytes,
        "pools": pools,
    })
}

/// `getblocks`: the newest `count` blocks of a chain, newest first.
pub fn blocks(pool: &Pool, chain_index: usize, count: usize) -> Value {
    let chain = &pool.chains()[chain_index];
    chain.ledger.blocks().iter().rev().take(count).map(|block| block_view(pool, chain, block)).collect()
}

/// `getbalances`: what is owed to whom, and the conservation law with its terms.
pub fn balances(pool: &Pool, chain_index: usize) -> Value {
    let chain = &pool.chains()[chain_index];
    let totals = chain.ledger.totals();
    let script = |miner| pool.miners().script(miner);
    let owed: Vec<Value> = chain
        .ledger
        .accounts()
        .filter(|(_, account)| account.balance != 0)
        .filter_map(|(miner, account)| {
            let address = chain.spec.address_text(script(miner)?);
            Some(json!({ "address": address, "balance": format_signed(account.balance) }))
        })
        .collect();
    let check = chain.ledger.check();
    json!({
        "pool": pool.spec().name,
        "chain": chain.spec.name,
        "balances": owed,
        "coinbase_total": signed_wide(totals.value as i128),
        "paid_total": signed_wide(totals.paid as i128),
        "owed_total": signed_wide(totals.owed),
        "fees_and_remainders_total": signed_wide(totals.fees as i128),
        "conserved": check.is_ok(),
        "error": check.err().map(|error| error.to_string()),
    })
}

fn pool_info(pool: &Pool, now: Now) -> Value {
    let chain = &pool.chains()[0];
    let job = pool.current_job();
    let chains: Vec<Value> = pool.chains().iter().map(|chain| chain_info(chain, now)).collect();
    let network = job
        .map(|job| job.template.target)
        .map(|target| crate::coin::difficulty::Difficulty::of_target(target, chain.spec.coin.algorithm).as_f64());
    json!({
        "name": pool.spec().name,
        "coin": chain.spec.coin.name,
        "network": chain.spec.network.name,
        "height": job.map(|job| job.template.height),
        "network_difficulty": network,
        "job_age_s": job.map(|job| now.mono_ms.saturating_sub(job.made_ms) / SECOND),
        "hashrate": hashes(chain, pool.rates().quarter.per_second(now.mono_ms)),
        "connections": pool.connections(),
        "blocks_found": chain.ledger.blocks().len(),
        "last_commit_age_s": pool.committed_ms().map(|at| now.mono_ms.saturating_sub(at) / SECOND),
        "troubles": pool.troubles(),
        "warnings": pool.warnings(now),
        "chains": chains,
    })
}

fn chain_info(chain: &Chain, now: Now) -> Value {
    let nodes: Vec<Value> = chain
        .nodes
        .iter()
        .enumerate()
        .map(|(index, node)| {
            let status = node.status(now);
            json!({
                "url": status.url,
                "state": status.state.name(),
                "in_use": chain.chosen == Some(index),
                "height": status.info.height,
                "headers": status.info.headers,
                "verification_progress": status.info.verification_progress,
                "peers": status.info.peers,
                "last_template_age_s": status.template_age_ms.map(|age| age / SECOND),
                "error": status.error,
            })
        })
        .collect();
    json!({
        "name": chain.spec.name,
        "coin": chain.spec.coin.name,
        "network": chain.spec.network.name,
        "blocks_pending": chain.ledger.open_blocks().count(),
        "payments": super::payments::wallet(chain, now),
        "nodes": nodes,
    })
}

/// Difficulty units per second of every miner that has workers, in one pass.
fn rates(pool: &Pool, now: Now) -> BTreeMap<MinerId, f64> {
    let mut rates = BTreeMap::new();
    for worker in pool.workers().iter() {
        *rates.entry(worker.miner).or_default() += worker.rates.quarter.per_second(now.mono_ms);
    }
    rates
}

fn miner_summary(pool: &Pool, chain: &Chain, row: &Row, rates: &BTreeMap<MinerId, f64>, now: Now) -> Value {
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
        "last_share_time": time_of(pool, worker.last_share_ms, now),
        "agent": worker.agent,
        "peer": worker.peer,
    })
}

fn block_view(pool: &Pool, chain: &Chain, block: &Block) -> Value {
    let found = &block.found;
    let address = |miner| pool.miners().script(miner).map(|script| chain.spec.address_text(script));
    let output = |paid: &Payout| json!({ "address": address(paid.miner), "amount": format_amount(paid.amount) });
    let mut outputs: Vec<Value> = found.outputs.iter().map(output).collect();
    if found.pool_amount > 0 {
        let script = Script::from_bytes(found.pool_script.clone());
        outputs.push(json!({
            "address": chain.spec.address_text(&script),
            "amount": format_amount(found.pool_amount),
            "pool": true,
        }));
    }
    let reason = match &block.status {
        BlockStatus::Rejected(reason) | BlockStatus::Orphaned(reason) => Some(reason),
        BlockStatus::Submitted | BlockStatus::Accepted | BlockStatus::Confirmed => None,
    };
    json!({
        "height": found.height,
        "hash": display_hash(&found.hash),
        "time": found.at.wall_ms / SECOND,
        "finder": address(found.finder),
        "worker": found.worker,
        "value": format_amount(found.value),
        "status": block.status.name(),
        "reason": reason,
        "confirmations": confirmations(chain, block),
        "effort_percent": rounded(block.effort_work as f64 / found.network_difficulty.max(1) as f64 * 100.0),
        "outputs": outputs,
    })
}

/// Blocks on top of a live one and itself, by the height that the nodes know; 0 while it is not in a chain.
fn confirmations(chain: &Chain, block: &Block) -> u32 {
    if block.status != BlockStatus::Accepted {
        return 0;
    }
    let next = chain.nodes.iter().filter_map(|node| node.ready_template()).map(|template| template.height).max();
    next.map_or(1, |next| next.saturating_sub(block.found.height).max(1))
}

fn is_mature(chain: &Chain, block: &Block) -> bool {
    confirmations(chain, block) >= chain.spec.network.maturity
}

fn hashes(chain: &Chain, units_per_second: f64) -> f64 {
    (units_per_second * chain.spec.coin.algorithm.hashes_per_unit() as f64 * 100.0).round() / 100.0
}

fn percent_of(work: u64, total: u128) -> f64 {
    if total == 0 { 0.0 } else { rounded(work as f64 / total as f64 * 100.0) }
}

fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

fn time_of(pool: &Pool, pool_ms: u64, now: Now) -> Value {
    if pool_ms == 0 { Value::Null } else { (pool.clock().wall_ms(pool_ms, now) / SECOND).into() }
}

/// Sums over many blocks, in base units, as whole coins.
fn signed_wide(units: i128) -> String {
    i64::try_from(units).map_or_else(|_| units.to_string(), format_signed)
}
