//! Blocks that leave the main chain and come back, until the chain is past them.

use crate::node::Mode;
use crate::rig::Want;
use crate::scene::{SECOND, Scene, script, spec};

/// Names that no block of the pool has.
fn branch(name: &str, length: usize) -> Vec<String> {
    (0..length).map(|number| format!("{name}{number:04x}").repeat(32)[..64].to_string()).collect()
}

fn names(scene: &Scene) -> Vec<&'static str> {
    scene.pool.chains()[0].ledger.blocks().iter().map(|block| block.status.name()).collect()
}

/// Owed to and paid to a rig's address.
fn account(scene: &Scene, number: u8) -> (i64, u64) {
    let miner = scene.pool.miners().find(&script(number).into()).expect("the address was credited");
    let account = scene.pool.chains()[0].ledger.account(miner);
    (account.balance, account.paid)
}

/// A scene with a block of the pool's as the tip: its height and hash.
fn with_block(nodes: usize) -> (Scene, u64, String) {
    let mut scene = Scene::start(spec(nodes));
    let rig = scene.rig(1);
    scene.work(rig, "share", Want::Share);
    scene.advance(31 * SECOND);
    let height = scene.nodes[0].height();
    let (share, _) = scene.work(rig, "block", Want::Block);
    assert_eq!((names(&scene), account(&scene, 1)), (vec!["accepted"], (0, 309_375_000)));
    (scene, height, share.block_hash)
}

fn extend(scene: &mut Scene, name: &str, length: usize) {
    for hash in branch(name, length) {
        scene.new_tip(0, &hash);
        scene.advance(SECOND);
    }
}

#[test]
fn a_block_is_orphaned_and_comes_back_as_often_as_the_chain_changes_its_mind() {
    let (mut scene, height, hash) = with_block(1);
    for round in 1..=3usize {
        scene.reorganise(0, height, &branch("a", 2 * round));
        scene.advance(5 * SECOND);
        assert_eq!(names(&scene), ["accepted"], "one answer alone decides nothing");
        scene.advance(20 * SECOND);
        assert_eq!((names(&scene), account(&scene, 1)), (vec!["orphaned"], (0, 0)));
        assert_eq!(scene.pool.chains()[0].ledger.totals(), Default::default());
        scene.restart(spec(1), SECOND);
        assert_eq!(names(&scene), ["orphaned"]);
        let mut ours = vec![hash.clone()];
        ours.extend(branch("b", 2 * round));
        scene.reorganise(0, height, &ours);
        scene.advance(20 * SECOND);
        assert_eq!((names(&scene), account(&scene, 1)), (vec!["accepted"], (0, 309_375_000)));
    }
}

#[test]
fn a_block_is_confirmed_at_the_coins_maturity_and_then_left_alone() {
    let (mut scene, height, _) = with_block(1);
    extend(&mut scene, "c", 98);
    assert_eq!(names(&scene), ["accepted"], "99 confirmations");
    extend(&mut scene, "d", 1);
    assert_eq!(names(&scene), ["confirmed"]);
    let miner = scene.pool.miners().find(&script(1).into()).unwrap();
    assert_eq!(scene.pool.chains()[0].ledger.account(miner).paid, 309_375_000);
    assert!(scene.pool.chains()[0].watched.is_empty());
    // Whatever becomes of the chain now is beyond what a pool can follow.
    scene.reorganise(0, height, &branch("e", 200));
    scene.advance(60 * SECOND);
    scene.restart(spec(1), SECOND);
    scene.advance(60 * SECOND);
    assert_eq!((names(&scene), account(&scene, 1)), (vec!["confirmed"], (0, 309_375_000)));
}

#[test]
fn an_orphan_that_the_chain_has_passed_is_left_alone() {
    let (mut scene, height, hash) = with_block(1);
    scene.reorganise(0, height, &branch("a", 2));
    scene.advance(20 * SECOND);
    extend(&mut scene, "f", 110);
    scene.advance(3_600 * SECOND);
    assert_eq!(names(&scene), ["orphaned"]);
    assert!(scene.pool.chains()[0].watched.is_empty() && scene.disk.blocks.is_empty());
    let mut ours = vec![hash];
    ours.extend(branch("b", 120));
    scene.reorganise(0, height, &ours);
    scene.advance(60 * SECOND);
    assert_eq!((names(&scene), account(&scene, 1)), (vec!["orphaned"], (0, 0)));
}

#[test]
fn a_node_that_is_catching_up_judges_nothing() {
    let (mut scene, height, _) = with_block(1);
    scene.nodes[0].behind = 50;
    scene.advance(15 * SECOND);
    scene.reorganise(0, height, &branch("a", 3));
    scene.advance(300 * SECOND);
    assert_eq!(names(&scene), ["accepted"]);
    scene.nodes[0].behind = 0;
    scene.advance(700 * SECOND);
    assert_eq!(names(&scene), ["orphaned"]);
}

#[test]
fn nodes_that_disagree_judge_nothing_for_good() {
    let (mut scene, height, hash) = with_block(2);
    // The second node is on another branch, as high as the first.
    scene.reorganise(1, height, &branch("a", 1));
    scene.advance(60 * SECOND);
    assert_eq!(names(&scene), ["accepted"], "one of them has it");
    for (ours, theirs) in branch("b", 120).iter().zip(branch("c", 120)) {
        scene.new_tip(0, ours);
        scene.new_tip(1, &theirs);
        scene.advance(SECOND);
    }
    assert_eq!(names(&scene), ["accepted"]);
    // The second one comes over.
    let mut both = vec![hash];
    both.extend(branch("b", 120));
    scene.reorganise(1, height, &both);
    scene.advance(1_300 * SECOND);
    assert_eq!(names(&scene), ["confirmed"]);
}

#[test]
fn a_node_left_behind_on_a_dead_branch_has_no_say() {
    let (mut scene, height, _) = with_block(2);
    scene.reorganise(1, height, &branch("a", 1));
    extend(&mut scene, "b", 120);
    scene.advance(700 * SECOND);
    assert_eq!(names(&scene), ["confirmed"]);
}

#[test]
fn a_block_that_a_node_has_lost_is_submitted_again() {
    let (mut scene, height, hash) = with_block(1);
    assert_eq!(scene.nodes[0].submitted.len(), 1);
    // It was killed, and starts again from an older state of its chain.
    scene.break_node(0, Mode::Refused);
    scene.nodes[0].reorganise(height, &[]);
    scene.nodes[0].set("previousblockhash", scene.rigs.values().next().unwrap().jobs[0].prev_hash.as_str().into());
    scene.break_node(0, Mode::Good);
    scene.advance(200 * SECOND);
    assert!(scene.nodes[0].has(&hash), "{} submissions", scene.nodes[0].submitted.len());
    assert_eq!((names(&scene), account(&scene, 1)), (vec!["accepted"], (0, 309_375_000)));
}

#[test]
fn of_two_blocks_at_one_height_one_counts() {
    let mut scene = Scene::start(spec(1));
    let rig = scene.rig(1);
    scene.work(rig, "share", Want::Share);
    scene.advance(31 * SECOND);
    let height = scene.nodes[0].height();
    let first = scene.rig_mut(rig).mine(Want::Block);
    let second = scene.rig_mut(rig).mine(Want::Block);
    assert_ne!(first.block_hash, second.block_hash);
    scene.submit(rig, "first", &first);
    scene.submit(rig, "second", &second);
    scene.advance(5 * SECOND);
    assert_eq!((names(&scene), account(&scene, 1)), (vec!["accepted", "submitted"], (0, 309_375_000)));
    // The other one wins after all.
    let mut theirs = vec![second.block_hash.clone()];
    theirs.extend(branch("a", 1));
    scene.reorganise(0, height, &theirs);
    scene.advance(SECOND);
    assert_eq!((names(&scene), account(&scene, 1)), (vec!["orphaned", "accepted"], (0, 309_375_000)));
    scene.restart(spec(1), SECOND);
    assert_eq!((names(&scene), account(&scene, 1)), (vec!["orphaned", "accepted"], (0, 309_375_000)));
    extend(&mut scene, "b", 110);
    scene.advance(700 * SECOND);
    assert_eq!((names(&scene), account(&scene, 1)), (vec!["orphaned", "confirmed"], (0, 309_375_000)));
    assert!(scene.pool.chains()[0].watched.is_empty());
}

#[test]
fn what_was_paid_of_a_block_that_is_lost_is_worked_off() {
    let mut spec = spec(1);
    spec.chains[0].terms.min_payout = 20_000_000;
    let mut scene = Scene::start(spec);
    let (large, small) = (scene.rig(1), scene.rig(2));
    for number in 0..20 {
        scene.work(large, &format!("w{number}"), Want::Share);
    }
    scene.work(small, "w", Want::Share);
    scene.advance(31 * SECOND);
    // The tip is somebody else's when our block comes: it may yet win, and what it carries counts.
    let lost = scene.rig_mut(large).mine(Want::Block);
    extend(&mut scene, "a", 1);
    scene.submit(large, "late", &lost);
    scene.advance(31 * SECOND);
    let carried = account(&scene, 2).0;
    assert_eq!((names(&scene), carried), (vec!["submitted"], 14_732_142));
    // The next block pays it, and decides that the first one never will.
    scene.work(large, "next", Want::Block);
    scene.advance(31 * SECOND);
    let (debt, paid) = account(&scene, 2);
    assert_eq!(names(&scene), ["orphaned", "accepted"]);
    assert!(debt < 0 && paid > 14_732_142, "{debt}, {paid}");
    // What the next one brings is the less for it.
    scene.work(large, "third", Want::Block);
    scene.advance(31 * SECOND);
    let (balance, still) = account(&scene, 2);
    assert!((1..14_000_000).contains(&balance) && still == paid, "{balance}");
    let part = scene.pool.chains()[0].ledger.blocks()[2].found.parts[1];
    assert_eq!((part.balance_before, part.entitled as i64), (debt, balance - debt));
    scene.pool.chains()[0].ledger.check().unwrap();
    scene.restart(crate::scene::spec(1), SECOND);
    assert_eq!(account(&scene, 2), (balance, paid));
}
