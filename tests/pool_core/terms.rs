//! Terms: changed while the pool runs, kept over restarts, overruled by a changed file.

use edgepool::pool::record::Term;

use crate::rig::Want;
use crate::scene::{SECOND, Scene, script, spec};

/// What the newest job pays the pool.
fn pool_part(scene: &Scene, key: edgepool::base::slots::Key, number: u8) -> u64 {
    let wanted = hex::encode(script(number).as_bytes());
    scene.rigs[&key].job().outputs().into_iter().find(|(script, _)| *script == wanted).map_or(0, |(_, value)| value)
}

#[test]
fn a_changed_fee_is_in_force_at_once_and_after_a_restart() {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    scene.work(key, "share", Want::Share);
    scene.advance(31 * SECOND);
    assert_eq!(pool_part(&scene, key, 0xee), 3_125_000);
    let jobs = scene.rigs[&key].jobs.len();
    scene.pool.set_term(0, Term::FeePpm(20_000), scene.now);
    scene.turn();
    assert_eq!(scene.rigs[&key].jobs.len(), jobs + 1);
    assert!(!scene.rigs[&key].job().clean);
    assert_eq!(pool_part(&scene, key, 0xee), 6_250_000);
    assert_eq!(scene.disk.journal.len(), 1, "it is written in the same turn");

    scene.restart(spec(1), SECOND);
    let key = scene.rig(1);
    assert_eq!(pool_part(&scene, key, 0xee), 6_250_000);
    // The operator writes another fee into the file: now that one holds.
    let mut changed = spec(1);
    changed.chains[0].terms.fee_ppm = 30_000;
    scene.restart(changed.clone(), SECOND);
    let key = scene.rig(1);
    assert_eq!(pool_part(&scene, key, 0xee), 9_375_000);
    // And what is set under the new file holds again.
    scene.pool.set_term(0, Term::FeePpm(0), scene.now);
    scene.turn();
    assert_eq!(pool_part(&scene, key, 0xee), 0);
    scene.restart(changed, SECOND);
    assert_eq!(scene.pool.chains()[0].ledger.terms().fee_ppm, 0);
}

#[test]
fn a_changed_address_and_least_payout_are_in_force_at_once() {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    scene.work(key, "share", Want::Share);
    scene.pool.set_term(0, Term::PoolScript(script(0xdd).as_bytes().to_vec()), scene.now);
    scene.turn();
    assert_eq!((pool_part(&scene, key, 0xee), pool_part(&scene, key, 0xdd)), (0, 3_125_000));
    scene.pool.set_term(0, Term::MinPayout(400_000_000), scene.now);
    scene.turn();
    assert_eq!((pool_part(&scene, key, 1), pool_part(&scene, key, 0xdd)), (0, 312_500_000));
}

#[test]
fn a_block_follows_the_terms_of_its_own_job() {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    scene.work(key, "share", Want::Share);
    scene.advance(31 * SECOND);
    let block = scene.rig_mut(key).mine(Want::Block);
    scene.pool.set_term(0, Term::FeePpm(500_000), scene.now);
    scene.submit(key, "block", &block);
    scene.advance(SECOND);
    let found = &scene.pool.chains()[0].ledger.blocks()[0].found;
    assert_eq!((found.fee_ppm, found.pool_amount), (10_000, 3_125_000));
}
