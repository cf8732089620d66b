//! Every coin. Each figure of a row comes from the sources of that coin's own node, which the row names: base58
//! versions, human-readable parts, maturity, chain id and the first merge-mined height from `chainparams.cpp`, ports
//! from `chainparamsbase.cpp`, dust from `policy.h`.

use super::{Algorithm, AuxPow, AuxWork, Coin, Dust, Network};

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
    auxpow_height: None,
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
    auxpow_height: None,
    mining_refused: None,
};

const BITCOIN: Coin = Coin {
    name: "bitcoin",
    ticker: "BTC",
    algorithm: Algorithm::Sha256d,
    networks: &[
        Network { name: "mainnet", p2pkh: 0, p2sh: &[5], hrp: Some("bc"), default_rpc_port: 8332, ..BITCOIN_TESTNET },
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
    taproot: true,
    mweb: false,
    version_rolling_mask: BIP320_MASK,
    coinbase_version: 2,
    dust: Dust::Rate(3_000),
    sign_method: "signrawtransactionwithwallet",
    replaceable_option: true,
    default_max_fee: 100_000,
    auxpow: None,
};

const DOGECOIN_MAINNET: Network = Network {
    name: "mainnet",
    p2pkh: 30,
    p2sh: &[22],
    hrp: None,
    mweb_hrp: None,
    default_rpc_port: 22555,
    maturity: 240,
    auxpow_height: Some(371_337),
    mining_refused: None,
};

const DOGECOIN_TESTNET: Network = Network {
    name: "testnet",
    p2pkh: 113,
    p2sh: &[196],
    default_rpc_port: 44555,
    auxpow_height: Some(158_100),
    ..DOGECOIN_MAINNET
};

const DOGECOIN_REGTEST: Network = Network {
    name: "regtest",
    p2pkh: 111,
    p2sh: &[196],
    default_rpc_port: 18332,
    maturity: 60,
    auxpow_height: Some(20),
    ..DOGECOIN_MAINNET
};

const DOGECOIN: Coin = Coin {
    name: "dogecoin",
    ticker: "DOGE",
    algorithm: Algorithm::Scrypt,
    networks: &[DOGECOIN_MAINNET, DOGECOIN_TESTNET, DOGECOIN_REGTEST],
    template_rules: &[],
    known_rules: &["csv"],
    segwit: false,
    taproot: false,
    mweb: false,
    // The upper half of the version is the AuxPoW chain id; a block with another is refused.
    version_rolling_mask: 0,
    coinbase_version: 1,
    dust: Dust::Flat(1_000_000),
    sign_method: "signrawtransaction",
    replaceable_option: false,
    default_max_fee: 500_000_000,
    auxpow: Some(AuxPow { chain_id: 98, work: AuxWork::Template }),
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
        taproot: true,
        mweb: true,
        version_rolling_mask: BIP320_MASK,
        coinbase_version: 2,
        dust: Dust::Rate(30_000),
        sign_method: "signrawtransactionwithwallet",
        replaceable_option: true,
        default_max_fee: 1_000_000,
        auxpow: None,
    },
    BITCOIN,
    DOGECOIN,
    // pepecoinppc/pepecoin 1.1.0, a fork of Dogecoin Core 1.14.
    Coin {
        name: "pepecoin",
        ticker: "PEP",
        networks: &[
            Network { p2pkh: 56, default_rpc_port: 33873, auxpow_height: Some(42_000), ..DOGECOIN_MAINNET },
            Network { default_rpc_port: 44873, auxpow_height: Some(42_000), ..DOGECOIN_TESTNET },
            DOGECOIN_REGTEST,
        ],
        auxpow: Some(AuxPow { chain_id: 63, work: AuxWork::NodeBlock }),
        ..DOGECOIN
    },
    // Nintondo/bellscoinV3 3.0.0, a fork of Bitcoin Core 28 with segwit from its first merge-mined block on. There taproot
    // was still to be voted for; 3.1.0, not released yet, checks it in every block. Until then no taproot address is paid.
    Coin {
        name: "bellscoin",
        ticker: "BELLS",
        algorithm: Algorithm::Scrypt,
        networks: &[
            Network {
                name: "mainnet",
                p2pkh: 25,
                p2sh: &[30],
                hrp: Some("bel"),
                default_rpc_port: 8332,
                maturity: 30,
                auxpow_height: Some(144_000),
                ..BITCOIN_TESTNET
            },
            Network {
                p2pkh: 33,
                p2sh: &[22],
                hrp: Some("tbel"),
                maturity: 30,
                auxpow_height: Some(15),
                ..BITCOIN_TESTNET
            },
            Network {
                name: "regtest",
                hrp: Some("bcrt"),
                default_rpc_port: 18443,
                maturity: 30,
                auxpow_height: Some(0),
                ..BITCOIN_TESTNET
            },
        ],
        taproot: false,
        version_rolling_mask: 0,
        default_max_fee: 1_000_000,
        auxpow: Some(AuxPow { chain_id: 16, work: AuxWork::NodeBlock }),
        ..BITCOIN
    },
    // LuckyCoinProj/luckycoinV3 3.0.3 and luckywhale13/luckycoin 4.0.2, the younger, forks of Dogecoin Core 1.14. Their
    // test networks agree in nothing, and are left out.
    Coin {
        name: "luckycoin",
        ticker: "LKY",
        networks: &[Network {
            p2pkh: 47,
            p2sh: &[5],
            // So 4.0.2, and so both READMEs; the program of 3.0.3 listens on 19918.
            default_rpc_port: 9918,
            // 70 in 4.0.2. To a node of 3.0.3 a block in which a coinbase is spent sooner is invalid.
            maturity: 90,
            auxpow_height: Some(176_000),
            ..DOGECOIN_MAINNET
        }],
        dust: Dust::Flat(10_000_000),
        auxpow: Some(AuxPow { chain_id: 0x2013, work: AuxWork::NodeBlock }),
        ..DOGECOIN
    },
    // Junkcoin-Foundation/junkcoin-core 3.1.1, a fork of Dogecoin Core 1.14. A fifth of the subsidy goes to a fund
    // from height 365,000 on: the node adds that output itself. The test networks have a chain id of their own, and are
    // left out. Junkcoin-Foundation/junkcoin 4.0.0, a fork of Litecoin Core 0.21 that calls itself not ready for
    // production, has the same figures and no segwit, and a wallet that signs by the newer method.
    Coin {
        name: "junkcoin",
        ticker: "JKC",
        networks: &[Network {
            p2pkh: 16,
            p2sh: &[5],
            default_rpc_port: 9771,
            maturity: 70,
            auxpow_height: Some(173_000),
            ..DOGECOIN_MAINNET
        }],
        dust: Dust::Flat(100_000),
        default_max_fee: 10_000_000,
        auxpow: Some(AuxPow { chain_id: 0x2020, work: AuxWork::NodeBlock }),
        ..DOGECOIN
    },
    // shibacoinppc/shibacoin 1.2.1, a fork of Dogecoin Core 1.14.
    Coin {
        name: "shibacoin",
        ticker: "SHIC",
        networks: &[
            Network { p2pkh: 63, default_rpc_port: 33863, auxpow_height: Some(24_000), ..DOGECOIN_MAINNET },
            Network { default_rpc_port: 44863, auxpow_height: Some(24_000), ..DOGECOIN_TESTNET },
            DOGECOIN_REGTEST,
        ],
        auxpow: Some(AuxPow { chain_id: 74, work: AuxWork::NodeBlock }),
        ..DOGECOIN
    },
    // namecoin/namecoin-core 31. Taproot is never active on mainnet.
    Coin {
        name: "namecoin",
        ticker: "NMC",
        networks: &[
            Network {
                name: "mainnet",
                p2pkh: 52,
                p2sh: &[13],
                hrp: Some("nc"),
                default_rpc_port: 8336,
                auxpow_height: Some(19_200),
                ..BITCOIN_TESTNET
            },
            Network { hrp: Some("tn"), default_rpc_port: 18336, auxpow_height: Some(0), ..BITCOIN_TESTNET },
            Network {
                name: "regtest",
                hrp: Some("ncrt"),
                default_rpc_port: 18443,
                auxpow_height: Some(0),
                ..BITCOIN_TESTNET
            },
        ],
        taproot: false,
        version_rolling_mask: 0,
        default_max_fee: 10_000_000,
        auxpow: Some(AuxPow { chain_id: 1, work: AuxWork::NodeBlock }),
        ..BITCOIN
    },
];
