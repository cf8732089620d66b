//! Which coins can be mined together.

use super::json::Object;
use crate::pool::spec::ChainSpec;

/// Tells what keeps `child` from being mined with `parent`, and with the children read so far, whose chain ids are in
/// `taken`.
pub(super) fn check(object: &Object<'_>, parent: &ChainSpec, child: &ChainSpec, taken: &mut Vec<(u32, &'static str)>) {
    let is_mainnet = |chain: &ChainSpec| chain.network.name == "mainnet";
    if is_mainnet(parent) != is_mainnet(child) {
        let what = format!("is {}, and the parent is on {}", child.network.name, parent.network.name);
        return object.wrong("network", what);
    }
    let (parent, child) = (parent.coin, child.coin);
    let Some(auxpow) = child.auxpow else {
        return object.wrong("coin", format!("{} can't be merge-mined; give it a pool of its own", child.name));
    };
    if child.algorithm != parent.algorithm {
        let what = format!("{} has another proof of work than {}, and can't be mined with it", child.name, parent.name);
        return object.wrong("coin", what);
    }
    let own = parent.auxpow.map(|auxpow| (auxpow.chain_id, parent.name));
    if let Some((_, other)) = own.iter().chain(taken.iter()).find(|(id, _)| *id == auxpow.chain_id) {
        let what = format!("{} has the chain id of {other}; only one of them can be mined here", child.name);
        return object.wrong("coin", what);
    }
    taken.push((auxpow.chain_id, child.name));
}
