//! Nodes that die, come back or were never let in, and the pool's own restarts: what is lost is nothing.

use std::fs;

use serde_json::{Value, json};

use crate::blocks::{pool_address, script_of_type, wait_for_work_on_tip};
use crate::chain::Chain;
use crate::miner::{Miner, Want};
use crate::node::Node;
use crate::place::{Folder, wait_for};
use crate::pool::Pool;

const READY: &str = "ready";
const UNREACHABLE: &str = "unreachable";

#[track_caller]
fn wait_for_state(pool: &Pool, node: usize, state: &str) {
    pool.wait_for_node_state(node, state, |found| found == state);
}

#[track_caller]
fn assert_takes_a_share(miner: &mut Miner) {
    miner.catch_up().expect("the miner stays connected");
    let share = miner.mine(Want::NotBlock);
    assert_eq!(miner.submit(&share), Ok(true));
}

#[test]
fn miners_keep_their_job_while_the_node_is_away() {
    let node = Node::start(Chain::Mweb);
    let pool = Pool::start(&[&node], &pool_address(&node));
    let address = node.address_of(&script_of_type("p2wpkh", 1));
    let mut miner = Miner::at_work(pool.stratum_port, &address, "x");
    assert_takes_a_share(&mut miner);

    node.kill();
    wait_for_state(&pool, 0, UNREACHABLE);
    for _ in 0..3 {
        assert_takes_a_share(&mut miner);
    }
    // A rig that starts now is given the last work, not an error.
    let mut latecomer = Miner::at_work(pool.stratum_port, &format!("{address}.second"), "x");
    assert_takes_a_share(&mut latecomer);

    node.restart();
    wait_for_state(&pool, 0, READY);
    pool.wait_until_ready();
    node.generate(1);
    wait_for_work_on_tip(&node, &mut miner);
    let share = miner.mine(Want::Block);
    assert_eq!(miner.submit(&share), Ok(true));
    node.block_in_chain(&share.block_hash);
    assert_eq!(pool.share_count(&address), 6);
}

#[test]
fn a_block_found_while_the_node_is_away_reaches_it_later() {
    let node = Node::start(Chain::Mweb);
    let pool = Pool::start(&[&node], &pool_address(&node));
    let mut miner = Miner::at_work(pool.stratum_port, &node.address_of(&script_of_type("p2tr", 1)), "x");
    node.kill();
    let share = miner.mine(Want::Block);
    assert_eq!(miner.submit(&share), Ok(true));
    node.restart();
    node.block_in_chain(&share.block_hash);
    assert_recorded_once(&pool, &share.block_hash);
}

#[test]
fn a_block_found_while_the_node_is_away_survives_the_pool_too() {
    let node = Node::start(Chain::Mweb);
    let mut pool = Pool::start(&[&node], &pool_address(&node));
    let mut miner = Miner::at_work(pool.stratum_port, &node.address_of(&script_of_type("p2wsh", 1)), "x");
    node.kill();
    let share = miner.mine(Want::Block);
    assert_eq!(miner.submit(&share), Ok(true));
    pool.kill();
    pool.restart();
    wait_for_state(&pool, 0, UNREACHABLE);
    assert_recorded_once(&pool, &share.block_hash);
    node.restart();
    node.block_in_chain(&share.block_hash);
    pool.wait_until_ready();
    assert_recorded_once(&pool, &share.block_hash);
}

#[track_caller]
fn assert_recorded_once(pool: &Pool, hash: &str) {
    let blocks = pool.ask("getblocks", json!([100]));
    let entries = blocks.as_array().expect("getblocks gives a list").iter().filter(|block| block["hash"] == hash);
    assert_eq!(entries.count(), 1, "{blocks}");
}

#[test]
fn the_second_node_takes_over_and_the_first_comes_back() {
    let (first, second) = (Node::start(Chain::Mweb), Node::start(Chain::Mweb));
    first.connect_to(&second);
    let pool = Pool::start(&[&first, &second], &pool_address(&first));
    let address = first.address_of(&script_of_type("p2pkh", 1));
    let mut miner = Miner::at_work(pool.stratum_port, &address, "x");
    assert_takes_a_share(&mut miner);
    let share = miner.mine(Want::Block);
    assert_eq!(miner.submit(&share), Ok(true));
    first.block_in_chain(&share.block_hash);
    second.block_in_chain(&share.block_hash);

    first.kill();
    wait_for_state(&pool, 0, UNREACHABLE);
    for _ in 0..2 {
        wait_for_work_on_tip(&second, &mut miner);
        let share = miner.mine(Want::Block);
        assert_eq!(miner.submit(&share), Ok(true));
        second.block_in_chain(&share.block_hash);
    }
    assert_eq!(pool.health().unwrap(), 200, "one good node is enough");

    first.restart();
    first.connect_to(&second);
    wait_for_state(&pool, 0, READY);
    // What the second node learnt alone is now good at both.
    wait_for_work_on_tip(&first, &mut miner);
    let share = miner.mine(Want::Block);
    assert_eq!(miner.submit(&share), Ok(true));
    first.block_in_chain(&share.block_hash);
    second.block_in_chain(&share.block_hash);

    second.kill();
    wait_for_state(&pool, 1, UNREACHABLE);
    wait_for_work_on_tip(&first, &mut miner);
    let share = miner.mine(Want::Block);
    assert_eq!(miner.submit(&share), Ok(true));
    first.block_in_chain(&share.block_hash);
    assert_eq!(pool.share_count(&address), 6);
}

#[test]
fn a_wrong_cookie_is_shown_and_its_repair_is_noticed() {
    let node = Node::start(Chain::Mweb);
    let folder = Folder::new("cookie");
    let cookie = folder.path().join("cookie");
    fs::write(&cookie, "__cookie__:0ddba11").unwrap();
    let pool = Pool::start_unready(&[&node], &pool_address(&node), |entry| {
        entry["nodes"][0]["cookie_file"] = json!(cookie);
    });
    wait_for_state(&pool, 0, "unauthorised");
    assert_eq!(pool.health().unwrap(), 503);
    assert!(!pool.ask("getinfo", json!([])).to_string().contains("0ddba11"), "a secret is never shown");

    fs::copy(node.cookie_file(), &cookie).unwrap();
    wait_for_state(&pool, 0, READY);
    pool.wait_until_ready();
    let mut miner = Miner::at_work(pool.stratum_port, &node.address_of(&script_of_type("p2sh", 1)), "x");
    assert_takes_a_share(&mut miner);
}

#[test]
fn a_pool_waits_for_a_node_that_is_not_there_yet() {
    let node = Node::start(Chain::Mweb);
    let address = pool_address(&node);
    node.stop();
    let pool = Pool::start_unready(&[&node], &address, |_| {});
    wait_for_state(&pool, 0, UNREACHABLE);
    assert_eq!(pool.health().unwrap(), 503);
    node.restart();
    pool.wait_until_ready();
    wait_for_state(&pool, 0, READY);
}

/// What a restart must not change, with everything that time alone changes left out.
fn remembered(pool: &Pool) -> Value {
    let pick = |entries: &Value, names: &[&str]| -> Vec<Value> {
        let entries = entries.as_array().expect("a list").iter();
        entries.map(|entry| names.iter().map(|name| (name.to_string(), entry[name].clone())).collect()).collect()
    };
    let info = pool.ask("getpayoutinfo", json!([]));
    let blocks = pool.ask("getblocks", json!([100]));
    json!({
        "miners": pick(&info["miners"], &["address", "total_difficulty", "share_count", "contribution_percent", "balance"]),
        "totals": [info["total_difficulty"], info["total_shares"], info["pool_fee_percent"], info["min_payout"]],
        "next_payouts": info["next_payouts"],
        "balances": pool.ask("getbalances", json!([])),
        "blocks": pick(&blocks, &["height", "hash", "time", "finder", "value", "outputs", "confirmations", "status"]),
    })
}

#[test]
fn a_restart_of_the_pool_changes_no_window_no_balance_and_no_block() {
    let node = Node::start(Chain::Mweb);
    // Two outputs, one of them the pool's: of three miners two are carried, so that there are balances to keep.
    let mut pool = Pool::start_with(&[&node], &pool_address(&node), |entry| entry["payout"]["max_outputs"] = json!(2));
    let addresses: Vec<String> = ["p2pkh", "p2wpkh", "p2tr"]
        .iter()
        .zip(1..)
        .map(|(kind, number)| node.address_of(&script_of_type(kind, number)))
        .collect();
    let mut miners: Vec<Miner> =
        addresses.iter().map(|address| Miner::at_work(pool.stratum_port, address, "x")).collect();
    for _ in 0..3 {
        for (miner, shares) in miners.iter_mut().zip([4, 2, 1]) {
            wait_for_work_on_tip(&node, miner);
            (0..shares).for_each(|_| assert_takes_a_share(miner));
        }
        let share = miners[0].mine(Want::Block);
        assert_eq!(miners[0].submit(&share), Ok(true));
        node.block_in_chain(&share.block_hash);
    }
    pool.rpc_as_admin("setpoolfee", json!(["2"])).expect("the token opens setpoolfee");
    wait_for_work_on_tip(&node, &mut miners[0]);
    wait_for("the last block is known to be in the chain", 20, || {
        let blocks = pool.ask("getblocks", json!([100]));
        blocks.as_array()?.iter().all(|block| block["status"] == "accepted").then_some(())
    });

    let before = remembered(&pool);
    let carried = before["miners"].as_array().unwrap().iter().filter(|miner| !is_zero(&miner["balance"])).count();
    assert!(carried > 0, "some balance is owed: {before}");
    assert!(pool.stop().success(), "SIGTERM is a commit and an exit");
    pool.restart();
    pool.wait_until_ready();
    assert_eq!(remembered(&pool), before, "after SIGTERM");
    pool.kill();
    pool.restart();
    pool.wait_until_ready();
    assert_eq!(remembered(&pool), before, "after SIGKILL");

    let mut miner = Miner::at_work(pool.stratum_port, &addresses[0], "x");
    let share = miner.mine(Want::Block);
    assert_eq!(miner.submit(&share), Ok(true));
    node.block_in_chain(&share.block_hash);
}

fn is_zero(amount: &Value) -> bool {
    crate::transactions::litoshi(amount) == 0
}
