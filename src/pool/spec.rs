//! What the operator asked for, already validated: the shape of one pool. Made by the shell from the
//! configuration file; never changed while the pool runs (terms that change are the ledger's).

use serde::{Deserialize, Serialize};

use crate::base::amount::{format_amount, format_percent};
use crate::base::time::MINUTE;
use crate::coin::address;
use crate::coin::difficulty::Difficulty;
use crate::coin::params::{Coin, Network};
use crate::coin::script::Script;

use super::firmware::CoinbaseClass;
use super::record::Term;

/// One pool: a parent chain, the chains merge-mined with it, and how it treats its miners.
#[derive(Clone, Debug)]
pub struct PoolSpec {
    /// Names the pool in RPC, logs and the ledger.
    pub name: String,
    /// The parent chain first, then its merge-mined children.
    pub chains: Vec<ChainSpec>,
    /// The miners' side.
    pub stratum: StratumSpec,
    /// How difficulty follows a rig.
    pub vardiff: VardiffSpec,
    /// Length of the contribution window, in milliseconds.
    pub window_ms: u64,
    /// Addresses that the window has room for.
    pub max_miners: usize,
    /// Shares are committed, and then acknowledged, at most this often, in milliseconds.
    pub commit_ms: u64,
}

impl PoolSpec {
    /// Coin and network of each chain, the parent first: what a ledger, or what one run leaves to the next, is of.
    pub fn chains_text(&self) -> String {
        let texts = self.chains.iter().map(|chain| format!("{} {}", chain.coin.name, chain.network.name));
        texts.collect::<Vec<String>>().join(", ")
    }
}

/// One chain of a pool.
#[derive(Clone, Debug)]
pub struct ChainSpec {
    /// Names the chain in RPC and logs.
    pub name: String,
    /// The coin's row of the parameter table.
    pub coin: &'static Coin,
    /// The network's row of the coin.
    pub network: &'static Network,
    /// The coin nodes, the preferred one first; never empty.
    pub nodes: Vec<NodeSpec>,
    /// The terms of the configuration file.
    pub terms: Terms,
    /// Bytes that the operator wants in every coinbase.
    pub coinbase_tag: Vec<u8>,
    /// How balances are paid from a wallet; `None` where no wallet may be used.
    pub payments: Option<PaymentsSpec>,
    /// Whether work is made for it. A merge-mined chain that is not mined any more keeps its books, its payments and
    /// the judging of its blocks; a parent always is.
    pub mine: bool,
}

/// How balances are paid from the node's wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentsSpec {
    /// The node that holds the wallet; its path may name one (`/wallet/pool`).
    pub wallet: NodeSpec,
    /// A payment is queued this often, in milliseconds; `None`: only when an operator asks.
    pub every_ms: Option<u64>,
    /// The schedule pays nobody less than this, in base units.
    pub threshold: u64,
    /// Miners paid by one transaction at most.
    pub max_outputs: usize,
    /// Confirmations that settle a payment, or a conflict with it.
    pub confirmations: u32,
    /// Who bears the network's fee.
    pub fee_from: FeeFrom,
    /// The network's fee in base units for 1000 virtual bytes; `None`: as the wallet estimates.
    pub fee_rate: Option<u64>,
    /// A transaction whose fee is above this is not signed, in base units.
    pub max_fee: u64,
}

/// Who bears the network's fee of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeeFrom {
    /// The pool: miners receive what they are owed.
    Pool,
    /// The miners, each an equal part, as the wallet takes it off their outputs.
    Receivers,
}

impl ChainSpec {
    /// An output script as people read it: its address, or its bytes where it has none.
    pub fn address_text(&self, script: &Script) -> String {
        address::encode(script, self.coin, self.network).unwrap_or_else(|| hex::encode(script.as_bytes()))
    }

    /// A term as the configuration has it.
    pub fn term_text(&self, term: &Term) -> String {
        match term {
            Term::FeePpm(ppm) => format!("fee_percent {}", format_percent(*ppm)),
            Term::PoolScript(bytes) => format!("address {}", self.address_text(&Script::from_bytes(bytes.clone()))),
            Term::MinPayout(units) => format!("min_payout {}", format_amount(*units)),
        }
    }
}

/// Where a coin node answers. Secrets stay in the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSpec {
    /// The address as people see it, without credentials.
    pub url: String,
    /// `host:port`, for the connection and the Host header.
    pub authority: String,
    /// The path of the URL, `/` by default (a wallet path is possible).
    pub path: String,
}

/// The terms on which a block is shared out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The output script that takes the fee, the remainders and what is carried.
    pub pool_script: Script,
    /// The pool's fee, in parts per million of the coinbase value.
    pub fee_ppm: u32,
    /// Nobody is paid less than this in a coinbase, in base units.
    pub min_payout: u64,
    /// Outputs of a coinbase that pay somebody: the pool's and the miners'.
    pub max_outputs: u32,
}

impl Terms {
    /// Those that an operator can change while the pool runs.
    pub fn changeable(&self) -> [Term; 3] {
        let script = self.pool_script.as_bytes().to_vec();
        [Term::FeePpm(self.fee_ppm), Term::PoolScript(script), Term::MinPayout(self.min_payout)]
    }
}

/// The miners' side of a pool.
#[derive(Clone, Debug)]
pub struct StratumSpec {
    /// The ports that rigs connect to; never empty.
    pub ports: Vec<PortSpec>,
    /// Connections at one time.
    pub max_connections: usize,
    /// A connection that sends nothing for this long is closed, in milliseconds.
    pub idle_timeout_ms: u64,
    /// Bytes of the coinbase that a rig may vary.
    pub extranonce2_len: usize,
    /// What one address and one connection may do.
    pub guard: GuardSpec,
}

/// What one address and one connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardSpec {
    /// Connections from one address at one time. A farm behind one router is one address.
    pub max_per_address: usize,
    /// Requests that are read from one connection in a second, over two seconds; what is more waits.
    pub max_requests_per_second: u32,
    /// How long a flood of invalid shares is kept out, in milliseconds; 0: never.
    pub ban_ms: u64,
}

impl Default for GuardSpec {
    fn default() -> GuardSpec {
        GuardSpec { max_per_address: usize::MAX, max_requests_per_second: 1_000, ban_ms: 10 * MINUTE }
    }
}

/// One port for rigs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortSpec {
    /// The coinbase that its rigs are sent, whatever they call themselves.
    pub class: Option<CoinbaseClass>,
}

/// How difficulty follows a rig.
#[derive(Clone, Debug)]
pub struct VardiffSpec {
    /// What a new connection starts with.
    pub start: Difficulty,
    /// Never below.
    pub min: Difficulty,
    /// Never above.
    pub max: Difficulty,
    /// The time between two shares of one connection that is aimed at, in milliseconds.
    pub target_share_ms: u64,
}
