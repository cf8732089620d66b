//! One chain of the world: what its network, its nodes and its wallet know.

use edgepool::coin::params::{Coin, Network, coin};
use edgepool::coin::script::Script;
use edgepool::pool::spec::{ChainSpec, NodeSpec};

use crate::node::{Kind, Node};
use crate::tree::Tree;
use crate::wallet::Wallet;

pub struct Chain {
    pub tree: Tree,
    pub nodes: Vec<Node>,
    pub wallet: Wallet,
    /// Its nodes are away until the end.
    pub is_forsaken: bool,
}

/// A coin with a network whose coinbases mature soon.
pub fn regtest(name: &str, maturity: u32) -> (&'static Coin, &'static Network) {
    let coin = coin(name).unwrap();
    let regtest = coin.network("regtest").unwrap();
    (coin, Box::leak(Box::new(Network { maturity, ..*regtest })))
}

pub fn node_spec(name: String) -> NodeSpec {
    NodeSpec { url: format!("http://{name}"), authority: name, path: "/".into() }
}

/// The scripts that rigs are paid at, by number.
pub fn payees() -> Vec<Script> {
    let taproot = Script::witness(1, &[9; 32]).unwrap();
    let others = [taproot, Script::witness(0, &[2; 20]).unwrap(), Script::p2sh(&[7; 20])];
    (1..=8).chain([50, 57, 60, 61]).map(|number| Script::p2pkh(&[number; 20])).chain(others).collect()
}

/// A username of somebody, of whom there are [`PEOPLE`](crate::world::PEOPLE): some name nothing but an address of the
/// parent chain, some one of the child's, some the one that would be paid anyway.
pub fn username(chains: &[ChainSpec], who: u8) -> String {
    let on = |chain: usize, script: Script| chains[chain].address_text(&script);
    let key = |number: u8| Script::p2pkh(&[number; 20]);
    let (taproot, hash) = (Script::witness(1, &[9; 32]).unwrap(), Script::p2sh(&[7; 20]));
    let id = chains[1].coin.auxpow.unwrap().chain_id;
    let head = match who {
        0..=8 => on(0, key(who)),
        9 => on(0, taproot),
        10 => format!("{},{}", on(0, taproot), on(1, key(60))),
        11 => format!("{}/{id}:{}", on(0, key(1)), on(1, key(61))),
        12 => on(0, Script::witness(0, &[2; 20]).unwrap()),
        13 => format!("{},{}", on(0, key(3)), on(1, key(3))),
        14 => on(0, hash),
        _ => format!("{},{}", on(0, hash.clone()), on(1, hash)),
    };
    format!("{head}.rig")
}

impl Chain {
    pub fn new(index: usize, spec: &ChainSpec, kind: Kind, pool_script: Vec<u8>, maturity: u32, seed: u64) -> Chain {
        let tree = Tree::new();
        let texts = payees().into_iter().map(|script| (spec.address_text(&script), script.as_bytes().to_vec()));
        let wallet = Wallet::new(tree.tip, pool_script, texts.collect(), maturity, seed);
        let nodes = (0..spec.nodes.len()).map(|number| Node::new(&tree, kind, (10 * index + number) as u8)).collect();
        Chain { tree, nodes, wallet, is_forsaken: false }
    }
}
