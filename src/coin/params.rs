//! What a coin and its networks differ in from others, and the one table of them. Code asks a row what it does; it
//! never asks which coin it is, and takes a row that is in no table as it takes the others.

mod table;

pub use table::COINS;

use super::{encode::varint_len, pow::Hasher, script::Script, uint::U256};
use crate::base::Hash32;

/// A proof-of-work function, with the difficulty unit that its miners are used to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// scrypt(N = 1024, r = 1, p = 1). Difficulty 1 is 65,536 hashes.
    Scrypt,
    /// SHA256 twice. Difficulty 1 is 2^32 hashes.
    Sha256d,
    /// SHA256 twice, with a difficulty 1 of 65,536 hashes. No coin has it: a benchmark's shares do, which are too many
    /// to be mined.
    EasySha256d,
}

impl Algorithm {
    /// Hashes that one difficulty unit (1/65,536 of difficulty 1) stands for.
    pub const fn hashes_per_unit(self) -> u64 {
        match self {
            Algorithm::Scrypt | Algorithm::EasySha256d => 1,
            Algorithm::Sha256d => 65_536,
        }
    }

    /// The proof-of-work hash of one header, in internal byte order. For many there is [`Hasher`].
    pub fn pow_hash(self, header: &[u8; 80]) -> Hash32 {
        Hasher::new().hash(self, header)
    }

    /// The target of one difficulty unit: 65,536 times the target of difficulty 1.
    pub fn unit_target(self) -> U256 {
        match self {
            Algorithm::Scrypt | Algorithm::EasySha256d => U256::from_u64(0xffff) << 240,
            Algorithm::Sha256d => U256::from_u64(0xffff) << 224,
        }
    }
}

/// Below which value nodes don't relay an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dust {
    /// What the output and the input that spends it cost at this rate, in base units for 1000 bytes.
    Rate(u64),
    /// The same for every output, in base units.
    Flat(u64),
}

impl Dust {
    /// Bytes of an input that spends a plain output, as nodes estimate it.
    const SPEND: u64 = 148;
    /// The same for a witness program, whose signature counts a quarter.
    const SPEND_WITNESS: u64 = 67;

    /// The least value, in base units, with which an output of this script is relayed.
    pub fn least(self, script: &Script) -> u64 {
        match self {
            Dust::Flat(least) => least,
            Dust::Rate(rate) => {
                let length = script.as_bytes().len();
                let output = (8 + varint_len(length as u64) + length) as u64;
                let spend = if script.witness_program().is_some() { Dust::SPEND_WITNESS } else { Dust::SPEND };
                rate * (output + spend) / 1_000
            }
        }
    }
}

/// One coin.
#[derive(Debug, PartialEq, Eq)]
pub struct Coin {
    /// The name in configurations, lower case.
    pub name: &'static str,
    /// The exchange symbol.
    pub ticker: &'static str,
    /// The proof of work.
    pub algorithm: Algorithm,
    /// Every network that can be mined, and those that should be refused with a reason; mainnet first.
    pub networks: &'static [Network],
    /// The `rules` of the getblocktemplate request; where empty the request is `{}`.
    pub template_rules: &'static [&'static str],
    /// The rules that blocks built here obey. A template that demands another (`!name`) is refused (BIP 9).
    pub known_rules: &'static [&'static str],
    /// Whether the coin has segregated witness at all.
    pub segwit: bool,
    /// Whether it has taproot (BIP 341). Where witness version 1 means nothing, anybody can spend what it was paid.
    pub taproot: bool,
    /// Whether the coin has MimbleWimble extension blocks (LIP 2, LIP 3).
    pub mweb: bool,
    /// Version bits that rigs may vary (BIP 320); 0 where they never may.
    pub version_rolling_mask: u32,
    /// The transaction version of a coinbase.
    pub coinbase_version: i32,
    /// What nodes don't relay.
    pub dust: Dust,
    /// The wallet's method that signs a transaction with its own keys.
    pub sign_method: &'static str,
    /// Whether `fundrawtransaction` knows `replaceable` (BIP 125).
    pub replaceable_option: bool,
    /// The highest network fee of a payment unless the configuration says another, in base units.
    pub default_max_fee: u64,
    /// How its blocks are merge-mined, where they can be.
    pub auxpow: Option<AuxPow>,
}

/// How the blocks of a coin carry the proof of work of another coin's block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuxPow {
    /// The chain id, which is the upper half of each of its headers' versions.
    pub chain_id: u32,
    /// What a child block is made of.
    pub work: AuxWork,
}

impl AuxPow {
    /// Whether a parent block of this version may carry the proof. Nodes refuse one whose version has their own chain
    /// id in its upper half, since it might be a child itself. The versions of Litecoin and Bitcoin start at
    /// 0x20000000, so only an id from 0x2000 up is met: by rigs that roll the version, by chance.
    pub const fn accepts_parent(&self, version: u32) -> bool {
        version >> 16 != self.chain_id
    }
}

/// What a child block is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuxWork {
    /// getblocktemplate: the coinbase is ours and pays the miners.
    Template,
    /// createauxblock: the block is the node's and pays one address.
    NodeBlock,
}

/// One network of a coin.
#[derive(Debug, PartialEq, Eq)]
pub struct Network {
    /// The name in configurations.
    pub name: &'static str,
    /// The base58 version byte of pay-to-public-key-hash addresses.
    pub p2pkh: u8,
    /// The base58 version bytes of pay-to-script-hash addresses; nodes print the first.
    pub p2sh: &'static [u8],
    /// The human-readable part of segwit addresses.
    pub hrp: Option<&'static str>,
    /// The human-readable part of MWEB addresses.
    pub mweb_hrp: Option<&'static str>,
    /// The port a node's RPC listens on unless told otherwise.
    pub default_rpc_port: u16,
    /// Confirmations until a coinbase may be spent.
    pub maturity: u32,
    /// The first height whose blocks may be merge-mined; `None` where none ever may.
    pub auxpow_height: Option<u32>,
    /// Why blocks of this network can't be made here, where that is so.
    pub mining_refused: Option<&'static str>,
}

impl Network {
    /// What `getblockchaininfo` calls it.
    pub fn chain_name(&self) -> &'static str {
        match self.name {
            "mainnet" => "main",
            "testnet" => "test",
            name => name,
        }
    }

    /// Whether nobody else mines here: then a node is never behind, however old its tip is.
    pub fn is_private(&self) -> bool {
        self.name == "regtest"
    }
}

impl Coin {
    /// The network of that name.
    pub fn network(&self, name: &str) -> Option<&'static Network> {
        self.networks.iter().find(|network| network.name == name)
    }

    /// Whether its blocks can be made here without a parent. Those that only its node makes can't: a coinbase of ours
    /// might lack what such a coin demands of it.
    pub fn is_mined_alone(&self) -> bool {
        self.auxpow.is_none_or(|auxpow| auxpow.work == AuxWork::Template)
    }
}

/// The coin of that name.
pub fn coin(name: &str) -> Option<&'static Coin> {
    COINS.iter().find(|coin| coin.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_complete_and_consistent() {
        for coin in COINS {
            assert!(std::ptr::eq(super::coin(coin.name).unwrap(), coin));
            for network in coin.networks {
                assert!(std::ptr::eq(coin.network(network.name).unwrap(), network), "{} is named twice", network.name);
                assert!(!network.p2sh.is_empty() && !network.p2sh.contains(&network.p2pkh));
                assert_eq!(network.hrp.is_some(), coin.segwit);
                assert_eq!(network.mweb_hrp.is_some(), coin.mweb);
            }
            for rule in coin.template_rules {
                assert!(coin.known_rules.contains(rule), "{rule} is asked for and not known");
            }
            assert!(coin.segwit || !(coin.mweb || coin.taproot));
            // A version holds the id and may have nothing rolled over it.
            let auxpow_networks = coin.networks.iter().filter(|network| network.auxpow_height.is_some()).count();
            match coin.auxpow {
                Some(auxpow) => {
                    assert!((1..0x8000).contains(&auxpow.chain_id) && coin.version_rolling_mask == 0);
                    assert_eq!(auxpow_networks, coin.networks.len());
                }
                None => assert_eq!(auxpow_networks, 0),
            }
        }
        assert_eq!(coin("monero"), None);
        assert_eq!(coin("litecoin").unwrap().network("signet"), None);
    }

    #[test]
    fn chain_ids_are_those_of_their_coins_and_no_two_are_alike_under_one_parent() {
        let mut found: Vec<(Algorithm, &str, u32)> = COINS
            .iter()
            .filter_map(|coin| coin.auxpow.map(|auxpow| (coin.algorithm, coin.ticker, auxpow.chain_id)))
            .collect();
        let scrypt = |ticker, id| (Algorithm::Scrypt, ticker, id);
        let expected = [
            scrypt("DOGE", 98),
            scrypt("PEP", 63),
            scrypt("BELLS", 16),
            scrypt("LKY", 8_211),
            scrypt("JKC", 8_224),
            scrypt("SHIC", 74),
            (Algorithm::Sha256d, "NMC", 1),
        ];
        assert_eq!(found, expected);
        let key = |(algorithm, _, id): &(Algorithm, &str, u32)| (*algorithm == Algorithm::Scrypt, *id);
        found.sort_by_key(key);
        found.dedup_by_key(|row| key(row));
        assert_eq!(found.len(), expected.len());
    }

    #[test]
    fn three_coins_are_mined_without_a_parent() {
        let alone = COINS.iter().filter(|coin| coin.is_mined_alone()).map(|coin| coin.ticker);
        assert_eq!(alone.collect::<Vec<_>>(), ["LTC", "BTC", "DOGE"]);
    }

    #[test]
    fn a_rolled_parent_meets_only_the_chain_ids_that_rolling_reaches() {
        // Every version that Litecoin and Bitcoin nodes ask for starts at 0x20000000; rigs vary what BIP 320 leaves.
        for coin in COINS {
            let Some(auxpow) = coin.auxpow else { continue };
            let met = (0..=0x1fff_u32).filter(|rolled| !auxpow.accepts_parent((0x2000 | rolled) << 16 | 0xe000));
            let expected: &[u32] = match coin.ticker {
                "LKY" => &[0x13],
                "JKC" => &[0x20],
                _ => &[],
            };
            assert_eq!(met.collect::<Vec<u32>>(), expected, "{}", coin.name);
        }
    }

    #[test]
    fn only_signet_is_refused_for_mining() {
        let refused = |coin: &Coin| {
            coin.networks
                .iter()
                .filter(|network| network.mining_refused.is_some())
                .map(|network| network.name)
                .collect()
        };
        let all: Vec<&str> = COINS.iter().flat_map(|coin| -> Vec<&str> { refused(coin) }).collect();
        assert_eq!(all, ["signet"]);
    }

    #[test]
    fn dust_is_what_nodes_say_it_is() {
        let scripts = [
            Script::p2pkh(&[1; 20]),
            Script::p2sh(&[1; 20]),
            Script::witness(0, &[1; 20]).unwrap(),
            Script::witness(0, &[1; 32]).unwrap(),
            Script::witness(1, &[1; 32]).unwrap(),
        ];
        let least = |name: &str| scripts.each_ref().map(|script| coin(name).unwrap().dust.least(script));
        assert_eq!(least("litecoin"), [5460, 5400, 2940, 3300, 3300]);
        assert_eq!(least("bitcoin"), [546, 540, 294, 330, 330]);
        assert_eq!(least("dogecoin"), [1_000_000; 5]);
    }

    #[test]
    fn difficulty_one_is_the_target_that_miners_know() {
        // minerd and cgminer: 0x0000ffff << 224 for scrypt, 0xffff << 208 for sha256d.
        let top = |algorithm: Algorithm| hex::encode(algorithm.unit_target().div_u64(65_536).to_be_bytes());
        assert_eq!(top(Algorithm::Scrypt), format!("0000ffff{}", "0".repeat(56)));
        assert_eq!(top(Algorithm::Sha256d), format!("00000000ffff{}", "0".repeat(52)));
    }
}
