//! The pool's state as JSON. Amounts are decimal strings in whole coins, exact to the unit; difficulties,
//! hashrates and percentages are numbers for display; times are seconds since 1970.

use serde_json::{Value, json};

use crate::base::amount::{format_amount, format_percent, format_signed};
use crate::base::time::{HOUR, Now, SECOND};
use crate::coin::difficulty::Difficulty;
use crate::coin::params::AuxWork;
use crate::coin::script::Script;
use crate::coin::template::Template;
use crate::pool::Pool;
use crate::pool::chain::Chain;
use crate::pool::firmware::CoinbaseClass;
use crate::pool::guard::Ban;
use crate::pool::job::Job;
use crate::pool::record::{MinerId, Stamp};

use super::LedgerSize;
use super::miners::{self, rates};

/// Difficulty units in difficulty 1.
pub(super) const UNITS: f64 = 65_536.0;

/// `getpayoutinfo`: the terms, what the next block would pay, and everybody in the window.
pub fn payout_info(pool: &Pool, chain_index: usize, now: Now) -> Value {
    let chain = &pool.chains()[chain_index];
    let terms = chain.ledger.terms();
    let window = pool.window();
    let total = window.total_work();
    // A pool mines one job at a time: its splits are what the next block pays, to the unit, by the coinbase that most
    // rigs are sent; and the next blocks of merge-mined chains, by their own.
    let job = pool.current_job().filter(|_| chain_index == 0);
    let class = pool.usual_class();
    let of_child = || pool.current_job()?.children.of(chain_index).map(|child| &child.split);
    let split = job.map(|job| &job.coinbases.of(class).split).or_else(of_child);
    let contributions = pool.contributions(chain_index);
    let next: Vec<Value> = split.map_or(Vec::new(), |split| {
        let payout = |(miner, script, amount): &(MinerId, Script, u64)| {
            json!({
                "address": chain.spec.address_text(script),
                "amount": format_amount(*amount),
                "contribution_percent": percent_of(contributions.get(miner).map_or(0, |done| done.work), total),
            })
        };
        split.paid.iter().map(payout).collect()
    });
    let rates = rates(pool, chain_index, now);
    let summary = |(miner, done)| miners::summary(pool, chain_index, miner, &done, &rates, now);
    let active: Vec<Value> = contributions.into_iter().filter(|(_, done)| done.shares > 0).map(summary).collect();
    json!({
        "pool": pool.spec().name,
        "chain": chain.spec.name,
        "mined_by": mined_by(chain_index, chain),
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
        "coinbase_bytes": job.map(|_| class.bytes()),
        "coinbases": job.map(|job| coinbases(pool, job)),
        "job_age_s": pool.current_job().map(|job| job.age_ms(now.mono_ms) / SECOND),
        "miners": active,
    })
}

/// The coinbase of each class of firmware: what it may hold, how many it pays, and how many rigs are sent it.
fn coinbases(pool: &Pool, job: &Job) -> Vec<Value> {
    let connections = pool.connections_by_class();
    let view = |class: CoinbaseClass| {
        let split = &job.coinbases.of(class).split;
        json!({
            "coinbase_bytes": class.bytes(),
            "outputs": split.paid.len() + usize::from(split.pool_amount > 0),
            "connections": connections[class.index()],
        })
    };
    CoinbaseClass::all().map(view).collect()
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

fn pool_info(pool: &Pool, now: Now) -> Value {
    let chain = &pool.chains()[0];
    let job = pool.current_job();
    let chains: Vec<Value> = (0..pool.chains().len()).map(|index| chain_info(pool, index, now)).collect();
    json!({
        "name": pool.spec().name,
        "coin": chain.spec.coin.name,
        "network": chain.spec.network.name,
        "height": job.map(|job| job.template.height),
        "network_difficulty": job.map(|job| difficulty(pool, &job.template)),
        "job_age_s": job.map(|job| job.age_ms(now.mono_ms) / SECOND),
        "hashrate": hashes(chain, pool.rates().quarter.per_second(now.mono_ms)),
        "connections": pool.connections(),
        "banned": pool.bans(now).count(),
        "turned_away": turned_away(pool),
        "blocks_found": chain.ledger.blocks().len(),
        "last_commit_age_s": pool.committed_ms().map(|at| now.mono_ms.saturating_sub(at) / SECOND),
        "troubles": pool.troubles(),
        "warnings": pool.warnings(now),
        "chains": chains,
    })
}

/// Connections and usernames that were refused since start, by reason.
fn turned_away(pool: &Pool) -> Value {
    let turned_away = pool.turned_away();
    json!({
        "full": turned_away.full,
        "crowded": turned_away.crowded,
        "banned": turned_away.banned,
        "unauthorized": turned_away.unauthorized,
    })
}

/// `listbanned`: whom the pool keeps out, and for how long.
pub fn bans(pool: &Pool, now: Now) -> Value {
    let view =
        |ban: Ban| json!({ "address": ban.origin.to_string(), "username": ban.username, "seconds_left": ban.seconds });
    pool.bans(now).map(view).collect()
}

/// What a chain is mined with: the template of its block in the job that rigs work on; or, where it is left out, the
/// one of the node in use.
pub(super) fn template(pool: &Pool, index: usize) -> Option<&Template> {
    let job = pool.current_job();
    if index == 0 {
        return job.map(|job| &*job.template);
    }
    let of_job = job.and_then(|job| job.children.of(index)).map(|child| &*child.template);
    let chain = &pool.chains()[index];
    of_job.or_else(|| chain.nodes[chain.chosen?].ready_template().map(|template| &**template))
}

/// The network's difficulty as the rigs of a pool count.
pub(super) fn difficulty(pool: &Pool, template: &Template) -> f64 {
    Difficulty::of_target(template.target, pool.chains()[0].spec.coin.algorithm).as_f64()
}

/// How blocks of a chain come to be.
pub(super) fn mined_by(index: usize, chain: &Chain) -> &'static str {
    match chain.spec.coin.auxpow.map(|auxpow| auxpow.work).filter(|_| index > 0) {
        None => "parent",
        Some(AuxWork::Template) => "template",
        Some(AuxWork::NodeBlock) => "node block",
    }
}

fn chain_info(pool: &Pool, index: usize, now: Now) -> Value {
    let chain = &pool.chains()[index];
    let template = template(pool, index);
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
        "chain_id": chain.spec.coin.auxpow.map(|auxpow| auxpow.chain_id),
        "mined_by": mined_by(index, chain),
        "mine": chain.spec.mine,
        "mined": is_mined(pool, index),
        "height": template.map(|template| template.height),
        "network_difficulty": template.map(|template| difficulty(pool, template)),
        "blocks_found": chain.ledger.blocks().len(),
        "blocks_pending": chain.ledger.open_blocks().count(),
        "payments": super::payments::wallet(chain, now),
        "warnings": pool.chain_warnings(index, now),
        "nodes": nodes,
    })
}

/// Whether the job that rigs work on may find a block of a chain.
pub(super) fn is_mined(pool: &Pool, index: usize) -> bool {
    pool.current_job().is_some_and(|job| index == 0 || job.children.of(index).is_some())
}

/// Hashes per second, to two decimals.
pub(super) fn hashes(chain: &Chain, units_per_second: f64) -> f64 {
    (units_per_second * chain.spec.coin.algorithm.hashes_per_unit() as f64 * 100.0).round() / 100.0
}

/// A part of the work in percent.
pub(super) fn percent_of(work: u64, total: u128) -> f64 {
    if total == 0 { 0.0 } else { rounded(work as f64 / total as f64 * 100.0) }
}

/// For display: to four decimals.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

/// A moment of this run or an earlier one by the clock as it stands now; null for none.
pub(super) fn time_of(pool: &Pool, pool_ms: u64, now: Now) -> Value {
    if pool_ms == 0 { Value::Null } else { (pool.clock().wall_ms(pool_ms, now) / SECOND).into() }
}

/// An account's address on its chain, or on the parent chain where it has none there.
pub(super) fn address_of(pool: &Pool, chain: &Chain, miner: MinerId) -> Option<String> {
    pool.account_text(usize::from(chain.ledger.chain()), miner)
}

/// The same as it was at an earlier moment.
pub(super) fn address_at(pool: &Pool, chain: &Chain, miner: MinerId, at: Stamp) -> Option<String> {
    pool.account_text_at(usize::from(chain.ledger.chain()), miner, at.pool_ms)
}

/// A moment as it was known when it was written.
pub(super) fn seconds(at: Stamp) -> u64 {
    at.wall_ms / SECOND
}

/// Sums over many blocks, in base units, as whole coins.
pub(super) fn signed_wide(units: i128) -> String {
    i64::try_from(units).map_or_else(|_| units.to_string(), format_signed)
}
