//! Rigs that lie to be credited more than they worked, and what they may not lose the pool.

use edgepool::coin::difficulty::Difficulty;
use edgepool::pool::record::BlockStatus;
use serde_json::json;

use crate::rig::{Share, Want};
use crate::scene::{SECOND, Scene, address, spec};

fn error(scene: &Scene, key: edgepool::base::slots::Key, id: &str) -> u64 {
    scene.rigs[&key].reply(id).expect("every share is answered")["error"][0].as_u64().expect("it is refused")
}

#[test]
fn no_difficulty_can_be_chosen_after_the_hash_is_known() {
    let mut spec = spec(1);
    spec.vardiff.max = Difficulty::from_units(32).unwrap();
    let mut scene = Scene::start(spec);
    let key = scene.rig(1);
    let first = scene.rigs[&key].job().clone();
    // Names of sendings that were never made: mined now, to be submitted once the wanted difficulty is in force. The
    // rig stamps its coinbase itself, as the pool would for that name.
    let mut forged = Vec::new();
    for epoch in [2u32, 3, 0x1_0000, 0x1_0001, u32::MAX] {
        let job = first.renamed(format!("{}x{epoch:x}", first.id), epoch);
        forged.push(scene.rig_mut(key).mine_job(&job, Want::Share));
    }
    // The difficulty that suits the hashes best.
    scene.ask(key, "suggest", "mining.suggest_difficulty", json!([32.0 / 65_536.0]));
    assert_eq!(scene.rigs[&key].difficulty * 65_536.0, 32.0);
    assert_eq!(scene.rigs[&key].job().id, format!("{}x1", first.id));
    for (number, share) in forged.iter().enumerate() {
        scene.submit(key, &format!("forged{number}"), share);
    }
    // The sending that was made, under a name with the same stamp.
    let made = scene.rig_mut(key).mine_job(&first, Want::Share);
    for (id, job_id) in [("wrapped", format!("{}x10000", first.id)), ("upper", first.id.to_uppercase() + "X1")] {
        scene.submit(key, id, &Share { job_id, ..made.clone() });
        assert_eq!(error(&scene, key, id), 21);
    }
    scene.submit(key, "made", &made);
    scene.advance(300);
    for number in 0..forged.len() {
        assert_eq!(error(&scene, key, &format!("forged{number}")), 21);
    }
    assert_eq!(scene.rigs[&key].reply("made").unwrap()["result"], true);
    assert_eq!((scene.pool.total_work(), scene.pool.window().total_shares()), (1, 1));
}

#[test]
fn a_share_belongs_to_the_connection_that_it_was_mined_on() {
    let mut scene = Scene::start(spec(1));
    let (honest, thief) = (scene.rig(1), scene.rig(2));
    let job = scene.rigs[&honest].job().clone();
    assert_eq!(job.id, scene.rigs[&thief].job().id);
    // A hash that is good enough for hundreds of units is worth nothing under another extranonce1.
    let before = scene.pool.total_work();
    let block = scene.rig_mut(honest).mine_job(&job, Want::Block);
    scene.submit(thief, "stolen", &block);
    scene.submit(honest, "own", &block);
    scene.advance(SECOND);
    assert_eq!(scene.rigs[&honest].reply("own").unwrap()["result"], true);
    let found = scene.pool.chains()[0].ledger.blocks();
    let hashes: Vec<String> = found.iter().map(|block| edgepool::base::display_hash(&block.found.hash)).collect();
    assert!(hashes.contains(&block.block_hash));
    // The stolen numbers are another header: a share by luck (as all are at this difficulty), not the honest one.
    assert!(scene.pool.total_work() - before <= 2);
}

#[test]
fn a_block_under_a_name_that_was_not_authorised_is_a_block_all_the_same() {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    let block = scene.rig_mut(key).mine(Want::Block);
    let share = scene.rig_mut(key).mine(Want::Share);
    scene.rig_mut(key).username = address(9);
    scene.submit(key, "share", &share);
    scene.submit(key, "block", &block);
    scene.submit(key, "again", &block);
    scene.advance(SECOND);
    assert_eq!(["share", "block", "again"].map(|id| error(&scene, key, id)), [24; 3]);
    let blocks = scene.pool.chains()[0].ledger.blocks();
    assert_eq!(blocks.len(), 1);
    assert_eq!((&blocks[0].status, blocks[0].found.finder), (&BlockStatus::Accepted, 0));
    assert_eq!(edgepool::base::display_hash(&blocks[0].found.hash), block.block_hash);
    assert_eq!(scene.pool.window().total_shares(), 0, "its share is not credited");
    assert_eq!(scene.nodes[0].submitted.len(), 1);
}
