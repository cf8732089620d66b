//! What the embedded chains are made with. What one coin's blocks differ in from another's is the coin's row, as for the
//! pool; beside it there is only what a regtest node would mint.

use crate::coin::params::{Coin, Network, coin};

/// What a chain is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainSpec {
    /// Whose rules it follows, but for extension blocks: it has none.
    pub coin: &'static Coin,
    /// The network of its addresses.
    pub network: &'static Network,
    /// What a coinbase may pay beside the fees, in base units. It never halves: a demo that runs for long shall still have
    /// something to pay.
    pub subsidy: u64,
    /// A block shall come this often, in seconds; 0: the target stays as it is, as on a node's regtest.
    pub block_interval_s: u32,
    /// Hashes that the first block takes on average; at least 1.
    pub start_hashes: u64,
    /// Where the transactions' chance comes from.
    pub seed: u64,
}

impl ChainSpec {
    /// Litecoin's regtest, its addresses starting with `rltc`.
    pub fn litecoin() -> ChainSpec {
        ChainSpec::regtest("litecoin", 1_250_000_000)
    }

    /// Dogecoin's regtest as it is once merged mining has begun: for the pool to build blocks of its own.
    pub fn dogecoin() -> ChainSpec {
        ChainSpec::regtest("dogecoin", 1_000_000_000_000)
    }

    /// Pepecoin's, likewise: for the pool to mine its node's own blocks.
    pub fn pepecoin() -> ChainSpec {
        ChainSpec::regtest("pepecoin", 1_000_000_000_000)
    }

    fn regtest(name: &str, subsidy: u64) -> ChainSpec {
        let coin = coin(name).expect("the coin is in the table");
        let network = coin.network("regtest").expect("the coin has a regtest");
        ChainSpec { coin, network, subsidy, block_interval_s: 0, start_hashes: 2, seed: 1 }
    }

    /// The height of the last block that is there from the start: the genesis block, or for a merge-mined chain the one
    /// before the first that may be.
    pub(super) fn first_height(&self) -> u32 {
        self.network.auxpow_height.unwrap_or(0).saturating_sub(1)
    }
}
