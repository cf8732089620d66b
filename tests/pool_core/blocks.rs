//! Found blocks: durable before they are submitted, submitted until answered for, counted once.

use edgepool::base::display_hash;
use edgepool::pool::record::{BlockStatus, Entry};
use serde_json::{Value, json};

use crate::node::{Mode, block_hash};
use crate::rig::Want;
use crate::scene::{Effect, HOUR, SECOND, Scene, script, spec};

fn position(scene: &Scene, wanted: impl Fn(&Effect) -> bool) -> usize {
    scene.effects.iter().position(wanted).expect("it happened")
}

fn is_submit(effect: &Effect) -> bool {
    matches!(effect, Effect::Call(_, method) if method == "submitblock")
}

fn status(scene: &Scene) -> Vec<BlockStatus> {
    scene.pool.chains()[0].ledger.blocks().iter().map(|block| block.status.clone()).collect()
}

/// Owed to and paid to a rig's address.
fn account(scene: &Scene, number: u8) -> (i64, u64) {
    let miner = scene.pool.miners().find(&script(number).into()).expect("the address was credited");
    let account = scene.pool.chains()[0].ledger.account(miner);
    (account.balance, account.paid)
}

/// A scene in which two addresses have worked 20 : 1, with a least payout between their parts.
fn with_two_miners() -> (Scene, edgepool::base::slots::Key) {
    let mut spec = spec(1);
    spec.chains[0].terms.min_payout = 100_000_000;
    let mut scene = Scene::start(spec);
    let large = scene.rig(1);
    let small = scene.rig(2);
    for number in 0..20 {
        scene.work(large, &format!("w{number}"), Want::Share);
    }
    scene.work(small, "w", Want::Share);
    scene.advance(31 * SECOND);
    scene.effects.clear();
    (scene, large)
}

#[test]
fn a_block_is_on_disk_before_it_is_submitted_and_accepted_by_the_nodes_own_word() {
    let (mut scene, rig) = with_two_miners();
    let job = scene.rigs[&rig].job().clone();
    let (share, reply) = scene.work(rig, "block", Want::Block);
    assert_eq!(reply["result"], true);
    let committed = position(&scene, |effect| matches!(effect, Effect::Committed { blocks: 1, journal: 1 }));
    let submitted = position(&scene, is_submit);
    let checked = position(&scene, |effect| matches!(effect, Effect::Call(_, method) if method == "getblockhash"));
    assert!(committed < submitted && submitted < checked);
    assert_eq!(block_hash(&scene.nodes[0].submitted[0]), share.block_hash);
    assert_eq!(status(&scene), [BlockStatus::Accepted]);
    scene.advance(SECOND);
    assert_eq!(scene.disk.blocks.len(), 1, "the node may yet lose it");

    // 21 shares: 3.125 LTC less 1 % is 309,375,000; 20/21 of it is paid, 1/21 is below the least and owed.
    let value = 312_500_000;
    assert_eq!((account(&scene, 1), account(&scene, 2)), ((0, 294_642_857), (14_732_142, 0)));
    let expected =
        [(hex::encode(script(1).as_bytes()), 294_642_857), (hex::encode(script(0xee).as_bytes()), value - 294_642_857)];
    assert_eq!(job.outputs(), expected);
    // The rig has new work on its own block, clean.
    let job = scene.rigs[&rig].job();
    assert_eq!(job.prev_hash, share.block_hash);
    let clean = scene.rigs[&rig].jobs.iter().rev().find(|job| job.clean).unwrap();
    assert_eq!(clean.prev_hash, share.block_hash);
}

#[test]
fn a_block_leaves_even_when_the_disk_fails_and_is_written_later() {
    let (mut scene, rig) = with_two_miners();
    scene.disk.fault = Some("I/O error".into());
    let (share, reply) = scene.work(rig, "block", Want::Block);
    assert_eq!(reply["error"][0], 20);
    assert!(position(&scene, |effect| *effect == Effect::CommitFailed) < position(&scene, is_submit));
    assert_eq!(block_hash(&scene.nodes[0].submitted[0]), share.block_hash);
    assert!(scene.disk.journal.is_empty());
    scene.disk.fault = None;
    scene.advance(5 * SECOND);
    let found = scene.disk.journal.iter().filter(|(_, entry)| matches!(entry, Entry::BlockFound(_))).count();
    assert_eq!((found, status(&scene)), (1, vec![BlockStatus::Accepted]));
    assert_eq!(scene.nodes[0].submitted.len(), 1);
    scene.restart(spec(1), 0);
    assert_eq!(status(&scene), [BlockStatus::Accepted]);
    assert_eq!(account(&scene, 1), (0, 294_642_857));
}

#[test]
fn a_block_that_every_node_refuses_paid_nobody() {
    let (mut scene, rig) = with_two_miners();
    scene.nodes[0].verdict = Some(json!("bad-cb-amount"));
    scene.work(rig, "block", Want::Block);
    assert_eq!(status(&scene), [BlockStatus::Rejected("bad-cb-amount".into())]);
    assert_eq!((account(&scene, 1), account(&scene, 2)), ((0, 0), (0, 0)));
    assert_eq!(scene.pool.chains()[0].ledger.totals(), Default::default());
    scene.advance(60 * SECOND);
    assert_eq!(scene.nodes[0].submitted.len(), 1, "what is refused for good is not sent again");
    scene.restart(spec(1), 0);
    assert_eq!(status(&scene), [BlockStatus::Rejected("bad-cb-amount".into())]);
    assert!(scene.nodes[0].submitted.len() == 1);
}

#[test]
fn one_node_of_two_is_enough_to_take_a_block() {
    let mut scene = Scene::start(spec(2));
    let rig = scene.rig(1);
    scene.work(rig, "share", Want::Share);
    scene.nodes[0].verdict = Some(json!("bad-txnmrklroot"));
    scene.break_node(1, Mode::Refused);
    let (share, _) = scene.work(rig, "block", Want::Block);
    assert_eq!(status(&scene), [BlockStatus::Submitted], "the second has not answered yet");
    scene.nodes[1].mode = Mode::Good;
    scene.advance(60 * SECOND);
    assert_eq!(block_hash(&scene.nodes[1].submitted[0]), share.block_hash);
    assert_eq!(status(&scene), [BlockStatus::Accepted]);
}

#[test]
fn a_block_counts_until_the_last_node_has_refused_it() {
    let mut scene = Scene::start(spec(2));
    let rig = scene.rig(1);
    scene.work(rig, "share", Want::Share);
    scene.advance(31 * SECOND);
    scene.nodes[0].verdict = Some(json!("bad-txnmrklroot"));
    scene.nodes[1].verdict = Some(json!("bad-cb-amount"));
    scene.break_node(1, Mode::Silent);
    scene.work(rig, "block", Want::Block);
    assert_eq!(status(&scene), [BlockStatus::Submitted]);
    assert_eq!(account(&scene, 1), (0, 309_375_000));
    scene.break_node(1, Mode::Good);
    scene.advance(60 * SECOND);
    assert_eq!(status(&scene), [BlockStatus::Rejected("bad-cb-amount".into())]);
    assert_eq!(account(&scene, 1), (0, 0));
    assert!(scene.disk.blocks.is_empty());
}

#[test]
fn the_same_block_twice_is_one_block() {
    let (mut scene, rig) = with_two_miners();
    let share = scene.rig_mut(rig).mine(Want::Block);
    scene.submit(rig, "one", &share);
    scene.submit(rig, "two", &share);
    scene.new_tip(0, &"cd".repeat(32));
    scene.submit(rig, "three", &share);
    scene.advance(SECOND);
    assert_eq!(scene.rigs[&rig].reply("one").unwrap()["result"], true);
    assert_eq!(scene.rigs[&rig].reply("two").unwrap()["error"][0], 22);
    assert_eq!(status(&scene).len(), 1);
    assert_eq!(scene.nodes[0].submitted.len(), 1);
}

#[test]
fn a_stale_share_may_still_be_a_block() {
    let (mut scene, rig) = with_two_miners();
    let share = scene.rig_mut(rig).mine(Want::Block);
    scene.new_tip(0, &"cd".repeat(32));
    scene.advance(10);
    scene.submit(rig, "late", &share);
    scene.advance(SECOND);
    assert_eq!(scene.rigs[&rig].reply("late").unwrap()["error"][0], 21);
    assert_eq!(block_hash(&scene.nodes[0].submitted[0]), share.block_hash);
    assert_eq!(status(&scene), [BlockStatus::Submitted], "inconclusive: it may yet win");
    // Sent once more, it is refused once more and is no second block.
    scene.submit(rig, "later", &share);
    scene.advance(SECOND);
    assert_eq!(status(&scene).len(), 1);
    // The chain goes on without it, until it can't come back.
    for height in 0..110u8 {
        scene.new_tip(0, &format!("{height:02x}").repeat(32));
        scene.advance(60 * SECOND);
    }
    assert!(matches!(status(&scene)[..], [BlockStatus::Orphaned(_)]), "{:?}", status(&scene));
    assert_eq!((account(&scene, 1), account(&scene, 2)), ((0, 0), (0, 0)));
    assert!(scene.disk.blocks.is_empty());
}

#[test]
fn a_block_survives_the_pool_and_is_submitted_again() {
    let (mut scene, rig) = with_two_miners();
    scene.break_node(0, Mode::Refused);
    let (share, reply) = scene.work(rig, "block", Want::Block);
    assert_eq!(reply["result"], true);
    assert!(scene.nodes[0].submitted.is_empty());
    let before = (account(&scene, 1), account(&scene, 2), scene.pool.chains()[0].ledger.totals());
    let work = scene.pool.window().total_work();

    scene.restart(spec(1), 60 * SECOND);
    let after = (account(&scene, 1), account(&scene, 2), scene.pool.chains()[0].ledger.totals());
    assert_eq!((after, scene.pool.window().total_work()), (before, work));
    assert_eq!(status(&scene), [BlockStatus::Submitted]);
    scene.nodes[0].mode = Mode::Good;
    scene.advance(60 * SECOND);
    assert_eq!(block_hash(&scene.nodes[0].submitted[0]), share.block_hash);
    assert_eq!(status(&scene), [BlockStatus::Accepted]);
    let hash = scene.pool.chains()[0].ledger.blocks()[0].found.hash;
    assert_eq!(display_hash(&hash), share.block_hash);
    scene.restart(spec(1), SECOND);
    scene.advance(60 * SECOND);
    assert_eq!(scene.nodes[0].submitted.len(), 1, "an accepted block is not sent again");
}

#[test]
fn a_submission_without_an_answer_is_repeated() {
    let (mut scene, rig) = with_two_miners();
    scene.nodes[0].mode = Mode::Silent;
    let (share, _) = scene.work(rig, "block", Want::Block);
    assert_eq!(status(&scene), [BlockStatus::Submitted]);
    scene.nodes[0].mode = Mode::Good;
    scene.advance(120 * SECOND);
    assert_eq!(status(&scene), [BlockStatus::Accepted]);
    assert!(scene.nodes[0].submitted.iter().all(|block| block_hash(block) == share.block_hash));
}

#[test]
fn what_is_owed_is_paid_by_a_later_block_as_far_as_its_value_goes() {
    let (mut scene, rig) = with_two_miners();
    let mut blocks = 0;
    let mut before = (0, 0);
    while account(&scene, 2).1 == 0 {
        before = account(&scene, 2);
        let (_, reply) = scene.work(rig, &format!("block{blocks}"), Want::Block);
        assert_eq!(reply["result"], true);
        blocks += 1;
        assert!(blocks < 20, "{before:?}");
    }
    // Due was the least payout. The block paid what everybody earned in it, and of the old debt what was left
    // then: nothing for the pool.
    let block = scene.pool.chains()[0].ledger.blocks().last().unwrap().clone();
    let found = &block.found;
    let [large, small] = found.parts[..] else { panic!("{:?}", found.parts) };
    let (to_large, to_small) = (block.paid(large.miner), block.paid(small.miner));
    assert_eq!((small.balance_before, found.pool_amount), (before.0, 0));
    assert!(small.balance_before + small.entitled as i64 >= 100_000_000);
    assert_eq!((to_large, to_small), (large.entitled, found.value - large.entitled));
    assert_eq!(account(&scene, 2), (before.0 + small.entitled as i64 - to_small as i64, to_small));
    let totals = scene.pool.chains()[0].ledger.totals();
    assert_eq!(totals.value, 312_500_000 * blocks);
    assert_eq!(totals.value as i128, totals.paid as i128 + totals.owed + totals.fees as i128);
}

#[test]
fn a_day_of_blocks_and_restarts_loses_nothing() {
    let (mut scene, _) = with_two_miners();
    for round in 0..12u64 {
        let rig = scene.rig((round % 3) as u8 + 1);
        for share in 0..3 {
            let (_, reply) = scene.work(rig, &format!("s{share}"), Want::Share);
            assert_eq!(reply["result"], Value::Bool(true));
        }
        scene.work(rig, "block", Want::Block);
        let ledger = &scene.pool.chains()[0].ledger;
        let before: Vec<_> = ledger.accounts().map(|(miner, account)| (miner, *account)).collect();
        let (totals, work) = (ledger.totals(), scene.pool.window().total_work());
        scene.restart(spec(1), HOUR / 4);
        let ledger = &scene.pool.chains()[0].ledger;
        let after: Vec<_> = ledger.accounts().map(|(miner, account)| (miner, *account)).collect();
        assert_eq!((after, ledger.totals(), scene.pool.window().total_work()), (before, totals, work));
        assert!(status(&scene).iter().all(|status| *status == BlockStatus::Accepted));
    }
}
