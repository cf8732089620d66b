//! The methods that change something, or that rigs notice. Each needs the admin token.

use serde_json::{Value, json};

use super::named::{known_account, known_script, script, select, stranger};
use super::{NO_PAYMENT, error};
use crate::base::amount::{format_amount, format_percent, parse_amount, parse_percent};
use crate::face::params::{Params, invalid};
use crate::face::{Site, payments};
use crate::pool::paying::PaymentError;
use crate::pool::record::Term;
use crate::wire::jsonrpc::RpcError;

/// Characters of a text for rigs: the lines of their displays and logs are short.
const LONGEST_MESSAGE: usize = 120;

pub(super) fn set_pool_fee(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, chain) = select(site, &mut params)?;
    let text = params.text(0, "percent")?;
    params.finish(1)?;
    let ppm = parse_percent(&text).map_err(|reason| invalid(&format!("percent {reason}")))?;
    set_term(site, pool, chain, Term::FeePpm(ppm));
    Ok(json!({ "pool_fee_percent": format_percent(ppm) }))
}

pub(super) fn set_pool_address(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, chain) = select(site, &mut params)?;
    let text = params.text(0, "address")?;
    params.finish(1)?;
    let script = script(&site.pools[pool].chains()[chain].spec, &text)?;
    set_term(site, pool, chain, Term::PoolScript(script.as_bytes().to_vec()));
    Ok(json!({ "pool_address": site.pools[pool].chains()[chain].spec.address_text(&script) }))
}

pub(super) fn set_min_payout(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, chain) = select(site, &mut params)?;
    let text = params.text(0, "amount")?;
    params.finish(1)?;
    let amount = parse_amount(&text).map_err(|reason| invalid(&format!("amount {reason}")))?;
    set_term(site, pool, chain, Term::MinPayout(amount));
    Ok(json!({ "min_payout": format_amount(amount) }))
}

pub(super) fn set_miner_address(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, chain) = select(site, &mut params)?;
    let (text, child) = (params.text(0, "address")?, params.text(1, "child_address")?);
    params.finish(2)?;
    let (site_pool, now) = (&mut site.pools[pool], site.now);
    let [parent, spec] = [0, chain].map(|index| &site_pool.chains()[index].spec);
    let owner = script(parent, &text)?;
    let named =
        script(spec, &child).map_err(|error| RpcError { message: format!("child_{}", error.message), ..error })?;
    let view = json!({
        "chain": spec.name,
        "address": parent.address_text(&owner),
        "paid_at": spec.address_text(&named),
    });
    let miner = site_pool.miners().find(&owner.into()).ok_or_else(|| stranger(&text))?;
    site_pool.name_address(chain, miner, named, now).map_err(|reason| invalid(&reason.to_string()))?;
    site.must_commit = true;
    Ok(view)
}

pub(super) fn pay_balances(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
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

pub(super) fn cancel_payment(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, chain) = select(site, &mut params)?;
    let payment = params.optional_count(0, "payment")?.ok_or_else(|| invalid("payment is missing"))?;
    params.finish(1)?;
    let given_up = site.pools[pool].cancel_payment(chain, payment as u64, site.now);
    given_up.map_err(|reason| error(NO_PAYMENT, reason))?;
    site.must_commit = true;
    Ok(json!({ "payment": payment, "status": "dropped" }))
}

pub(super) fn show_message(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
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

pub(super) fn reconnect_miners(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
    let (pool, _) = select(site, &mut params)?;
    let address = params.optional_text(0, "address")?;
    params.finish(1)?;
    let pool = &mut site.pools[pool];
    let script = address.map(|address| known_script(pool, &address)).transpose()?;
    Ok(json!({ "rigs": pool.reconnect_miners(script.as_ref()) }))
}

pub(super) fn unban(site: &mut Site, mut params: Params) -> Result<Value, RpcError> {
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

pub(super) fn stop(site: &mut Site, params: Params) -> Result<Value, RpcError> {
    params.finish(0)?;
    site.stop = true;
    Ok("edgepool is stopping".into())
}

fn set_term(site: &mut Site, pool: usize, chain: usize, term: Term) {
    site.must_commit = true;
    site.pools[pool].set_term(chain, term, site.now);
}
