//! The JSON-RPC methods: one table for dispatch and help, and those that only read.

mod change;
mod named;

use serde_json::{Value, json};

use crate::wire::jsonrpc::{METHOD_NOT_FOUND, NOT_AUTHORISED, RpcError};

use super::params::{Params, invalid};
use super::proof::{self, BlockName};
use super::{Site, addresses, balances, blocks, history, miners, payments, views};
use named::{known_miner, script, select};

/// No such address or block.
pub const NOT_FOUND: i64 = -8;
/// The change is in force but could not be written.
pub const NOT_DURABLE: i64 = -20;

/// The ledger's file can't be read.
pub const INTERNAL: i64 = -32603;
/// Nothing can be paid now.
pub const NO_PAYMENT: i64 = -4;

/// Blocks that `getblocks`, and payments that `getpayments`, answers unless told.
const DEFAULT_BLOCKS: usize = 20;
/// Blocks or payments that they answer at most.
const MOST_BLOCKS: usize = 1_000;
/// Lines that a list of miners or payouts has at most: all answers fit what may wait for a client.
const MOST_LINES: usize = 5_000;
/// Payouts that `getpayouthistory` answers unless told.
const DEFAULT_PAYOUTS: usize = 100;

/// One method.
pub struct Method {
    /// As it is called.
    pub name: &'static str,
    /// Its parameters, for help.
    pub parameters: &'static str,
    /// What it answers or does, for help.
    pub about: &'static str,
    /// Whether it needs the admin token.
    pub admin: bool,
    run: fn(&mut Site, Params) -> Result<Value, RpcError>,
}

macro_rules! method {
    ($name:literal, $parameters:literal, $admin:literal, $run:path, $about:literal) => {
        Method { name: $name, parameters: $parameters, about: $about, admin: $admin, run: $run }
    };
}

/// Every method. Each takes `pool` and `chain` by name where several run.
pub static METHODS: &[Method] = &[
    method!("getinfo", "", false, get_info, "The daemon, its pools, their nodes and the ledger's size."),
    method!(
        "getpayoutinfo",
        "",
        false,
        get_payout_info,
        "The terms, what the next block would pay, and every contribution."
    ),
    method!(
        "getminerstats",
        "[address]",
        false,
        get_miner_stats,
        "One miner with its workers and payouts, or all miners."
    ),
    method!(
        "getblocks",
        "[count] [skip]",
        false,
        get_blocks,
        "Found blocks, newest first, with status, effort and outputs."
    ),
    method!(
        "getbalances",
        "[count] [skip]",
        false,
        get_balances,
        "What is owed to whom, and the conservation check with its terms."
    ),
    method!(
        "getpayouthistory",
        "[address] [count] [skip]",
        false,
        get_payout_history,
        "Every payment, by coinbase or wallet, newest first."
    ),
    method!(
        "getpayoutproof",
        "height|hash [count] [skip]",
        false,
        get_payout_proof,
        "Everything that a found block's split was made of, to redo it by hand."
    ),
    method!(
        "gethistory",
        "[address] [hours]",
        false,
        get_history,
        "Points for graphs over the window: time, hashrate, accepted shares, miners."
    ),
    method!(
        "validateaddress",
        "address",
        false,
        validate_address,
        "Whether an address can be paid, its type and script, and what it stands for on the other chains; or why not."
    ),
    method!("listpools", "", false, list_pools, "The pools and their chains."),
    method!("setpoolfee", "percent", true, change::set_pool_fee, "Changes the pool's fee from the next job on."),
    method!(
        "setpooladdress",
        "address",
        true,
        change::set_pool_address,
        "Changes the pool's own address from the next job on."
    ),
    method!("setminpayout", "amount", true, change::set_min_payout, "Changes the minimum payout from the next job on."),
    method!(
        "setmineraddress",
        "address child_address",
        true,
        change::set_miner_address,
        "Names where a miner is paid on a merge-mined {\"chain\"} for which its address has no counterpart."
    ),
    method!(
        "paybalances",
        "[address…]",
        true,
        change::pay_balances,
        "Queues a payment from the wallet to all who are owed the threshold, or to these; {\"dry_run\": true} only tells."
    ),
    method!(
        "cancelpayment",
        "payment",
        true,
        change::cancel_payment,
        "Gives up a payment that is queued and not signed yet."
    ),
    method!(
        "getpayments",
        "[count]",
        false,
        get_payments,
        "Payments from the wallet, newest first, with their states."
    ),
    method!(
        "showmessage",
        "text [address]",
        true,
        change::show_message,
        "Shows a text of up to 120 characters on all rigs, or on one address's; says how many were told."
    ),
    method!(
        "reconnectminers",
        "[address]",
        true,
        change::reconnect_miners,
        "Asks all rigs, or one address's, to connect again; says how many were asked."
    ),
    method!(
        "listbanned",
        "",
        false,
        list_banned,
        "Addresses, or usernames of an address, that are kept out for floods of invalid shares, and how long still."
    ),
    method!("unban", "[ip]", true, change::unban, "Lifts the bans of an IP address, or all; says how many there were."),
    method!("uptime", "", false, uptime, "Seconds since the daemon started."),
    method!("help", "[method]", false, help, "This list, or one method."),
    method!("stop", "", true, change::stop, "Commits and stops the daemon."),
];

/// Runs one call.
pub fn call(site: &mut Site, method: &str, params: Value) -> Result<Value, RpcError> {
    let Some(entry) = METHODS.iter().find(|entry| entry.name == method) else {
        return Err(error(METHOD_NOT_FOUND, format!("no such method: {method}; see help")));
    };
    if entry.admin && !site.is_admin {
        return Err(error(NOT_AUTHORISED, format!("{method} needs the header \"Authorization: Bearer TOKEN\"")));
    }
    (entry.run)(site, Params::read(params)?)
}

fn get_info(site: &mut Site, params: Params) -> Result<Value, RpcError> {
    params.finish(0)?;
    Ok(views::info(site.pools, site.uptime_s(), site.ledger, site.now))
}

fn get_payout_info(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, chain) = select(site, &mut params)?;
    params.finish(0)?;
    Ok(views::payout_info(&site.pools[pool], chain, site.now))
}

fn get_miner_stats(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, chain) = select(site, &mut params)?;
    let text = params.optional_text(0, "address")?;
    params.finish(1)?;
    let pool = &site.pools[pool];
    let Some(text) = text else { return Ok(miners::all_miners(pool, chain, site.now)) };
    let miner = known_miner(pool, chain, &text)?;
    let of_parent = script(&pool.chains()[0].spec, &text).ok();
    Ok(miners::miner(pool, chain, miner, of_parent.as_ref(), site.now))
}

fn get_blocks(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, chain) = select(site, &mut params)?;
    let page = params.page(0, DEFAULT_BLOCKS, MOST_BLOCKS)?;
    params.finish(2)?;
    Ok(blocks::blocks(&site.pools[pool], chain, page))
}

fn get_balances(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, chain) = select(site, &mut params)?;
    let page = params.page(0, MOST_LINES, MOST_LINES)?;
    params.finish(2)?;
    Ok(balances::balances(&site.pools[pool], chain, page))
}

fn get_payout_history(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, chain) = select(site, &mut params)?;
    let text = params.optional_text(0, "address")?;
    let page = params.page(1, DEFAULT_PAYOUTS, MOST_LINES)?;
    params.finish(3)?;
    let pool = &site.pools[pool];
    let miner = match text {
        None => None,
        Some(text) => Some(known_miner(pool, chain, &text)?),
    };
    Ok(history::payouts(pool, chain, miner, page))
}

fn get_history(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, chain) = select(site, &mut params)?;
    let text = params.optional_text(0, "address")?;
    let hours = params.optional_count(1, "hours")?.map_or(u64::MAX, |hours| hours as u64);
    params.finish(2)?;
    let pool = &site.pools[pool];
    let miner = text.map(|text| known_miner(pool, chain, &text)).transpose()?;
    Ok(history::points(pool, chain, miner, hours, site.now))
}

fn get_payout_proof(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool_index, chain) = select(site, &mut params)?;
    let text = params.text(0, "height_or_hash")?;
    let page = params.page(1, MOST_LINES, MOST_LINES)?;
    params.finish(3)?;
    let name = BlockName::parse(&text).ok_or_else(|| invalid("height_or_hash is neither a height nor a block hash"))?;
    let pool = &site.pools[pool_index];
    let block = name.find(pool, chain).ok_or_else(|| error(NOT_FOUND, format!("no block {text} was found here")))?;
    let found = proof::recorded(block, &*site.journals.of(pool_index)).map_err(|what| error(INTERNAL, what))?;
    Ok(proof::proof(pool, chain, block, &found, page))
}

fn validate_address(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, chain) = select(site, &mut params)?;
    let text = params.text(0, "address")?;
    params.finish(1)?;
    Ok(addresses::validity(site.pools[pool].chains(), chain, &text))
}

fn list_pools(site: &mut Site, params: Params) -> Result<Value, RpcError> {
    params.finish(0)?;
    let view = |pool: &crate::pool::Pool| {
        let chains: Vec<&str> = pool.spec().chains.iter().map(|chain| chain.name.as_str()).collect();
        json!({ "name": pool.spec().name, "chains": chains })
    };
    Ok(site.pools.iter().map(view).collect())
}

fn get_payments(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, chain) = select(site, &mut params)?;
    let count = params.optional_count(0, "count")?.unwrap_or(DEFAULT_BLOCKS).min(MOST_BLOCKS);
    params.finish(1)?;
    Ok(payments::payments(&site.pools[pool], chain, count, site.now))
}

fn list_banned(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, _) = select(site, &mut params)?;
    params.finish(0)?;
    Ok(views::bans(&site.pools[pool], site.now))
}

fn uptime(site: &mut Site, params: Params) -> Result<Value, RpcError> {
    params.finish(0)?;
    Ok(site.uptime_s().into())
}

fn help(_site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let wanted = params.optional_text(0, "method")?;
    params.finish(1)?;
    let line = |method: &Method| {
        let admin = if method.admin { " (admin)" } else { "" };
        let usage = format!("{} {}", method.name, method.parameters);
        format!("{:<25} {}{admin}", usage.trim_end(), method.about)
    };
    match wanted {
        None => Ok(METHODS.iter().map(line).collect::<Vec<String>>().join("\n").into()),
        Some(name) => match METHODS.iter().find(|method| method.name == name) {
            Some(method) => Ok(line(method).into()),
            None => Err(error(METHOD_NOT_FOUND, format!("no such method: {name}"))),
        },
    }
}

fn error(code: i64, message: String) -> RpcError {
    RpcError::new(code, message)
}
