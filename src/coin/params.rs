//! The coins and their networks as one static table. Code asks a row what it does; it never asks which coin it is.

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
    /// Every network there is, mainnet first.
    pub networks: &'static [Network],
    /// The `rules` of the getblocktemplate request; where empty the request is `{}`.
    pub template_rules: &'static [&'static str],
    /// The rules that blocks built here obey. A template that demands another (`!name`) is refused (BIP 9).
    pub known_rules: &'static [&'static str],
    /// Whether the coin has segregated witness at all.
    pub segwit: bool,
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
}

/// The coin of that name.
pub fn coin(name: &str) -> Option<&'static Coin> {
    COINS.iter().find(|coin| coin.name == name)
}

/// The bits that BIP 320 leaves to miners.
const BIP320_MASK: u32 = 0x1fff_e000;

const LITECOIN_TESTNET: Network = Network {
    name: "testnet",
    p2pkh: 111,
    p2sh: &[58, 196],
    hrp: Some("tltc"),
    mweb_hrp: Some("tmweb"),
    default_rpc_port: 19332,
    maturity: 100,
    mining_refused: None,
};

const BITCOIN_TESTNET: Network = Network {
    name: "testnet",
    p2pkh: 111,
    p2sh: &[196],
    hrp: Some("tb"),
    mweb_hrp: None,
    default_rpc_port: 18332,
    maturity: 100,
    mining_refused: None,
};

const DOGECOIN_MAINNET: Network = Network {
    name: "mainnet",
    p2pkh: 30,
    p2sh: &[22],
    hrp: None,
    mweb_hrp: None,
    default_rpc_port: 22555,
    maturity: 240,
    mining_refused: None,
};

/// Every coin.
pub static COINS: &[Coin] = &[
    Coin {
        name: "litecoin",
        ticker: "LTC",
        algorithm: Algorithm::Scrypt,
        networks: &[
            Network {
                name: "mainnet",
                p2pkh: 48,
                p2sh: &[50, 5],
                hrp: Some("ltc"),
                mweb_hrp: Some("ltcmweb"),
                default_rpc_port: 9332,
                ..LITECOIN_TESTNET
            },
            LITECOIN_TESTNET,
            Network { name: "regtest", hrp: Some("rltc"), default_rpc_port: 19443, ..LITECOIN_TESTNET },
        ],
        template_rules: &["mweb", "segwit"],
        known_rules: &["csv", "segwit", "taproot", "testdummy", "mweb"],
        segwit: true,
        mweb: true,
        version_rolling_mask: BIP320_MASK,
        coinbase_version: 2,
        dust: Dust::Rate(30_000),
        sign_method: "signrawtransactionwithwallet",
        replaceable_option: true,
        default_max_fee: 1_000_000,
    },
    Coin {
        name: "bitcoin",
        ticker: "BTC",
        algorithm: Algorithm::Sha256d,
        networks: &[
            Network {
                name: "mainnet",
                p2pkh: 0,
                p2sh: &[5],
                hrp: Some("bc"),
                default_rpc_port: 8332,
                ..BITCOIN_TESTNET
            },
            BITCOIN_TESTNET,
            Network { name: "testnet4", default_rpc_port: 48332, ..BITCOIN_TESTNET },
            Network {
                name: "signet",
                default_rpc_port: 38332,
                mining_refused: Some("signet blocks must be signed by the network's operators: mine testnet4 instead"),
                ..BITCOIN_TESTNET
            },
            Network { name: "regtest", hrp: Some("bcrt"), default_rpc_port: 18443, ..BITCOIN_TESTNET },
        ],
        template_rules: &["segwit"],
        known_rules: &["csv", "segwit", "taproot", "testdummy"],
        segwit: true,
        mweb: false,
        version_rolling_mask: BIP320_MASK,
        coinbase_version: 2,
        dust: Dust::Rate(3_000),
        sign_method: "signrawtransactionwithwallet",
        replaceable_option: true,
        default_max_fee: 100_000,
    },
    Coin {
        name: "dogecoin",
        ticker: "DOGE",
        algorithm: Algorithm::Scrypt,
        networks: &[
            DOGECOIN_MAINNET,
            Network { name: "testnet", p2pkh: 113, p2sh: &[196], default_rpc_port: 44555, ..DOGECOIN_MAINNET },
            Network {
                name: "regtest",
                p2pkh: 111,
                p2sh: &[196],
                default_rpc_port: 18332,
                maturity: 60,
                ..DOGECOIN_MAINNET
            },
        ],
        template_rules: &[],
        known_rules: &["csv"],
        segwit: false,
        mweb: false,
        // The upper half of the version is the AuxPoW chain id; a block with another is refused.
        version_rolling_mask: 0,
        coinbase_version: 1,
        dust: Dust::Flat(1_000_000),
        sign_method: "signrawtransaction",
        replaceable_option: false,
        default_max_fee: 500_000_000,
    },
];

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
            assert!(!coin.mweb || coin.segwit);
        }
        assert_eq!(coin("monero"), None);
        assert_eq!(coin("litecoin").unwrap().network("signet"), None);
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
