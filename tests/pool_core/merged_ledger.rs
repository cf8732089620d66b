//! The ledger of a merge-mined chain: blocks, orphans, maturity, terms and payments of its own, beside the parent's and
//! never mixed with it; and all of it as it was after any restart.

use edgepool::base::slots::Key;
use edgepool::coin::script::Script;
use edgepool::pool::ledger::Totals;
use edgepool::pool::record::{PaymentStatus, Term};
use edgepool::pool::spec::{FeeFrom, NodeSpec, PaymentsSpec};
use serde_json::json;

use crate::merged::{account, address_on, blocks, pass_block, rig_as, send, shares, start, with_children};
use crate::merged_block::outputs;
use crate::rig::Want;
use crate::scene::{SECOND, Scene, script, spec};
use crate::wallet::Wallet;

fn totals(scene: &Scene, chain: usize) -> Totals {
    scene.pool.chains()[chain].ledger.totals()
}

/// Two addresses have worked 2 : 1, and jobs pay by it.
fn worked(names: &[&str]) -> (Scene, Key) {
    let mut scene = start(names);
    let rigs = [scene.rig(1), scene.rig(2)];
    shares(&mut scene, rigs[0], "w", 2);
    shares(&mut scene, rigs[1], "w", 1);
    scene.advance(31 * SECOND);
    (scene, rigs[0])
}

fn branch(name: u8, count: u8) -> Vec<String> {
    (0..count).map(|number| format!("{name:02x}{number:02x}").repeat(16)).collect()
}

#[test]
fn a_child_that_is_orphaned_takes_its_payouts_back_and_nothing_of_the_parents() {
    let (mut scene, key) = worked(&["dogecoin"]);
    scene.work(key, "both", Want::Every);
    let ours = scene.nodes[1].prev_hash().to_string();
    let (parent, child) = (totals(&scene, 0), totals(&scene, 1));
    assert!(parent.value > 0 && child.paid > 0);
    scene.reorganise(1, 81, &branch(1, 3));
    scene.advance(60 * SECOND);
    assert_eq!((blocks(&scene, 0), blocks(&scene, 1)), (vec![(714, "accepted")], vec![(81, "orphaned")]));
    assert_eq!((totals(&scene, 0), totals(&scene, 1)), (parent, Totals::default()));
    let back = [vec![ours], branch(2, 4)].concat();
    scene.reorganise(1, 81, &back);
    scene.advance(300 * SECOND);
    assert_eq!((totals(&scene, 0), totals(&scene, 1)), (parent, child));
    // The other way round.
    scene.reorganise(0, 714, &branch(3, 3));
    scene.advance(60 * SECOND);
    assert_eq!((blocks(&scene, 0), blocks(&scene, 1)), (vec![(714, "orphaned")], vec![(81, "accepted")]));
    assert_eq!((totals(&scene, 0), totals(&scene, 1)), (Totals::default(), child));
}

#[test]
fn each_chain_has_its_own_maturity() {
    let (mut scene, key) = worked(&["dogecoin"]);
    scene.work(key, "both", Want::Every);
    for number in 0..58_u32 {
        scene.new_tip(0, &format!("{number:08x}").repeat(8));
        scene.new_tip(1, &format!("{number:08x}").repeat(8));
        scene.advance(SECOND);
    }
    assert_eq!((blocks(&scene, 0), blocks(&scene, 1)), (vec![(714, "accepted")], vec![(81, "accepted")]));
    pass_block(&mut scene, 1, "ab");
    assert_eq!((blocks(&scene, 0), blocks(&scene, 1)), (vec![(714, "accepted")], vec![(81, "confirmed")]));
    assert_eq!(scene.disk.blocks.len(), 0);
    for number in 100..141_u32 {
        scene.new_tip(0, &format!("{number:08x}").repeat(8));
        scene.advance(SECOND);
    }
    assert_eq!(blocks(&scene, 0), [(714, "confirmed")]);
}

#[test]
fn the_childs_terms_are_its_own() {
    let (mut scene, key) = worked(&["dogecoin"]);
    let parent = scene.rigs[&key].job().outputs();
    let other = Script::p2pkh(&[0xcc; 20]);
    scene.pool.set_term(1, Term::FeePpm(100_000), scene.now);
    scene.pool.set_term(1, Term::PoolScript(other.as_bytes().to_vec()), scene.now);
    scene.pool.set_term(1, Term::MinPayout(20_000_000_000_000), scene.now);
    scene.advance(SECOND);
    assert_eq!(scene.rigs[&key].job().outputs(), parent);
    scene.work(key, "child", Want::Only(1));
    // Less 10 %, two thirds are 300,000 coins, and one third is below the minimum.
    let expected = [(script(1), 30_000_000_000_000), (other, 20_000_000_000_000)];
    let expected = expected.map(|(script, amount)| (hex::encode(script.as_bytes()), amount));
    assert_eq!(outputs(&scene.nodes[1].submitted[0]), expected);
    let small = scene.pool.chains()[1].ledger.account(account(&scene, 1, &script(2)));
    assert_eq!((small.balance, small.paid), (15_000_000_000_000, 0));
    let spec = scene.pool.spec().clone();
    scene.restart(spec, SECOND);
    assert_eq!(scene.pool.chains()[1].ledger.terms().fee_ppm, 100_000);
    assert_eq!(scene.pool.chains()[0].ledger.terms().fee_ppm, 10_000);
}

fn payments() -> PaymentsSpec {
    PaymentsSpec {
        wallet: NodeSpec { url: "http://wallet".into(), authority: "wallet".into(), path: "/".into() },
        every_ms: None,
        threshold: 1_000_000,
        max_outputs: 10,
        confirmations: 3,
        fee_from: FeeFrom::Pool,
        fee_rate: None,
        max_fee: 500_000_000,
    }
}

#[test]
fn what_a_child_owes_is_paid_from_its_own_wallet_also_to_an_address_that_was_named() {
    for name in ["dogecoin", "pepecoin"] {
        let mut spec = with_children(&[name]);
        spec.chains[1].terms.min_payout = 100_000_000_000_000;
        spec.chains[1].payments = Some(payments());
        let mut scene = Scene::start(spec);
        scene.wallet = Wallet::with_coins_of(3, 100_000_000_000_000);
        scene.advance(3 * SECOND);
        let username = address_on(&scene, 0, &Script::witness(1, &[5; 32]).unwrap());
        let nameless = rig_as(&mut scene, &username);
        let key = scene.rig(1);
        shares(&mut scene, nameless, "w", 1);
        shares(&mut scene, key, "w", 1);
        scene.advance(31 * SECOND);
        scene.work(key, "child", Want::Only(1));
        for number in 0..59_u32 {
            scene.new_tip(1, &format!("{number:08x}").repeat(8));
            scene.advance(SECOND);
        }
        // A node that makes its own blocks is asked for its tip every two seconds.
        scene.advance(2 * SECOND);
        assert_eq!(blocks(&scene, 1)[0].1, "confirmed");
        // The one without an address waits.
        scene.pool.queue_payment(1, Vec::new(), scene.now).unwrap();
        scene.advance(3 * SECOND);
        let half = 24_500_000_000_000;
        let pay = |scene: &mut Scene, name: &str| {
            for number in 0..4_u32 {
                scene.wallet.mine();
                scene.new_tip(1, &format!("{name}{number:06x}").repeat(8));
                scene.advance(10 * SECOND);
            }
        };
        pay(&mut scene, "aa");
        assert_eq!(scene.wallet.paid_to(script(1).as_bytes()), [half], "{name}");
        let account = scene.pool.chains()[1].ledger.account(account(&scene, 1, &script(1)));
        assert_eq!((account.balance, account.paid), (0, half));
        let last = |scene: &Scene| scene.pool.chains()[1].ledger.payments().last().unwrap().status.clone();
        assert!(matches!(last(&scene), PaymentStatus::Settled { .. }), "{name}: {:?}", last(&scene));

        let miner = scene.pool.miners().find(&Script::witness(1, &[5; 32]).unwrap().into()).unwrap();
        scene.pool.name_address(1, miner, script(50), scene.now).unwrap();
        scene.pool.queue_payment(1, vec![miner], scene.now).unwrap();
        scene.advance(3 * SECOND);
        pay(&mut scene, "bb");
        assert_eq!(scene.wallet.paid_to(script(50).as_bytes()), [half], "{name}");
        assert_eq!((totals(&scene, 1).owed, totals(&scene, 0)), (0, Totals::default()));
    }
}

#[test]
fn two_accounts_that_are_paid_at_one_address_are_paid_by_two_payments() {
    let mut spec = with_children(&["pepecoin"]);
    spec.chains[1].payments = Some(payments());
    let mut scene = Scene::start(spec);
    scene.wallet = Wallet::with_coins_of(4, 100_000_000_000_000);
    scene.advance(3 * SECOND);
    let taproot = Script::witness(1, &[5; 32]).unwrap();
    let username = address_on(&scene, 0, &taproot);
    let rigs = [rig_as(&mut scene, &username), scene.rig(1)];
    shares(&mut scene, rigs[0], "w", 1);
    shares(&mut scene, rigs[1], "w", 1);
    scene.advance(31 * SECOND);
    scene.work(rigs[1], "child", Want::Only(1));
    // The taproot miner wants to be paid where the other is.
    let miner = scene.pool.miners().find(&taproot.into()).unwrap();
    scene.pool.name_address(1, miner, script(1), scene.now).unwrap();
    for number in 0..60_u32 {
        scene.new_tip(1, &format!("{number:08x}").repeat(8));
        scene.advance(SECOND);
    }
    scene.pool.queue_payment(1, Vec::new(), scene.now).unwrap();
    for number in 0..10_u32 {
        scene.wallet.mine();
        scene.new_tip(1, &format!("aa{number:06x}").repeat(8));
        scene.advance(10 * SECOND);
    }
    let half = 24_500_000_000_000;
    assert_eq!(scene.wallet.paid_to(script(1).as_bytes()), [half; 2]);
    let ledger = &scene.pool.chains()[1].ledger;
    assert_eq!((ledger.totals().owed, ledger.payments().len()), (0, 2));
}

#[test]
fn a_chain_that_is_added_later_pays_for_the_work_that_was_there() {
    let mut scene = Scene::start(spec(1));
    let witness = Script::witness(0, &[3; 20]).unwrap();
    let username = address_on(&scene, 0, &witness);
    let rigs = [scene.rig(1), rig_as(&mut scene, &username)];
    shares(&mut scene, rigs[0], "w", 3);
    shares(&mut scene, rigs[1], "w", 1);
    scene.advance(31 * SECOND);
    scene.work(rigs[0], "block", Want::Block);
    let parent = totals(&scene, 0);

    let merged = with_children(&["dogecoin"]);
    scene.restart_with_nodes(merged.clone(), SECOND);
    scene.advance(3 * SECOND);
    assert_eq!(totals(&scene, 0), parent);
    let key = scene.rig(1);
    scene.work(key, "child", Want::Only(1));
    // Five parts: three, the block and one.
    let fifth = 49_000_000_000_000 / 5;
    let paid = outputs(&scene.nodes[1].submitted[0]);
    let expected = [(script(1), 4 * fifth), (script(3), fifth)];
    assert_eq!(paid[..2], expected.map(|(script, amount)| (hex::encode(script.as_bytes()), amount)));
    scene.restart(merged, SECOND);
    assert_eq!(blocks(&scene, 1), [(81, "accepted")]);
}

#[test]
fn what_was_found_before_a_restart_in_order_solves_the_child_after_it() {
    let (mut scene, key) = worked(&["dogecoin", "pepecoin"]);
    let session = scene.rigs[&key].reply("subscribe").unwrap()["result"][0][0][1].clone();
    let found = scene.rig_mut(key).mine(Want::Every);
    let job = scene.rigs[&key].job().clone();
    let spec = scene.pool.spec().clone();
    let left = scene.stop();
    scene.start_with(&left, spec, SECOND).unwrap();
    let again = scene.connect();
    scene.ask(again, "subscribe", "mining.subscribe", json!(["test/1", session]));
    scene.authorize(again, &crate::scene::address(1), "x");
    assert_eq!(send(&mut scene, again, "found", &found)["result"], true);
    assert_eq!(crate::merged_block::parent_of(&scene.nodes[1].submitted[0]), found.block_hash);
    for chain in 0..3 {
        assert_eq!(blocks(&scene, chain).len(), 1, "chain {chain}");
        assert_eq!(blocks(&scene, chain)[0].1, "accepted", "chain {chain}");
    }
    // The split is that of the job, which was made before.
    let third = 49_000_000_000_000 / 3;
    let paid = outputs(&scene.nodes[1].submitted[0]);
    assert_eq!((paid[0].1, paid[1].1), (2 * third, third));
    assert_eq!(job.aux().map(|(_, size, _)| size), Some(2));
}

#[test]
fn a_handover_is_refused_when_other_chains_are_merge_mined() {
    let (mut scene, _) = worked(&["dogecoin"]);
    let left = scene.stop();
    let mut other = with_children(&["dogecoin", "pepecoin"]);
    other.chains.remove(1);
    let refused = {
        let handover = edgepool::pool::handover::decode(&left).unwrap().pop().unwrap();
        let mut pool = edgepool::pool::Pool::new(other, scene.disk.recover(), &scene.disk, 9, scene.now).unwrap();
        pool.take_over(handover, scene.now)
    };
    assert!(refused.is_err(), "{refused:?}");
}
