//! The life of a block with real reorganisations: by `invalidateblock`, and by a longer branch from a second node.

use serde_json::{Value, json};

use crate::blocks::{credit_share, find_block, pool_address, script_of_type};
use crate::chain::Chain;
use crate::kind::on_each_node;
use crate::miner::Miner;
use crate::node::Node;
use crate::place::wait_for;
use crate::pool::Pool;
use crate::rpc::Rpc;

fn block(pool: &Rpc, hash: &str) -> Value {
    let mut blocks = pool.ask("getblocks", json!([1000]));
    let blocks = blocks.as_array_mut().expect("a list");
    blocks.iter_mut().find(|block| block["hash"] == hash).expect("the block is listed").take()
}

#[track_caller]
pub fn wait_for_status(pool: &Rpc, hash: &str, status: &str) -> Value {
    wait_for(&format!("block {hash} is {status}"), 60, || {
        let block = block(pool, hash);
        (block["status"] == status).then_some(block)
    })
}

fn paid_and_pending(pool: &Rpc, address: &str) -> (Value, Value) {
    let mut stats = pool.ask("getminerstats", json!([address]));
    (stats["paid_total"].take(), stats["pending"].take())
}

fn conservation(pool: &Rpc) -> Value {
    pool.ask("getbalances", json!([]))["conserved"].take()
}

on_each_node!(a_block_leaves_the_chain_and_comes_back_and_matures);

fn a_block_leaves_the_chain_and_comes_back_and_matures(node: Node) {
    let mut pool = Pool::start(&[&node], &pool_address(&node));
    let address = node.address_of(&script_of_type("p2wpkh", 1));
    let mut miner = Miner::at_work(pool.stratum_port, &address, "x");
    credit_share(&node, &mut miner);
    // The split of the first job of an empty window pays the pool alone; a second later there is another.
    wait_for("a job that pays the miner", 10, || {
        let info = pool.ask("getpayoutinfo", json!([]));
        (info["next_payouts"][0]["address"] == address.as_str()).then_some(())
    });
    let hash = find_block(&node, &mut miner);
    let accepted = wait_for_status(&pool, &hash, "accepted");
    let (paid, pending) = paid_and_pending(&pool, &address);
    assert_ne!(paid, "0");
    assert_eq!(paid, pending, "nothing of it is mature");

    // Twice on one of the nodes, for what comes back may leave again.
    let times = if node.kind().proof_of_work.makes_a_block_of_every_share() { 1 } else { 2 };
    for _ in 0..times {
        node.ask("invalidateblock", json!([hash]));
        node.generate(2);
        wait_for_status(&pool, &hash, "orphaned");
        assert_eq!(paid_and_pending(&pool, &address), (json!("0.00000000"), json!("0.00000000")));
        assert_eq!(conservation(&pool), true);
        // A restart forgets nothing of it, and watches on.
        pool.kill();
        pool.restart();
        pool.wait_until_ready();
        assert_eq!(block(&pool, &hash)["status"], "orphaned");
        let theirs = node.ask("getblockhash", json!([accepted["height"]]));
        node.ask("reconsiderblock", json!([hash]));
        node.ask("invalidateblock", json!([theirs]));
        assert_eq!(node.tip(), hash);
        wait_for_status(&pool, &hash, "accepted");
        assert_eq!(paid_and_pending(&pool, &address), (paid.clone(), pending.clone()));
    }

    node.generate(98);
    assert_eq!(wait_for_confirmations(&pool, &hash, 99)["status"], "accepted");
    node.generate(1);
    let confirmed = wait_for_status(&pool, &hash, "confirmed");
    assert_eq!(confirmed["outputs"], accepted["outputs"]);
    assert_eq!(paid_and_pending(&pool, &address), (paid, json!("0.00000000")));
    assert_eq!(conservation(&pool), true);
}

#[track_caller]
fn wait_for_confirmations(pool: &Rpc, hash: &str, count: u64) -> Value {
    wait_for(&format!("{count} confirmations"), 30, || {
        let block = block(pool, hash);
        (block["confirmations"] == count).then_some(block)
    })
}

#[test]
fn a_longer_branch_of_another_node_takes_a_block_away_and_its_money_back() {
    let (ours, theirs) = (Node::start(Chain::Mweb), Node::start(Chain::Mweb));
    let pool = Pool::start(&[&ours], &pool_address(&ours));
    let address = ours.address_of(&script_of_type("p2pkh", 2));
    let mut miner = Miner::at_work(pool.stratum_port, &address, "x");
    let hashes: Vec<String> = (0..3).map(|_| find_block(&ours, &mut miner)).collect();
    for hash in &hashes {
        wait_for_status(&pool, hash, "accepted");
    }
    theirs.generate(5);
    ours.connect_to(&theirs);
    assert_eq!(ours.tip(), theirs.tip());
    for hash in &hashes {
        wait_for_status(&pool, hash, "orphaned");
    }
    assert_eq!(paid_and_pending(&pool, &address).0, "0.00000000");
    // What is found now counts, and the next block after an orphan pays by the same rule.
    let hash = find_block(&ours, &mut miner);
    wait_for_status(&pool, &hash, "accepted");
    assert_ne!(paid_and_pending(&pool, &address).0, "0.00000000");
    assert_eq!(conservation(&pool), true);
    theirs.block_in_chain(&hash);
}
