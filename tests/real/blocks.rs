//! Blocks that the pool's miners find, judged by its node: each is accepted, and pays what the pool had announced.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::chain::{Chain, MWEB_HEIGHT};
use crate::kind::on_each_node;
use crate::miner::{Job, Miner, PATIENCE, Share, Want};
use crate::node::{Node, address_in};
use crate::place::wait_for;
use crate::pool::Pool;
use crate::rpc::Rpc;
use crate::transactions::litoshi;

/// Output scripts of the five types a coinbase can pay, each with a hash that only one miner has.
pub fn script_of_type(kind: &str, number: u8) -> String {
    let (short, long) = (hex::encode([number; 20]), hex::encode([number; 32]));
    match kind {
        "p2pkh" => format!("76a914{short}88ac"),
        "p2sh" => format!("a914{short}87"),
        "p2wpkh" => format!("0014{short}"),
        "p2wsh" => format!("0020{long}"),
        "p2tr" => format!("5120{long}"),
        _ => panic!("no such type: {kind}"),
    }
}

pub const TYPES: [&str; 5] = ["p2pkh", "p2sh", "p2wpkh", "p2wsh", "p2tr"];

/// An address of the pool operator, unlike every miner's.
pub fn pool_address(node: &Node) -> String {
    node.address_of(&script_of_type("p2wpkh", 0xee))
}

/// Makes the pool cut a job from what it knows now, and takes what `getpayoutinfo` announces for it.
///
/// Setting the fee makes a job at once, also when it stays what it was; no share is sent between that and the block, so the
/// announcement and the job speak of the same window.
pub fn announcement(pool: &Rpc, miner: &mut Miner, fee: &str) -> Value {
    loop {
        miner.catch_up().unwrap();
        let before = miner.job.clone().unwrap().id;
        pool.rpc_as_admin("setpoolfee", json!([fee])).expect("the token opens setpoolfee");
        let job = miner.wait_for_job(|job| job.id != before);
        let info = pool.ask("getpayoutinfo", json!([]));
        // A new template in between would have brought another job, and another value to split.
        thread::sleep(Duration::from_millis(100));
        miner.catch_up().unwrap();
        if miner.job.as_ref().is_some_and(|newest| newest.id == job.id) {
            return info;
        }
    }
}

/// Address → base units of `next_payouts` and the pool's own part.
pub fn announced_outputs(info: &Value) -> BTreeMap<String, u64> {
    let mut outputs = BTreeMap::new();
    let mut add = |address: &Value, amount: &Value| {
        let units = litoshi(amount);
        if units > 0 {
            *outputs.entry(address.as_str().unwrap().to_owned()).or_default() += units;
        }
    };
    for payout in info["next_payouts"].as_array().expect("next_payouts is a list") {
        add(&payout["address"], &payout["amount"]);
    }
    add(&info["pool_address"], &info["pool_amount"]);
    outputs
}

/// Address → base units of a block's coinbase, the commitment left out.
pub fn paid_outputs(block: &Value) -> BTreeMap<String, u64> {
    let mut outputs = BTreeMap::new();
    for output in block["tx"][0]["vout"].as_array().unwrap() {
        if output["scriptPubKey"]["hex"].as_str().unwrap().starts_with("6a24aa21a9ed") {
            assert_eq!(litoshi(&output["value"]), 0);
            continue;
        }
        let address = address_in(&output["scriptPubKey"]).unwrap().to_owned();
        let earlier = outputs.insert(address, litoshi(&output["value"]));
        assert_eq!(earlier, None, "one output for one address: {block}");
    }
    outputs
}

/// Finds a block with this miner and gives it as the node shows it, after comparing what it pays.
pub fn mine_announced_block(node: &Node, pool: &Rpc, miner: &mut Miner, fee: &str) -> Value {
    let info = announcement(pool, miner, fee);
    let share = miner.mine(Want::Block);
    assert_eq!(miner.submit(&share), Ok(true));
    let block = node.block_in_chain(&share.block_hash);
    assert_eq!(paid_outputs(&block), announced_outputs(&info));
    block
}

fn txids(block: &Value) -> Vec<&str> {
    block["tx"].as_array().unwrap().iter().map(|tx| tx["txid"].as_str().unwrap()).collect()
}

#[test]
fn every_kind_of_transaction_and_of_address_ends_in_blocks_that_pay_as_announced() {
    let node = Node::start(Chain::Mweb);
    let pool = Pool::start(&[&node], &pool_address(&node));
    let addresses: Vec<String> =
        (1..).zip(TYPES).map(|(number, kind)| node.address_of(&script_of_type(kind, number))).collect();
    let mut miners: Vec<Miner> =
        addresses.iter().map(|address| Miner::at_work(pool.stratum_port, &format!("{address}.rig"), "x")).collect();

    // A node renews a template for its mempool only now and then, but for a new tip at once: so each round puts its
    // transactions into the mempool, and the block after the next one holds them.
    for finder in 0..miners.len() {
        let transparent = [node.send_legacy(), node.send_segwit(), node.send_peg_in()];
        let hidden = node.send_within_mweb();
        // All are sent before the first verdict is waited for, as one commit of the pool can hold them all.
        let sent: Vec<Vec<u64>> = (miners.iter_mut().zip([5, 4, 3, 2, 1]))
            .map(|(miner, shares)| {
                miner.catch_up().unwrap();
                let found: Vec<Share> = (0..shares).map(|_| miner.mine(Want::NotBlock)).collect();
                found.iter().map(|share| miner.send_share(share).unwrap()).collect()
            })
            .collect();
        for (miner, ids) in miners.iter_mut().zip(sent) {
            for id in ids {
                assert_eq!(miner.reply(id, PATIENCE).unwrap(), Ok(json!(true)));
            }
        }
        let block = mine_announced_block(&node, &pool, &mut miners[finder], "1.0");
        let paid = paid_outputs(&block);
        assert!(addresses.iter().all(|address| paid.contains_key(address)), "all five are paid: {paid:?}");
        assert!(paid.contains_key(&pool_address(&node)), "and so is the pool");

        wait_for_work_on_tip(&node, &mut miners[finder]);
        let block = mine_announced_block(&node, &pool, &mut miners[finder], "1.0");
        let held = txids(&block);
        if let Some(missing) = transparent.iter().find(|txid| node.confirmations(txid) < 1) {
            panic!("{missing} is not among {held:?}");
        }
        assert!(node.confirmations(&hidden) >= 1, "the payment within MWEB");
        assert!(block.get("mweb").is_some());
        for miner in &mut miners {
            wait_for_work_on_tip(&node, miner);
        }
    }

    let blocks = pool.ask("getblocks", json!([100]));
    let blocks = blocks.as_array().expect("getblocks gives a list");
    assert_eq!(blocks.len(), 2 * miners.len());
    for block in blocks {
        assert_eq!(block["hash"], node.ask("getblockhash", json!([block["height"]])), "{block}");
    }
}

#[test]
fn a_change_of_the_fee_shows_in_the_next_block() {
    let node = Node::start(Chain::Mweb);
    let pool = Pool::start(&[&node], &pool_address(&node));
    let address = node.address_of(&script_of_type("p2wpkh", 1));
    let mut miner = Miner::at_work(pool.stratum_port, &address, "x");
    let share = miner.mine(Want::NotBlock);
    assert_eq!(miner.submit(&share), Ok(true));
    let refused = pool.rpc("setpoolfee", json!(["50"]));
    assert_eq!(refused.unwrap_err().0, -32001, "nobody changes a fee without the token");
    for (fee, part) in [("0", 0), ("1.0", 10_000), ("2.5", 25_000)] {
        let block = mine_announced_block(&node, &pool, &mut miner, fee);
        let paid = paid_outputs(&block);
        let value: u64 = paid.values().sum();
        // The only miner has the whole window, so nothing but the fee is left over.
        assert_eq!(paid.get(&pool_address(&node)).copied().unwrap_or_default(), value * part / 1_000_000, "fee {fee}");
        wait_for_work_on_tip(&node, &mut miner);
    }
}

#[test]
fn a_pool_mines_through_the_activation_of_mweb() {
    let node = Node::start(Chain::BeforeMweb);
    let pool = Pool::start(&[&node], &pool_address(&node));
    let address = node.address_of(&script_of_type("p2pkh", 1));
    let mut miner = Miner::at_work(pool.stratum_port, &address, "x");
    let share = miner.mine(Want::NotBlock);
    assert_eq!(miner.submit(&share), Ok(true));

    let segwit = node.send_segwit();
    for _ in 0..2 {
        wait_for_work_on_tip(&node, &mut miner);
        let block = mine_announced_block(&node, &pool, &mut miner, "1.0");
        assert!(block.get("mweb").is_none(), "still before MWEB");
    }
    assert_eq!(node.height(), MWEB_HEIGHT - 1);
    assert!(node.confirmations(&segwit) >= 1);

    // The node itself can't make the first MWEB block without a peg-in: the pool waits, shows it, and goes on by itself.
    pool.wait_for_node_state(0, "not ready", |state| state != "ready");
    let peg_in = node.send_peg_in();
    pool.wait_until_ready();
    wait_for_work_on_tip(&node, &mut miner);
    let block = mine_announced_block(&node, &pool, &mut miner, "1.0");
    assert_eq!(block["height"], MWEB_HEIGHT);
    assert!(block.get("mweb").is_some());
    assert!(txids(&block).contains(&peg_in.as_str()));
}

on_each_node!(a_rolled_version_makes_a_block, a_block_of_another_miner_brings_new_work_at_once);

fn a_rolled_version_makes_a_block(node: Node) {
    let pool = Pool::start(&[&node], &pool_address(&node));
    let address = node.address_of(&script_of_type("p2tr", 1));
    let mut miner = Miner::connect(pool.stratum_port).unwrap();
    let configured = miner.configure();
    assert_eq!(configured["version-rolling"], true, "{configured}");
    assert_ne!(miner.version_mask, 0);
    miner.subscribe();
    assert_eq!(miner.authorize(&address, "x"), Ok(true));
    let job = miner.wait_for_job(|_| true);
    assert_eq!(job.version & miner.version_mask, 0, "a job has none of the bits that the miner rolls");

    let rolled = 0x1555_4000 & miner.version_mask;
    let share = miner.mine_with(&job, Want::Block, rolled, job.ntime + 1);
    assert_eq!(miner.submit(&share), Ok(true));
    let block = node.block_in_chain(&share.block_hash);
    assert_eq!(block["version"], json!(job.version | rolled));
    assert_eq!(block["time"], json!(job.ntime + 1));
}

fn a_block_of_another_miner_brings_new_work_at_once(node: Node) {
    let pool = Pool::start(&[&node], &pool_address(&node));
    let mut miner = Miner::at_work(pool.stratum_port, &node.address_of(&script_of_type("p2sh", 1)), "x");
    node.generate(1);
    let job = wait_for_work_on_tip(&node, &mut miner);
    assert!(job.clean, "work on the old tip is worthless");
    let found = pool.ask("getblocks", json!([]));
    assert_eq!(found, json!([]), "the pool found none");
    wait_for("getinfo shows the new height", 10, || {
        let info = pool.ask("getinfo", json!([]));
        (pool.part_of(&info)["height"] == node.height() + 1).then_some(())
    });
}

/// Has one share credited: one that makes no block, where there is such a thing.
pub fn credit_share(node: &Node, miner: &mut Miner) {
    if node.kind().proof_of_work.makes_a_block_of_every_share() {
        find_block(node, miner);
    } else {
        wait_for_work_on_tip(node, miner);
        let share = miner.mine(Want::NotBlock);
        assert_eq!(miner.submit(&share), Ok(true));
    }
}

/// Finds a block on the node's tip and gives its hash.
pub fn find_block(node: &Node, miner: &mut Miner) -> String {
    wait_for_work_on_tip(node, miner);
    let share = miner.mine(Want::Block);
    assert_eq!(miner.submit(&share), Ok(true));
    node.block_in_chain(&share.block_hash);
    share.block_hash
}

/// Waits until the miner's job continues the node's best chain.
#[track_caller]
pub fn wait_for_work_on_tip(node: &Node, miner: &mut Miner) -> Job {
    let mut tip = hex::decode(node.tip()).unwrap();
    tip.reverse();
    miner.wait_for_job(|job| job.prev_hash[..] == tip)
}
