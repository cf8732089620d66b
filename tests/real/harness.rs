//! The parts that the other tests stand on, tried on a real node and on blocks that a real node accepted.

use std::thread;

use serde_json::{Value, json};

use crate::blocks::{TYPES, script_of_type};
use crate::chain::{Chain, MWEB_HEIGHT};
use crate::miner::Job;
use crate::node::{Node, RpcError};
use crate::place::{free_port, wait_for};
use crate::proof_of_work::{ProofOfWork, compact_target, sha256d};
use crate::transactions::litoshi;

#[test]
fn a_fresh_node_gives_templates_as_soon_as_it_has_a_block() {
    let node = Node::start(Chain::Genesis);
    node.generate(1);
    assert_eq!(node.height(), 1);
    assert_eq!(node.template().unwrap()["height"], 2);
    assert!(!node.mweb_activated());
}

#[test]
fn a_node_before_mweb_needs_a_peg_in_for_the_first_mweb_block() {
    let node = Node::start(Chain::BeforeMweb);
    assert!(node.template().unwrap().get("mweb").is_none());
    node.generate(2);
    assert_eq!(node.height(), MWEB_HEIGHT - 1);
    assert!(matches!(node.template(), Err(RpcError::Node { code: -1, .. })));
    node.send_peg_in();
    wait_for("a template with the peg-in", 20, || node.template().ok()?.get("mweb").cloned());
    node.generate(1);
    assert!(node.mweb_activated());
}

#[test]
fn the_mweb_chain_takes_every_kind_of_transaction() {
    let node = Node::start(Chain::Mweb);
    assert!(node.mweb_activated());
    let sent = [node.send_legacy(), node.send_segwit(), node.send_peg_in(), node.send_within_mweb()];
    assert_eq!(node.ask("getrawmempool", json!([])).as_array().unwrap().len(), sent.len());
    node.generate(1);
    for txid in sent {
        assert_eq!(node.confirmations(&txid), 1);
    }
}

#[test]
fn a_node_comes_back_with_its_chain_after_a_kill_and_after_a_stop() {
    let node = Node::start(Chain::Mweb);
    node.generate(3);
    let tip = node.tip();
    node.kill();
    assert!(matches!(node.rpc("getblockcount", json!([])), Err(RpcError::Transport(_))));
    node.restart();
    assert_eq!(node.tip(), tip);
    node.stop();
    node.restart();
    assert_eq!(node.tip(), tip);
    assert!(node.template().is_ok(), "a peer is there at once");
}

#[test]
fn two_nodes_share_their_blocks() {
    let (first, second) = (Node::start(Chain::Mweb), Node::start(Chain::Mweb));
    first.connect_to(&second);
    second.generate(1);
    wait_for("the block at the other node", 20, || (first.tip() == second.tip()).then_some(()));
}

#[test]
fn the_node_prints_an_address_for_each_type_of_script() {
    let node = Node::start(Chain::Genesis);
    for kind in TYPES {
        let script = script_of_type(kind, 9);
        let validated = node.ask("validateaddress", json!([node.address_of(&script)]));
        assert_eq!(validated["scriptPubKey"], script, "{kind}: {validated}");
    }
}

#[test]
fn ports_are_given_once() {
    let takers: Vec<_> = (0..8).map(|_| thread::spawn(|| (0..10).map(|_| free_port()).collect::<Vec<_>>())).collect();
    let mut ports: Vec<u16> = takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 80);
}

#[test]
fn amounts_are_read_to_the_unit() {
    for (amount, units) in [
        (json!(4.16669056), 416_669_056),
        (json!("0.00000001"), 1),
        (json!("12.5"), 1_250_000_000),
        (json!(50), 5_000_000_000),
    ] {
        assert_eq!(litoshi(&amount), units, "{amount}");
    }
}

/// A block that litecoind accepted, built here from what stratum would have sent for it.
#[test]
fn the_miner_builds_the_header_that_a_node_accepted() {
    let vector: Value = serde_json::from_str(include_str!("../vectors/vector_ltc_mweb_emptytx_1out.json")).unwrap();
    let text = |name: &str| vector[name].as_str().unwrap().to_owned();
    let bytes = |name: &str| hex::decode(text(name)).unwrap();
    let number = |name: &str| u32::from_str_radix(&text(name), 16).unwrap();
    let (params, difficulty) = (
        json!([
            "j",
            text("stratum_prevhash"),
            text("coinbase1"),
            text("coinbase2"),
            vector["merkle_branch"],
            text("version_hex"),
            text("nbits"),
            text("ntime_hex"),
            true
        ]),
        1.0,
    );
    let job = Job::parse(&params, difficulty).expect("a notify");
    let coinbase = job.coinbase(&bytes("extranonce1"), &bytes("extranonce2"));
    let mut txid = sha256d(&coinbase);
    txid.reverse();
    assert_eq!(hex::encode(txid), text("coinbase_txid"));
    let root = job.merkle_root(&coinbase);
    let header = job.header(job.version, &root, job.ntime, number("nonce_hex"));
    assert_eq!(hex::encode(header), text("header"));
    let pow = ProofOfWork::Scrypt.hash(&header);
    assert_eq!(hex::encode(pow), text("pow_hash_be"));
    assert!(pow <= compact_target(job.bits));
}

#[test]
fn targets_and_difficulties_are_the_known_ones() {
    let difficulty_one = compact_target(0x1f00_ffff);
    assert_eq!(hex::encode(&difficulty_one[..6]), "0000ffff0000");
    assert_eq!(ProofOfWork::Scrypt.share_difficulty(&difficulty_one), 1.0);
    assert_eq!(ProofOfWork::Sha256d.share_difficulty(&compact_target(0x1d00_ffff)), 1.0);
    assert_eq!(hex::encode(&compact_target(0x207f_ffff)[..4]), "7fffff00");
}
