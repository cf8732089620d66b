//! Bitcoin, judged by a real bitcoind: what is particular about it. What it has in common with Litecoin is tested on
//! both nodes elsewhere.

use serde_json::json;

use crate::blocks::{
    TYPES, find_block, mine_announced_block, paid_outputs, pool_address, script_of_type, wait_for_work_on_tip,
};
use crate::chain::Chain;
use crate::kind::BITCOIND;
use crate::miner::{Miner, Want};
use crate::node::Node;
use crate::pool::{Entry, Pool};
use crate::reorganisations::wait_for_status;

/// A node on this chain, unless there is no bitcoind.
fn node(chain: Chain, test: &str) -> Option<Node> {
    BITCOIND.is_here(test).then(|| Node::start(chain))
}

#[test]
fn every_kind_of_transaction_and_of_address_ends_in_bitcoin_blocks_that_pay_as_announced() {
    let Some(node) = node(Chain::Bitcoin, "the blocks of Bitcoin") else { return };
    let pool = Pool::start(&[&node], &pool_address(&node));
    let addresses: Vec<String> =
        (1..).zip(TYPES).map(|(number, kind)| node.address_of(&script_of_type(kind, number))).collect();
    let mut miners: Vec<Miner> = addresses
        .iter()
        .map(|address| {
            // Newer rigs roll the version, and so does every block here.
            let mut miner = Miner::connect(pool.stratum_port).unwrap();
            assert_eq!(miner.configure()["version-rolling.mask"], "1fffe000");
            miner.subscribe();
            assert_eq!(miner.authorize(&format!("{address}.rig"), "x"), Ok(true));
            miner.wait_for_job(|_| true);
            miner
        })
        .collect();
    // Each share is a block, so the window fills with blocks.
    let first: Vec<String> = miners.iter_mut().map(|miner| find_block(&node, miner)).collect();
    for (rolled, finder) in (1..).zip(0..miners.len()) {
        let sent = [node.send_legacy(), node.send_segwit(), node.send_taproot()];
        let miner = &mut miners[finder];
        wait_for_work_on_tip(&node, miner);
        let block = mine_announced_block(&node, &pool, miner, "1.0");
        let paid = paid_outputs(&block);
        assert!(addresses.iter().all(|address| paid.contains_key(address)), "all five are paid: {paid:?}");
        assert!(paid.contains_key(&pool_address(&node)), "and so is the pool");
        // What came into the mempool just before is in the next block at the latest.
        wait_for_work_on_tip(&node, miner);
        let job = miner.job.clone().unwrap();
        let share = miner.mine_with(&job, Want::Block, rolled << 13, job.ntime);
        assert_eq!(miner.submit(&share), Ok(true));
        let block = node.block_in_chain(&share.block_hash);
        assert_eq!(block["version"], json!(job.version | (rolled << 13)), "the version is the rolled one");
        assert!(sent.iter().all(|txid| node.confirmations(txid) >= 1), "{sent:?} and {block}");
    }
    for hash in &first {
        wait_for_status(&pool, hash, "accepted");
    }
    let outputs = pool.ask("getblocks", json!([1]))[0]["outputs"].clone();
    assert_eq!(outputs.as_array().unwrap().len(), addresses.len() + 1, "{outputs}");
}

#[test]
fn a_young_chain_whose_heights_are_single_opcodes_is_mined() {
    let Some(node) = node(Chain::BitcoinGenesis, "Bitcoin's first blocks") else { return };
    let pool = Pool::start(&[&node], &pool_address(&node));
    let mut miner = Miner::at_work(pool.stratum_port, &node.address_of(&script_of_type("p2tr", 1)), "x");
    // BIP34 writes heights to 16 in one byte.
    for height in 1..=18 {
        let hash = find_block(&node, &mut miner);
        assert_eq!(node.ask("getblock", json!([hash]))["height"], height);
    }
}

#[test]
fn a_template_with_an_unknown_rule_is_refused_while_the_pool_runs_and_mined_no_more() {
    if !BITCOIND.is_here("a rule that no pool of sha256d knows") {
        return;
    }
    let node = Node::start_with(Chain::BitcoinGenesis, &["-testactivationheight=blake2b@20"]);
    node.generate(15);
    let pool = Pool::start(&[&node], &pool_address(&node));
    let mut miner = Miner::at_work(pool.stratum_port, &node.address_of(&script_of_type("p2wpkh", 1)), "x");
    while node.height() < 19 {
        find_block(&node, &mut miner);
    }
    pool.wait_for_node_state(0, "template_refused", |state| state == "template_refused");
    assert_eq!(pool.health().unwrap(), 503);
    let info = pool.ask("getinfo", json!([]));
    let shown = &info["pools"][0]["chains"][0]["nodes"][0];
    assert!(shown["error"].as_str().unwrap().contains("blake2b"), "{shown}");
    let troubles = &info["pools"][0]["troubles"];
    assert!(!troubles.as_array().unwrap().is_empty(), "{info}");
}

#[test]
fn a_node_of_testnet4_without_the_rest_of_the_world_is_waited_for() {
    if !BITCOIND.is_here("testnet4") {
        return;
    }
    let node = Node::start_with(Chain::Testnet4, &["-connect=0"]);
    let pool = Pool::start_unready(&[&node], &node.address_of(&script_of_type("p2tr", 1)), |_| {});
    pool.wait_for_node_state(0, "syncing", |state| state == "syncing");
    assert_eq!(pool.health().unwrap(), 503);
    let info = pool.ask("getinfo", json!([]));
    assert_eq!(info["pools"][0]["network"], "testnet4");
    assert_eq!(info["pools"][0]["height"], json!(null), "nobody is given work on a chain that is not there yet");
    // testnet3 is another network, though its addresses look the same.
    let pool = Pool::start_unready(&[&node], &node.address_of(&script_of_type("p2tr", 1)), |entry| {
        entry["network"] = json!("testnet");
    });
    pool.wait_for_node_state(0, "wrong_network", |state| state == "wrong_network");
    let info = pool.ask("getinfo", json!([]));
    let error = info["pools"][0]["chains"][0]["nodes"][0]["error"].as_str().unwrap().to_owned();
    assert_eq!(error, "the node is on testnet4, this pool on testnet");
}

#[test]
fn signet_is_refused_with_its_reason() {
    let mut entry = Entry::new(&[], "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx");
    entry.config["coin"] = json!("bitcoin");
    entry.config["network"] = json!("signet");
    entry.config["nodes"] = json!([{"url": "http://127.0.0.1:38332"}]);
    let output = Pool::check(&[entry]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("pools[0].network: signet blocks must be signed"), "{told}");
}
