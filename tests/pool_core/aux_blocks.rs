//! Chains whose nodes make their blocks (createauxblock): what one brings arrives at the pool's address, and is owed to
//! those who worked.

use edgepool::coin::script::Script;
use edgepool::pool::record::{BlockStatus, Term};
use serde_json::json;

use crate::merged::{FEE_SCRIPT, account, address_on, blocks, pass_block, shares, start};
use crate::rig::Want;
use crate::scene::{SECOND, Scene, script};

/// Two addresses have worked 3 : 1, and a job pays by it.
fn worked() -> (Scene, edgepool::base::slots::Key) {
    let mut scene = start(&["pepecoin"]);
    let rigs = [scene.rig(1), scene.rig(2)];
    shares(&mut scene, rigs[0], "w", 3);
    shares(&mut scene, rigs[1], "w", 1);
    scene.advance(31 * SECOND);
    (scene, rigs[0])
}

fn balances(scene: &Scene) -> [(i64, u64); 2] {
    [1, 2].map(|number| {
        let account = scene.pool.chains()[1].ledger.account(account(scene, 1, &script(number)));
        (account.balance, account.paid)
    })
}

#[test]
fn what_the_nodes_block_brings_is_owed_and_the_pools_address_has_it() {
    let (mut scene, key) = worked();
    assert_eq!(scene.nodes[1].payees, [address_on(&scene, 1, &Script::p2pkh(&[FEE_SCRIPT; 20]))]);
    scene.work(key, "child", Want::Only(1));
    assert_eq!(blocks(&scene, 1), [(81, "accepted")]);
    let quarter = 49_000_000_000_000 / 4;
    assert_eq!(balances(&scene), [(3 * quarter, 0), (quarter, 0)]);
    let found = &scene.pool.chains()[1].ledger.blocks()[0].found;
    assert_eq!((found.outputs.len(), found.pool_amount, found.value), (0, 50_000_000_000_000, 50_000_000_000_000));
    assert!(!scene.nodes[1].calls.iter().any(|call| call == "getblocktemplate" || call == "submitblock"));
    // The parent's coinbase pays them as ever.
    assert!(scene.rigs[&key].job().outputs().len() == 3);
}

#[test]
fn a_proof_that_the_node_does_not_take_pays_nobody() {
    for verdict in [json!(false), json!(-8)] {
        let (mut scene, key) = worked();
        scene.nodes[1].verdict = Some(verdict.clone());
        scene.work(key, "child", Want::Only(1));
        let status = &scene.pool.chains()[1].ledger.blocks()[0].status;
        assert!(matches!(status, BlockStatus::Rejected(_)), "{verdict}: {status:?}");
        assert_eq!(balances(&scene), [(0, 0); 2]);
        assert!(scene.pool.troubles().is_empty());
    }
}

#[test]
fn a_proof_that_comes_when_the_node_has_dropped_the_block_is_refused_and_no_more() {
    let (mut scene, key) = worked();
    let late = scene.rig_mut(key).mine(Want::Every);
    scene.nodes[1].extend(&"ab".repeat(32));
    scene.submit(key, "late", &late);
    scene.advance(300);
    assert_eq!((blocks(&scene, 0), blocks(&scene, 1)), (vec![(714, "accepted")], vec![(81, "rejected")]));
}

#[test]
fn taken_is_not_believed_until_the_block_is_in_the_chain() {
    let (mut scene, key) = worked();
    scene.nodes[1].verdict = Some(json!(true));
    scene.work(key, "child", Want::Only(1));
    assert_eq!(blocks(&scene, 1), [(81, "submitted")]);
    pass_block(&mut scene, 1, "ab");
    pass_block(&mut scene, 1, "cd");
    scene.advance(200 * SECOND);
    assert_eq!((blocks(&scene, 1), balances(&scene)), (vec![(81, "orphaned")], [(0, 0); 2]));
}

#[test]
fn a_new_pool_address_is_what_the_nodes_next_block_pays() {
    let (mut scene, key) = worked();
    let other = Script::p2pkh(&[0xcc; 20]);
    scene.pool.set_term(1, Term::PoolScript(other.as_bytes().to_vec()), scene.now);
    scene.advance(3 * SECOND);
    assert_eq!(scene.nodes[1].payees.last(), Some(&address_on(&scene, 1, &other)));
    scene.work(key, "child", Want::Only(1));
    let found = &scene.pool.chains()[1].ledger.blocks()[0].found;
    assert_eq!((&found.pool_script[..], blocks(&scene, 1)), (other.as_bytes(), vec![(81, "accepted")]));
    // It is so after a restart.
    let spec = scene.pool.spec().clone();
    scene.restart(spec, SECOND);
    scene.advance(3 * SECOND);
    assert_eq!(scene.nodes[1].payees.last(), Some(&address_on(&scene, 1, &other)));
}

#[test]
fn a_block_that_the_node_renews_on_the_same_tip_is_mined_with_the_next_job() {
    let (mut scene, key) = worked();
    let before = scene.rig_mut(key).mine(Want::Only(1));
    scene.nodes[1].set("coinbasevalue", 60_000_000_000_000_u64.into());
    scene.advance(60 * SECOND);
    assert_eq!(scene.pool.current_job().unwrap().children.of(1).unwrap().split.value, 60_000_000_000_000);
    // The block of before is still known to the node.
    scene.submit(key, "before", &before);
    scene.advance(300);
    assert_eq!(blocks(&scene, 1), [(81, "accepted")]);
}

#[test]
fn a_nodes_block_may_be_orphaned_and_come_back() {
    let (mut scene, key) = worked();
    scene.work(key, "child", Want::Only(1));
    let ours = scene.nodes[1].prev_hash().to_string();
    let owed = balances(&scene);
    let branch: Vec<String> = (0..3).map(|number| format!("{number:04x}").repeat(16)).collect();
    scene.reorganise(1, 81, &branch);
    scene.advance(60 * SECOND);
    assert_eq!((blocks(&scene, 1), balances(&scene)), (vec![(81, "orphaned")], [(0, 0); 2]));
    let branch: Vec<String> =
        [ours].into_iter().chain((4..8).map(|number| format!("{number:04x}").repeat(16))).collect();
    scene.reorganise(1, 81, &branch);
    scene.advance(300 * SECOND);
    assert_eq!((blocks(&scene, 1), balances(&scene)), (vec![(81, "accepted")], owed));
}
