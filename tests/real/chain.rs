//! The chains that nodes start with. Those of some height are mined once per version of a node and kept under the
//! target's temporary folder; each node starts on a copy.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use serde_json::json;

use crate::kind::{BITCOIND, Kind, LITECOIND};
use crate::node::Node;
use crate::place::{Folder, base};

/// The first block that must carry MWEB data on Litecoin's regtest.
pub const MWEB_HEIGHT: u64 = 432;

/// The chain a node starts with; on regtest unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// Litecoin's genesis alone, and an empty wallet.
    Genesis,
    /// Litecoin, tip at 429: two blocks before the last one without MWEB; segwit is active, the wallet has legacy and
    /// segwit coins.
    BeforeMweb,
    /// Litecoin, tip at 440: MWEB is active, and the wallet has legacy, segwit and MWEB coins to spend.
    Mweb,
    /// Bitcoin's genesis alone.
    BitcoinGenesis,
    /// Bitcoin, tip at 230; the wallet has legacy, segwit and taproot coins to spend.
    Bitcoin,
    /// The genesis of Bitcoin's testnet4, with nobody to tell of more.
    Testnet4,
}

impl Chain {
    /// The node that knows it.
    pub fn kind(self) -> &'static Kind {
        match self {
            Chain::Genesis | Chain::BeforeMweb | Chain::Mweb => &LITECOIND,
            Chain::BitcoinGenesis | Chain::Bitcoin | Chain::Testnet4 => &BITCOIND,
        }
    }

    /// As a configuration names the network, which is the node's option for it and its folder too.
    pub fn network(self) -> &'static str {
        if self == Chain::Testnet4 { "testnet4" } else { "regtest" }
    }

    /// Puts the chain where a node is about to start.
    pub fn copy_to(self, folder: &Folder) {
        let label = match self {
            Chain::Genesis | Chain::BitcoinGenesis | Chain::Testnet4 => return,
            Chain::BeforeMweb => "before-mweb",
            Chain::Mweb => "mweb",
            Chain::Bitcoin => "bitcoin",
        };
        crate::place::copy_folder(&prepared(self, label), folder.path());
    }

    /// The recipe. Coins of the first blocks mature after 100 more: the wallet ends with some of each kind to spend.
    fn mine(self, node: &Node) {
        let generate_to = |blocks: u64, kind: &str| {
            let address = node.ask("getnewaddress", json!(["", kind]));
            node.ask("generatetoaddress", json!([blocks, address]));
        };
        generate_to(110, "legacy");
        if self == Chain::Bitcoin {
            generate_to(10, "bech32m");
            return node.generate(110);
        }
        node.generate(MWEB_HEIGHT - 3 - 110);
        if self == Chain::Mweb {
            node.generate(2);
            // Without a peg-in the node can't make the first MWEB block.
            let mweb = node.ask("getnewaddress", json!(["", "mweb"]));
            for _ in 0..5 {
                node.ask("sendtoaddress", json!([mweb, 2]));
            }
            node.generate(440 + 1 - MWEB_HEIGHT);
        }
    }
}

/// The kept data directory of a chain, mined if it is not there yet.
fn prepared(chain: Chain, label: &str) -> PathBuf {
    static MINING: Mutex<()> = Mutex::new(());
    // The number is raised by hand when the recipe changes.
    let kept = base().join(format!("chain-1-{}-{label}", chain.kind().version()));
    let _one_at_a_time = MINING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !kept.exists() {
        let node = Node::start_in(Folder::new("preparation"), chain, &[]);
        chain.mine(&node);
        node.stop();
        for stale in ["regtest/debug.log", "regtest/peers.dat", "regtest/.lock", "output.log"] {
            let _ = fs::remove_file(node.folder().join(stale));
        }
        // Another process may have been first: either of the two is good.
        if let Err(error) = fs::rename(node.folder(), &kept) {
            assert!(kept.exists(), "the chain can't be kept: {error}");
        }
    }
    kept
}
