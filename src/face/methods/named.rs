//! What a call names: the pool and its chain, an address, and the account that it stands for.

use super::{NOT_FOUND, error};
use crate::coin::address;
use crate::coin::script::Script;
use crate::face::Site;
use crate::face::params::{Params, invalid};
use crate::pool::Pool;
use crate::pool::record::MinerId;
use crate::pool::spec::ChainSpec;
use crate::wire::jsonrpc::RpcError;

/// Takes `pool` and `chain`, by name; the only pool and the parent chain where they are left out.
pub(super) fn select(site: &Site, params: &mut Params) -> Result<(usize, usize), RpcError> {
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
pub(super) fn script(spec: &ChainSpec, text: &str) -> Result<Script, RpcError> {
    let address = address::parse_to_pay(text, spec.coin, spec.network);
    address.map(|address| address.script).map_err(|reason| invalid(&format!("address: {reason}")))
}

/// The same of somebody who mines, or did, by an address of the parent chain.
pub(super) fn known_script(pool: &Pool, text: &str) -> Result<Script, RpcError> {
    let script = script(&pool.chains()[0].spec, text)?;
    let is_known = pool.miners().all_of(&script).next().is_some();
    is_known.then_some(script).ok_or_else(|| stranger(text))
}

/// The account of a chain that an address of the chain names; or an address of the parent chain, by what it stands for
/// there.
pub(super) fn known_account(pool: &Pool, chain: usize, text: &str) -> Result<MinerId, RpcError> {
    let own = script(&pool.chains()[chain].spec, text);
    let account = own.as_ref().ok().and_then(|script| pool.account_of(chain, script));
    let of_parent = || script(&pool.chains()[0].spec, text).ok();
    // On test networks an address may be one of both chains.
    let used = account.filter(|account| pool.is_used(chain, *account));
    match used.or_else(|| pool.accounts_of(chain, &of_parent()?).first().copied()).or(account) {
        Some(account) => Ok(account),
        None if of_parent().is_some() => Err(stranger(text)),
        None => Err(own.err().unwrap_or_else(|| stranger(text))),
    }
}

/// The same, also of somebody who had no share credited yet.
pub(super) fn known_miner(pool: &Pool, chain: usize, text: &str) -> Result<MinerId, RpcError> {
    known_account(pool, chain, text).or_else(|error| {
        let script = known_script(pool, text).map_err(|_| error)?;
        pool.miners().all_of(&script).next().ok_or_else(|| stranger(text))
    })
}

pub(super) fn stranger(address: &str) -> RpcError {
    error(NOT_FOUND, format!("{address} has not mined here"))
}

fn named(params: &mut Params, name: &str) -> Result<Option<String>, RpcError> {
    params.optional_text(usize::MAX, name)
}
