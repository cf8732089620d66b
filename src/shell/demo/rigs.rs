//! The rigs of the demo and the addresses they work for, which belong to nobody: regtest coins are worth nothing.

use std::io;
use std::net::SocketAddr;

use super::chain::ChainSpec;
use super::miner::Miner;
use crate::coin::address;
use crate::coin::script::Script;

/// What the rigs call themselves.
const AGENT: &str = "edgepool-demo/1";

/// Kinds of addresses on the parent chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    P2pkh,
    P2sh,
    P2wpkh,
    P2tr,
}

/// How a rig names its address on the first merge-mined chain, where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    /// Not at all: what its address carries over to is paid, or all is owed.
    Nothing,
    /// After a comma.
    Place,
    /// By the chain's id.
    ChainId,
}

/// A rig.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rig {
    worker: &'static str,
    kind: Kind,
    naming: Naming,
    /// Hashes per second.
    pub hashrate: u32,
}

/// Together they take about a third of one core. The last earns less than the demo's minimum payout in a block of
/// Litecoin, so that it is seen how its part is carried; its address has no counterpart on other chains, so that it is seen
/// how that is owed.
pub const RIGS: [Rig; 4] = [
    Rig { worker: "attic", kind: Kind::P2wpkh, naming: Naming::Nothing, hashrate: 600 },
    Rig { worker: "barn", kind: Kind::P2pkh, naming: Naming::Place, hashrate: 300 },
    Rig { worker: "cellar", kind: Kind::P2sh, naming: Naming::ChainId, hashrate: 200 },
    Rig { worker: "shed", kind: Kind::P2tr, naming: Naming::Nothing, hashrate: 60 },
];

impl Rig {
    /// Sets it to work at the pool's port, for the chains that are mined there, the parent first.
    pub fn start(&self, pool: SocketAddr, chains: &[ChainSpec]) -> io::Result<Miner> {
        Miner::spawn(pool, &self.username(chains), self.hashrate, AGENT)
    }

    fn username(&self, chains: &[ChainSpec]) -> String {
        let script = match self.kind {
            Kind::P2pkh => Script::p2pkh(&[0x11; 20]),
            Kind::P2sh => Script::p2sh(&[0x22; 20]),
            Kind::P2wpkh => Script::witness(0, &[0x33; 20]).expect("20 bytes are a witness program"),
            Kind::P2tr => Script::witness(1, &[0x55; 32]).expect("32 bytes are a witness program"),
        };
        let mut text = chains.first().map_or_else(String::new, |parent| address_of(&script, parent));
        if let Some((child, auxpow)) = chains.get(1).and_then(|child| Some((child, child.coin.auxpow?))) {
            let own = address_of(&Script::p2pkh(&[0x60 + self.kind as u8; 20]), child);
            match self.naming {
                Naming::Nothing => {}
                Naming::Place => text += &format!(",{own}"),
                Naming::ChainId => text += &format!("/{}:{own}", auxpow.chain_id),
            }
        }
        format!("{text}.{}", self.worker)
    }
}

/// Where the pool itself is paid on a chain.
pub fn pool_address(chain: &ChainSpec) -> String {
    address_of(&Script::p2pkh(&[0x44; 20]), chain)
}

fn address_of(script: &Script, chain: &ChainSpec) -> String {
    address::encode(script, chain.coin, chain.network).expect("each of these scripts has an address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_merge_mined_chain_are_named_only_where_there_is_one() {
        let (parent, child) = (ChainSpec::litecoin(), ChainSpec::dogecoin());
        let usernames = |chains: &[ChainSpec]| RIGS.map(|rig| rig.username(chains));
        let alone = usernames(&[parent]);
        assert!(alone.iter().all(|name| !name.contains([',', '/'])), "{alone:?}");
        let merged = usernames(&[parent, child]);
        assert_eq!(
            [0, 1, 2, 3].map(|index| merged[index] == alone[index]),
            [true, false, false, true],
            "two name an address of their own: {merged:?}"
        );
        assert!(merged[1].contains(",m") && merged[2].contains("/98:m"), "{merged:?}");
    }
}
