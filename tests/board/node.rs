//! The coin node of a board under test: the demo's chain on this machine, in which nobody finds a block, and the
//! configuration that points at it.

use edgepool::coin::address;
use edgepool::coin::script::Script;
use edgepool::shell::demo::chain::{Chain, ChainSpec};
use edgepool::shell::demo::node::EmbeddedNode;

use serde_json::{Value, json};

use crate::vm::HOST;

const COOKIE: &str = "edgepool:the-node's-password";
/// Difficulty 1 is 65,536 hashes of scrypt; this is one hash, so that each is a share.
const ONE_HASH: f64 = 1.0 / 65_536.0;

/// A node that listens on this machine's loopback.
pub fn node() -> EmbeddedNode {
    let spec = ChainSpec { block_interval_s: 600, start_hashes: 1 << 40, seed: 1, ..ChainSpec::litecoin() };
    EmbeddedNode::start(Chain::new(spec, 1_800_000_000), COOKIE).unwrap()
}

/// A board's configuration for it, as an operator would write it: everything else is left to the defaults.
pub fn configuration(node: &EmbeddedNode, board: &Value) -> Value {
    let (user, password) = COOKIE.split_once(':').unwrap();
    json!({
        "pools": [{
            "name": "ltc",
            "coin": "litecoin",
            "network": "regtest",
            "nodes": [{"url": format!("http://{HOST}:{}", node.addr().port()), "user": user, "password": password}],
            "vardiff": {"start": ONE_HASH, "min": ONE_HASH, "max": ONE_HASH},
            "payout": {"address": address_of(9)}
        }],
        "board": board
    })
}

/// The regtest address of a miner.
pub fn address_of(number: u8) -> String {
    let ChainSpec { coin, network, .. } = ChainSpec::litecoin();
    address::encode(&Script::witness(0, &[number; 20]).unwrap(), coin, network).unwrap()
}
