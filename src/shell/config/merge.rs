//! Which coins can be mined together.

use super::json::Object;
use crate::coin::params::{Coin, Network};

/// A chain, as far as it is known what it is.
type Known = (Option<&'static Coin>, Option<&'static Network>);

/// Tells what keeps `child` from being mined with `parent`, and with the children read so far, whose chain ids are in
/// `taken`.
pub(super) fn check(object: &Object<'_>, parent: Known, child: Known, taken: &mut Vec<(u32, &'static str)>) {
    let is_mainnet = |network: &Network| network.name == "mainnet";
    if let (Some(parent), Some(child)) = (parent.1, child.1)
        && is_mainnet(parent) != is_mainnet(child)
    {
        object.wrong("network", format!("is {}, and the parent is on {}", child.name, parent.name));
    }
    let (Some(parent), Some(child)) = (parent.0, child.0) else { return };
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
