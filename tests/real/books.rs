//! The ledger of a running pool against a real chain: verified while it runs, and made anew when it is lost.

use std::fs;
use std::process::Output;

use serde_json::json;

use crate::blocks::{credit_share, find_block, pool_address, script_of_type};
use crate::kind::on_each_node;
use crate::miner::Miner;
use crate::node::Node;
use crate::place::wait_for;
use crate::pool::Pool;
use crate::reorganisations::wait_for_status;

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn assert_true(pool: &Pool, wanted: &[&str]) {
    let output = pool.command(&["ledger", "verify", "--node"]);
    let text = printed(&output);
    assert!(output.status.success(), "{text}");
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted:?} is not in\n{text}");
    }
}

on_each_node!(a_ledger_is_verified_beside_its_pool_and_rebuilt_from_an_old_backup);

fn a_ledger_is_verified_beside_its_pool_and_rebuilt_from_an_old_backup(node: Node) {
    let mut pool = Pool::start(&[&node], &pool_address(&node));
    let addresses = ["p2wpkh", "p2pkh"].map(|kind| node.address_of(&script_of_type(kind, 1)));
    let mut miners = addresses.each_ref().map(|address| Miner::at_work(pool.stratum_port, address, "x"));
    for miner in &mut miners {
        credit_share(&node, miner);
    }
    // Of sha256d the two shares were blocks.
    let in_chain = 4 + if node.kind().proof_of_work.makes_a_block_of_every_share() { 2 } else { 0 };
    let blocks = format!("{} blocks ({in_chain} accepted, 1 orphaned)", in_chain + 1);
    let paid_by = format!("{in_chain} coinbases and 0 payments");
    let orphan = find_block(&node, &mut miners[0]);
    wait_for_status(&pool, &orphan, "accepted");
    let folder = pool.token_file().parent().unwrap().join("backup");
    let backed_up = pool.command(&["ledger", "backup", folder.to_str().unwrap()]);
    assert!(backed_up.status.success(), "{}", printed(&backed_up));
    node.ask("invalidateblock", json!([orphan]));
    node.generate(2);
    wait_for_status(&pool, &orphan, "orphaned");
    let hashes: Vec<String> = (0..4).map(|index| find_block(&node, &mut miners[index % 2])).collect();
    for hash in &hashes {
        wait_for_status(&pool, hash, "accepted");
    }
    assert_true(&pool, &[&blocks, "says the same at entry", &paid_by]);
    let proof = pool.ask("getpayoutproof", json!([hashes[3]]));
    assert_eq!(proof["contributions_total"], 2);
    let paid = |pool: &Pool| pool.ask("getbalances", json!([]))["paid_total"].as_str().unwrap().to_string();
    let before = paid(&pool);

    // The card is lost; the backup knows the first blocks only.
    pool.kill();
    let ledger = pool.token_file().parent().unwrap().join("ledger");
    fs::remove_dir_all(&ledger).unwrap();
    let output = pool.command(&["ledger", "rebuild", "--from", folder.to_str().unwrap()]);
    let text = printed(&output);
    // The orphan was accepted when the backup was made; the pool has yet to see that it is not in the chain any more.
    assert!(text.contains("hold 4 more of this pool"), "{text}");
    assert!(output.status.success(), "{text}");
    let (_, later) = text.split_once("the pool will judge these when it runs").expect("something is left to judge");
    assert!(later.contains(&orphan), "{text}");
    pool.restart();
    pool.wait_until_ready();
    wait_for_status(&pool, &orphan, "orphaned");
    wait_for("the money of the four blocks", 10, || (paid(&pool) == before).then_some(()));
    assert_true(&pool, &[&blocks, &paid_by]);
}
