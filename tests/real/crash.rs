//! `kill -9` under load: what was acknowledged is there afterwards, once.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::blocks::{pool_address, script_of_type, wait_for_work_on_tip};
use crate::chain::Chain;
use crate::miner::{Miner, Want};
use crate::node::Node;
use crate::pool::{ONE_HASH, Pool};
use crate::pour::{Tally, pour};

const ROUNDS: u64 = 10;
/// For a first answer to each miner.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn every_acknowledged_share_survives_a_kill_once() {
    let node = Node::start(Chain::Mweb);
    let mut pool = Pool::start_with(&[&node], &pool_address(&node), |entry| entry["vardiff"]["max"] = json!(ONE_HASH));
    let addresses: Vec<String> = ["p2pkh", "p2wpkh", "p2tr"]
        .iter()
        .zip(1..)
        .map(|(kind, number)| node.address_of(&script_of_type(kind, number)))
        .collect();
    let mut counted = vec![0; addresses.len()];
    let mut lost_on_the_way = 0;
    for round in 0..ROUNDS {
        let tallies: Vec<Tally> = addresses.iter().map(|_| Tally::default()).collect();
        let miners: Vec<(usize, Miner)> = [0, 0, 1, 2]
            .into_iter()
            .enumerate()
            .map(|(rig, owner)| {
                let username = format!("{}.rig{rig}", addresses[owner]);
                (owner, Miner::at_work(pool.stratum_port, &username, "x"))
            })
            .collect();
        thread::scope(|scope| {
            for (owner, miner) in miners {
                let tally = &tallies[owner];
                scope.spawn(move || pour(miner, Want::NotBlock, Duration::ZERO, tally));
            }
            // However slow the machine is, everybody is at work before it is cut.
            let began = Instant::now();
            let idle = |tally: &Tally| tally.acknowledged.load(Ordering::Relaxed) == 0;
            while tallies.iter().any(idle) && began.elapsed() < PATIENCE {
                thread::sleep(Duration::from_millis(20));
            }
            // Each round is cut at another phase of the quarter second between two commits.
            thread::sleep(Duration::from_millis(700 + 61 * round));
            pool.kill();
        });
        pool.restart();
        pool.wait_until_ready();
        for ((address, tally), counted) in addresses.iter().zip(&tallies).zip(&mut counted) {
            let (sent, acknowledged) = (tally.sent.load(Ordering::Relaxed), tally.acknowledged.load(Ordering::Relaxed));
            assert!(acknowledged > 0, "round {round} poured nothing for {address}");
            let found = pool.share_count(address);
            let possible = *counted + acknowledged..=*counted + sent;
            assert!(possible.contains(&found), "round {round}, {address}: {found} shares, possible are {possible:?}");
            lost_on_the_way += sent - acknowledged;
            *counted = found;
        }
    }
    assert!(lost_on_the_way > 0, "no kill ever came while shares were on their way: the test proves nothing");
}

#[test]
fn a_block_acknowledged_just_before_a_kill_is_in_the_chain_and_recorded_once() {
    let node = Node::start(Chain::Mweb);
    let mut pool = Pool::start(&[&node], &pool_address(&node));
    let address = node.address_of(&script_of_type("p2wpkh", 1));
    let mut found = Vec::new();
    for round in 0..5 {
        let mut miner = Miner::at_work(pool.stratum_port, &address, "x");
        wait_for_work_on_tip(&node, &mut miner);
        let share = miner.mine(Want::Block);
        assert_eq!(miner.submit(&share), Ok(true));
        pool.kill();
        pool.restart();
        pool.wait_until_ready();
        node.block_in_chain(&share.block_hash);
        found.push(share.block_hash);
        assert_eq!(pool.share_count(&address), round + 1, "the share counts as well");
    }
    let blocks = pool.ask("getblocks", json!([100]));
    let mut recorded: Vec<&str> =
        blocks.as_array().expect("a list").iter().map(|block| block["hash"].as_str().expect("a hash")).collect();
    recorded.sort_unstable();
    found.sort_unstable();
    assert_eq!(recorded, found);
}
