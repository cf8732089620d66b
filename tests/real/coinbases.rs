//! Coinbases of different sizes in one pool, judged by litecoind.

use serde_json::json;

use crate::blocks::{mine_announced_block, paid_outputs, pool_address, script_of_type, wait_for_work_on_tip};
use crate::chain::Chain;
use crate::miner::{Miner, Want};
use crate::node::Node;
use crate::place::wait_for;
use crate::pool::Pool;

const MINERS: u8 = 60;

#[test]
fn a_wide_coinbase_and_a_narrow_one_make_blocks_of_one_pool() {
    let node = Node::start(Chain::Mweb);
    let pool = Pool::start_with(&[&node], &pool_address(&node), |entry| {
        entry["payout"]["max_outputs"] = json!(100);
    });
    let mut rigs: Vec<Miner> = (0..MINERS)
        .map(|number| {
            let address = node.address_of(&script_of_type("p2wpkh", number));
            let mut rig = Miner::at_work(pool.stratum_port, &address, "cb=16000");
            let share = rig.mine(Want::NotBlock);
            assert_eq!(rig.submit(&share), Ok(true));
            rig
        })
        .collect();

    let wide = &mut rigs[0];
    wide.catch_up().unwrap();
    let block = mine_announced_block(&node, &pool, wide, "1.0");
    assert_eq!(paid_outputs(&block).len(), usize::from(MINERS) + 1, "everybody and the pool");
    wait_for_work_on_tip(&node, wide);

    // A rig of old firmware finds the next one: it pays those who have room in 500 bytes, the rest is owed.
    let mut narrow = Miner::at_work(pool.stratum_port, &node.address_of(&script_of_type("p2wpkh", 0)), "cb=500");
    wait_for_work_on_tip(&node, &mut narrow);
    let coinbase = narrow.job.clone().unwrap().coinbase(&[0; 4], &[0; 4]);
    assert!(coinbase.len() <= 500, "{} bytes", coinbase.len());
    let height = node.height();
    let share = narrow.mine(Want::Block);
    assert_eq!(narrow.submit(&share), Ok(true));
    wait_for("the narrow block", 20, || (node.height() == height + 1).then_some(()));
    let block = node.ask("getblock", json!([node.tip(), 2]));
    let paid = paid_outputs(&block).len();
    assert!((2..=12).contains(&paid), "{paid} outputs in 500 bytes");
    // The pool believes its node, which it asks.
    let is_accepted = || (pool.ask("getblocks", json!([1]))[0]["status"] == "accepted").then_some(());
    wait_for("the pool to know", 20, is_accepted);
    let balances = pool.ask("getbalances", json!([]));
    let accounts = balances["balances"].as_array().expect("a list of balances");
    let owed = accounts.iter().filter(|account| account["balance"] != "0.00000000").count();
    assert_eq!(owed, usize::from(MINERS) + 1 - paid, "whoever had no room is owed: {balances}");
}
