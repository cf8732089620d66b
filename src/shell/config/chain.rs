//! The keys that a pool and each of its merge-mined children have in common: coin, network, nodes, payout, payments.

use serde_json::Value;

use super::json::{Object, size, text};
use super::{decimal, default, node, payments, unknown, valid};
use crate::base::amount;
use crate::base::limits;
use crate::coin::address;
use crate::coin::params::{COINS, Coin, Network, coin};
use crate::pool::spec::{ChainSpec, NodeSpec, Terms};
use crate::shell::secrets::Secret;

/// What was read of a chain. Its mistakes are told; what is right of it serves to find those of others.
pub(super) struct Read<T> {
    pub(super) name: Option<String>,
    pub(super) coin: Option<&'static Coin>,
    pub(super) network: Option<&'static Network>,
    /// There if nothing is wrong.
    pub(super) whole: Option<Chain<T>>,
}

/// A chain as it was read, with what only some chains have.
pub(super) struct Chain<T> {
    pub(super) spec: ChainSpec,
    pub(super) secrets: Vec<Secret>,
    pub(super) wallet_secret: Option<Secret>,
    pub(super) more: T,
}

/// Reads the keys; `more` reads what else is in `payout`. Where the network is not written it is the default, if that is
/// known.
pub(super) fn chain<T>(
    object: &mut Object<'_>,
    default_network: Option<&str>,
    names: &mut Vec<String>,
    more: impl FnOnce(&mut Object<'_>) -> Option<T>,
) -> Read<T> {
    let coin = object.required("coin", |value| {
        let name = text(value)?;
        coin(name).ok_or_else(|| unknown(name, "a coin of edgepool", COINS.iter().map(|coin| coin.name)))
    });
    let default_name = coin.map_or_else(String::new, |coin| coin.ticker.to_lowercase());
    let name = object.or("name", default_name, name);
    let name = name.filter(|name| !name.is_empty());
    if let Some(name) = &name {
        if names.contains(name) {
            object.wrong("name", format!("\"{name}\" is there twice; give each its own"));
        }
        names.push(name.clone());
    }
    let written = object.optional("network", text);
    let network = written.and_then(|written| written.or(default_network)).and_then(|name| {
        let network = match coin {
            Some(coin) => network(coin, name).map(Some),
            None => any_network(name).map(|()| None),
        };
        network.map_err(|what| object.wrong("network", what)).ok().flatten()
    });
    let nodes = object.list("nodes", 1..=limits::NODES, |object| node::node(object, network));
    let payout = object.section("payout", |payout| {
        let address = payout.required("address", |value| {
            let text = text(value)?;
            // Without its coin and network an address means nothing, and that mistake is told already.
            let Some((coin, network)) = coin.zip(network) else { return Ok(None) };
            address::parse_to_pay(text, coin, network).map(Some).map_err(|error| error.to_string())
        });
        let fee_ppm = payout.or(
            "fee_percent",
            valid(amount::parse_percent(default::FEE_PERCENT)),
            decimal(amount::parse_percent),
        );
        let min_payout =
            payout.or("min_payout", valid(amount::parse_amount(default::MIN_PAYOUT)), decimal(amount::parse_amount));
        let max_outputs = payout.or("max_outputs", default::MAX_OUTPUTS, size(2..=limits::COINBASE_OUTPUTS));
        let tag = payout.or("coinbase_tag", default::COINBASE_TAG.into(), coinbase_tag);
        let more = more(payout);
        let terms = Terms {
            pool_script: address??.script,
            fee_ppm: fee_ppm?,
            min_payout: min_payout?,
            max_outputs: max_outputs? as u32,
        };
        Some((terms, tag?, more?))
    });
    let payments = object.optional_section("payments", |object| payments::payments(object, coin, network));
    let whole = || {
        let nodes: Vec<(NodeSpec, Secret)> = nodes?;
        let (terms, coinbase_tag, more) = payout?;
        let first = nodes.first()?.clone();
        let (payments, wallet_secret) = payments?.map(|read| read.complete(first, terms.min_payout)).unzip();
        let (nodes, secrets) = nodes.into_iter().unzip();
        let spec = ChainSpec {
            name: name.clone()?,
            coin: coin?,
            network: network?,
            nodes,
            terms,
            coinbase_tag,
            payments,
            mine: true,
        };
        Some(Chain { spec, secrets, wallet_secret, more })
    };
    let whole = whole();
    Read { name, coin, network, whole }
}

fn name(value: &Value) -> Result<String, String> {
    let name = text(value)?;
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    if name.is_empty() || name.len() > limits::NAME || !name.bytes().all(fits) {
        return Err(format!("must be 1 to {} of a-z, 0-9, - and _", limits::NAME));
    }
    Ok(name.into())
}

fn network(coin: &'static Coin, name: &str) -> Result<&'static Network, String> {
    let names = coin.networks.iter().map(|network| network.name);
    let network = coin.network(name).ok_or_else(|| unknown(name, &format!("a network of {}", coin.name), names))?;
    match network.mining_refused {
        Some(reason) => Err(reason.into()),
        None => Ok(network),
    }
}

/// Refuses what no coin has as a network.
fn any_network(name: &str) -> Result<(), String> {
    let mut names: Vec<&str> = COINS.iter().flat_map(|coin| coin.networks).map(|network| network.name).collect();
    names.sort_unstable();
    names.dedup();
    if names.contains(&name) { Ok(()) } else { Err(unknown(name, "a network of any coin", names.into_iter())) }
}

fn coinbase_tag(value: &Value) -> Result<Vec<u8>, String> {
    let tag = text(value)?;
    if tag.len() > limits::COINBASE_TAG {
        return Err(format!("is {} bytes long; shorten it to {}", tag.len(), limits::COINBASE_TAG));
    }
    if !tag.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err("has characters that not every explorer shows; use printable ASCII".into());
    }
    Ok(tag.into())
}
