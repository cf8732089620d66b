//! The JSON-RPC methods: one table for dispatch and help.

use serde_json::{Value, json};

use crate::base::amount::{format_amount, format_percent, parse_amount, parse_percent};
use crate::coin::address;
use crate::coin::script::Script;
use crate::pool::Pool;
use crate::pool::paying::PaymentError;
use crate::pool::record::{MinerId, Term};
use crate::pool::spec::ChainSpec;
use crate::wire::jsonrpc::{METHOD_NOT_FOUND, NOT_AUTHORISED, RpcError};

use super::params::{Params, invalid};
use super::proof::{self, BlockName};
use super::{Site, balances, blocks, history, miners, payments, views};

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
/// Characters of a text for rigs: the lines of their displays and logs are short.
const LONGEST_MESSAGE: usize = 120;
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
        "Whether an address can be paid, its type and script; or why not."
    ),
    method!("listpools", "", false, list_pools, "The pools and their chains."),
    method!("setpoolfee", "percent", true, set_pool_fee, "Changes the pool's fee from the next job on."),
    method!(
        "setpooladdress",
        "address",
        true,
        set_pool_address,
        "Changes the pool's own address from the next job on."
    ),
    method!("setminpayout", "amount", true, set_min_payout, "Changes the minimum payout from the next job on."),
    method!(
        "paybalances",
        "[address…]",
        true,
        pay_balances,
        "Queues a payment from the wallet to all who are owed the threshold, or to these; {\"dry_run\": true} only tells."
    ),
    method!("cancelpayment", "payment", true, cancel_payment, "Gives up a payment that is queued and not signed yet."),
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
        show_message,
        "Shows a text of up to 120 characters on all rigs, or on one address's; says how many were told."
    ),
    method!(
        "reconnectminers",
        "[address]",
        true,
        reconnect_miners,
        "Asks all rigs, or one address's, to connect again; says how many were asked."
    ),
    method!(
        "listbanned",
        "",
        false,
        list_banned,
        "Addresses, or usernames of an address, that are kept out for floods of invalid shares, and how long still."
    ),
    method!("unban", "[ip]", true, unban, "Lifts the bans of an IP address, or all; says how many there were."),
    method!("uptime", "", false, uptime, "Seconds since the daemon started."),
    method!("help", "[method]", false, help, "This list, or one method."),
    method!("stop", "", true, stop, "Commits and stops the daemon."),
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
    let script = script(&pool.chains()[chain].spec, &text)?;
    miners::miner(pool, chain, &script, site.now).ok_or_else(|| stranger(&text))
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
    let chains = site.pools[pool].chains();
    let spec = &chains[chain].spec;
    Ok(match address::parse(&text, spec.coin, spec.network) {
        Err(reason) => json!({ "isvalid": false, "address": text, "error": reason.to_string() }),
        Ok(address) => {
            let derived = |other: &crate::pool::chain::Chain| {
                let script = address::rederive(&address.script, (other.spec.coin, other.spec.network));
                let text = script.map(|script| other.spec.address_text(&script));
                (other.spec.name.clone(), json!(text))
            };
            let others = chains.iter().enumerate().filter(|(index, _)| *index != chain);
            json!({
                "isvalid": true,
                "address": chains[chain].spec.address_text(&address.script),
                "type": address.kind.to_string(),
                "script": hex::encode(address.script.as_bytes()),
                "derived": others.map(|(_, other)| derived(other)).collect::<serde_json::Map<String, Value>>(),
            })
        }
    })
}

fn list_pools(site: &mut Site, params: Params) -> Result<Value, RpcError> {
    params.finish(0)?;
    let view = |pool: &crate::pool::Pool| {
        let chains: Vec<&str> = pool.spec().chains.iter().map(|chain| chain.name.as_str()).collect();
        json!({ "name": pool.spec().name, "chains": chains })
    };
    Ok(site.pools.iter().map(view).collect())
}

fn set_pool_fee(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, chain) = select(site, &mut params)?;
    let text = params.text(0, "percent")?;
    params.finish(1)?;
    let ppm = parse_percent(&text).map_err(|reason| invalid(&format!("percent {reason}")))?;
    set_term(site, pool, chain, Term::FeePpm(ppm));
    Ok(json!({ "pool_fee_percent": format_percent(ppm) }))
}

fn set_pool_address(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, chain) = select(site, &mut params)?;
    let text = params.text(0, "address")?;
    params.finish(1)?;
    let script = script(&site.pools[pool].chains()[chain].spec, &text)?;
    set_term(site, pool, chain, Term::PoolScript(script.as_bytes().to_vec()));
    Ok(json!({ "pool_address": site.pools[pool].chains()[chain].spec.address_text(&script) }))
}

fn set_min_payout(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, chain) = select(site, &mut params)?;
    let text = params.text(0, "amount")?;
    params.finish(1)?;
    let amount = parse_amount(&text).map_err(|reason| invalid(&format!("amount {reason}")))?;
    set_term(site, pool, chain, Term::MinPayout(amount));
    Ok(json!({ "min_payout": format_amount(amount) }))
}

fn pay_balances(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, chain) = select(site, &mut params)?;
    let is_dry_run = params.flag("dry_run")?;
    let mut wanted = Vec::new();
    let mut addresses = 0;
    while let Some(text) = params.optional_text(addresses, "address")? {
        addresses += 1;
        let pool = &site.pools[pool];
        let miner = known_account(pool, chain, &text)?;
        if !wanted.contains(&miner) {
            wanted.push(miner);
        }
    }
    params.finish(addresses)?;
    let refused = |site: &Site, reason: PaymentError| {
        let data = match &reason {
            PaymentError::Nobody(plan) => Some(payments::plan(&site.pools[pool], chain, plan)),
            PaymentError::NotConfigured(_) | PaymentError::Held(_) | PaymentError::TooMany(_) => None,
        };
        RpcError { data, ..error(NO_PAYMENT, reason.to_string()) }
    };
    if is_dry_run {
        let plan = site.pools[pool].plan_payment(chain, &wanted).map_err(|reason| refused(site, reason))?;
        return Ok(payments::plan(&site.pools[pool], chain, &plan));
    }
    let payment = site.pools[pool].queue_payment(chain, wanted, site.now).map_err(|reason| refused(site, reason))?;
    site.must_commit = true;
    Ok(json!({ "payment": payment }))
}

fn cancel_payment(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, chain) = select(site, &mut params)?;
    let payment = params.optional_count(0, "payment")?.ok_or_else(|| invalid("payment is missing"))?;
    params.finish(1)?;
    let given_up = site.pools[pool].cancel_payment(chain, payment as u64, site.now);
    given_up.map_err(|reason| error(NO_PAYMENT, reason))?;
    site.must_commit = true;
    Ok(json!({ "payment": payment, "status": "dropped" }))
}

fn get_payments(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, chain) = select(site, &mut params)?;
    let count = params.optional_count(0, "count")?.unwrap_or(DEFAULT_BLOCKS).min(MOST_BLOCKS);
    params.finish(1)?;
    Ok(payments::payments(&site.pools[pool], chain, count, site.now))
}

fn show_message(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, _) = select(site, &mut params)?;
    let text = params.text(0, "text")?;
    let address = params.optional_text(1, "address")?;
    params.finish(2)?;
    let length = text.chars().count();
    if text.trim().is_empty() || length > LONGEST_MESSAGE || text.chars().any(char::is_control) {
        return Err(invalid(&format!("text must be 1 to {LONGEST_MESSAGE} characters on one line")));
    }
    let pool = &mut site.pools[pool];
    let script = address.map(|address| known_script(pool, &address)).transpose()?;
    Ok(json!({ "rigs": pool.show_message(&text, script.as_ref()) }))
}

fn reconnect_miners(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, _) = select(site, &mut params)?;
    let address = params.optional_text(0, "address")?;
    params.finish(1)?;
    let pool = &mut site.pools[pool];
    let script = address.map(|address| known_script(pool, &address)).transpose()?;
    Ok(json!({ "rigs": pool.reconnect_miners(script.as_ref()) }))
}

fn list_banned(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, _) = select(site, &mut params)?;
    params.finish(0)?;
    Ok(views::bans(&site.pools[pool], site.now))
}

fn unban(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, _) = select(site, &mut params)?;
    let text = params.optional_text(0, "ip")?;
    params.finish(1)?;
    let read = |text: String| {
        let host = text.split('/').next().unwrap_or_default();
        host.parse().map_err(|_| invalid(&format!("ip: {text} is no IP address")))
    };
    let address = text.map(read).transpose()?;
    Ok(json!({ "lifted": site.pools[pool].unban(address) }))
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
        format!("{:<26}{}{admin}", usage.trim_end(), method.about)
    };
    match wanted {
        None => Ok(METHODS.iter().map(line).collect::<Vec<String>>().join("\n").into()),
        Some(name) => match METHODS.iter().find(|method| method.name == name) {
            Some(method) => Ok(line(method).into()),
            None => Err(error(METHOD_NOT_FOUND, format!("no such method: {name}"))),
        },
    }
}

fn stop(site: &mut Site, params: Params) -> Result<Value, RpcError> {
    params.finish(0)?;
    site.stop = true;
    Ok("edgepool is stopping".into())
}

fn set_term(site: &mut Site, pool: usize, chain: usize, term: Term) {
    site.must_commit = true;
    site.pools[pool].set_term(chain, term, site.now);
}

/// Takes `pool` and `chain`, by name; the only pool and the parent chain where they are left out.
fn select(site: &Site, params: &mut Params) -> Result<(usize, usize), RpcError> {
    let names = || site.pools.iter().map(|pool| pool.spec().name.as_str()).collect::<Vec<&str>>().join(", ");
    let pool = match named(params, "pool")? {
        None if site.pools.len() == 1 => 0,
        None => return Err(invalid(&format!("pool is missing: one of {}", names()))),
        Some(name) => site
            .pools
            .iter()
            .position(|pool| pool.spec().name == name)
            .ok_or_else(|| invalid(&format!("pool {name} is none of {}", names())))?,
    };
    let chains = site.pools[pool].chains();
    let chain = match named(params, "chain")? {
        None => 0,
        Some(name) => chains
            .iter()
            .position(|chain| chain.spec.name == name)
            .ok_or_else(|| invalid(&format!("pool {} has no chain {name}", site.pools[pool].spec().name)))?,
    };
    Ok((pool, chain))
}

/// The output script of an address that a caller gave.
fn script(spec: &ChainSpec, text: &str) -> Result<Script, RpcError> {
    let address = address::parse(text, spec.coin, spec.network);
    address.map(|address| address.script).map_err(|reason| invalid(&format!("address: {reason}")))
}

/// The same of somebody who mines, or did, by an address of the parent chain.
fn known_script(pool: &Pool, text: &str) -> Result<Script, RpcError> {
    let script = script(&pool.chains()[0].spec, text)?;
    let is_known = pool.miners().all_of(&script).next().is_some();
    is_known.then_some(script).ok_or_else(|| stranger(text))
}

/// The account of a chain that an address of the chain names; or, where that has no address of its own there, one of
/// the parent chain.
fn known_account(pool: &Pool, chain: usize, text: &str) -> Result<MinerId, RpcError> {
    let own = script(&pool.chains()[chain].spec, text);
    let script = own.or_else(|error| script(&pool.chains()[0].spec, text).map_err(|_| error))?;
    pool.account_of(chain, &script).ok_or_else(|| stranger(text))
}

/// The same, also of somebody who had no share credited yet.
fn known_miner(pool: &Pool, chain: usize, text: &str) -> Result<MinerId, RpcError> {
    known_account(pool, chain, text).or_else(|error| {
        let script = known_script(pool, text).map_err(|_| error)?;
        pool.miners().all_of(&script).next().ok_or_else(|| stranger(text))
    })
}

fn stranger(address: &str) -> RpcError {
    error(NOT_FOUND, format!("{address} has not mined here"))
}

fn named(params: &mut Params, name: &str) -> Result<Option<String>, RpcError> {
    params.optional_text(usize::MAX, name)
}

fn error(code: i64, message: String) -> RpcError {
    RpcError::new(code, message)
}
