//! A stop in order and the start after it, as rigs live through them: what they were at is still good, and whatever
//! the run before left is refused where it could not be carried on exactly.

use edgepool::base::slots::Key;
use edgepool::coin::difficulty::Difficulty;
use edgepool::pool::handover::{HandoverError, decode, encode};
use edgepool::pool::record::BlockStatus;
use serde_json::{Value, json};

use crate::rig::{Rig, Share, Want};
use crate::scene::{SECOND, Scene, address, spec};

const MINUTE: u64 = 60 * SECOND;

fn session(scene: &Scene, key: Key) -> (Value, Value) {
    let result = &scene.rigs[&key].reply("subscribe").unwrap()["result"];
    (result[0][0][1].clone(), result[1].clone())
}

fn comes_back(scene: &mut Scene, number: u8, session: &Value) -> Key {
    let key = scene.connect();
    scene.ask(key, "subscribe", "mining.subscribe", json!(["test/1", session]));
    scene.authorize(key, &address(number), "x");
    key
}

fn result(scene: &mut Scene, key: Key, id: &str, share: &Share) -> Value {
    scene.submit(key, id, share);
    scene.advance(300);
    let reply = scene.rigs[&key].reply(id).expect("every share is answered");
    if reply["result"] == true { json!(true) } else { reply["error"][0].clone() }
}

/// What a rig has on hand when the pool stops.
struct Day {
    scene: Scene,
    session: (Value, Value),
    /// Credited and answered.
    credited: Share,
    /// Found at difficulty 1 unit, and not sent.
    easy: Share,
    /// Found at 8 units.
    hard: Share,
    block: Share,
    /// Everything it received.
    rig: Rig,
    left: Vec<u8>,
}

fn wide() -> edgepool::pool::spec::PoolSpec {
    let mut spec = spec(1);
    spec.vardiff.max = Difficulty::from_units(32).unwrap();
    spec
}

fn stopped() -> Day {
    let mut scene = Scene::start(wide());
    let key = scene.rig(1);
    let session = session(&scene, key);
    let (credited, _) = scene.work(key, "credited", Want::Share);
    // A job that pays the rig.
    scene.advance(2 * SECOND);
    let easy = scene.rig_mut(key).mine(Want::Share);
    let block = scene.rig_mut(key).mine(Want::Block);
    scene.ask(key, "suggest", "mining.suggest_difficulty", json!([8.0 / 65_536.0]));
    let hard = scene.rig_mut(key).mine(Want::Share);
    let left = scene.stop();
    let rig = scene.rigs.remove(&key).unwrap();
    Day { scene, session, credited, easy, hard, block, rig, left }
}

#[test]
fn shares_found_across_a_restart_count_once_at_their_difficulty() {
    let mut day = stopped();
    day.scene.start_with(&day.left, wide(), 2 * SECOND).unwrap();
    let scene = &mut day.scene;
    let key = comes_back(scene, 1, &day.session.0);
    assert_eq!(session(scene, key), day.session);
    assert_eq!(scene.rigs[&key].difficulty * 65_536.0, 8.0);
    assert_eq!(scene.pool.total_work(), 1);
    assert_eq!(result(scene, key, "easy", &day.easy), true);
    assert_eq!(result(scene, key, "hard", &day.hard), true);
    // This one was credited by the run before: confirmed again, for its answer may be lost, and not credited.
    assert_eq!(result(scene, key, "credited", &day.credited), true);
    assert_eq!(result(scene, key, "hard again", &day.hard), true);
    assert_eq!((scene.pool.total_work(), scene.pool.window().total_shares()), (10, 3));
    // And so over another restart.
    let left = scene.stop();
    scene.start_with(&left, wide(), SECOND).unwrap();
    let key = comes_back(scene, 1, &day.session.0);
    for (id, share) in [("1", &day.credited), ("2", &day.easy), ("3", &day.hard)] {
        assert_eq!(result(scene, key, id, share), true);
    }
    assert_eq!((scene.pool.total_work(), scene.pool.window().total_shares()), (10, 3));
    assert_eq!(scene.pool.window().total_shares(), 3);
}

#[test]
fn a_block_of_an_old_job_pays_by_the_split_of_that_job() {
    let mut day = stopped();
    // The operator has another share in the next run.
    let mut dearer = wide();
    dearer.chains[0].terms.fee_ppm = 500_000;
    day.scene.start_with(&day.left, dearer, 2 * SECOND).unwrap();
    let scene = &mut day.scene;
    let key = comes_back(scene, 1, &day.session.0);
    let outputs = day.rig.jobs.iter().find(|job| job.id == day.block.job_id).unwrap().outputs();
    assert!(outputs.len() == 2, "the rig is paid: {outputs:?}");
    assert_eq!(result(scene, key, "block", &day.block), true);
    scene.advance(SECOND);
    let blocks = scene.pool.chains()[0].ledger.blocks();
    assert_eq!(blocks.len(), 1);
    assert_eq!(blocks[0].status, BlockStatus::Accepted);
    assert_eq!(edgepool::base::display_hash(&blocks[0].found.hash), day.block.block_hash);
    assert_eq!(blocks[0].found.fee_ppm, 10_000);
    let paid: Vec<u64> = blocks[0].found.outputs.iter().map(|output| output.amount).collect();
    assert!(outputs.iter().any(|(_, amount)| paid == [*amount]), "{outputs:?} {paid:?}");
    assert_eq!(scene.nodes[0].submitted.len(), 1);
}

#[test]
fn there_is_work_at_once_and_soon_work_of_the_new_run() {
    let mut day = stopped();
    let handover = decode(&day.left).unwrap().pop().unwrap();
    let newest = day.rig.jobs.last().unwrap().id.clone();
    day.scene.start_with(&encode(&[handover]), wide(), 2 * SECOND).unwrap();
    let scene = &mut day.scene;
    let job = scene.pool.current_job().unwrap();
    assert!(!job.is_inherited() && job.age_ms(scene.now.mono_ms) <= SECOND);
    let number = |id: &str| u64::from_str_radix(id.split('x').next().unwrap(), 16).unwrap();
    assert_eq!(job.seq, number(&newest) + 1);
    // It is told to who is back; the old stays good, until somebody finds a block.
    let key = comes_back(scene, 1, &day.session.0);
    assert!(scene.rigs[&key].job().clean);
    assert_eq!(result(scene, key, "easy", &day.easy), true);
    scene.new_tip(0, &"ab".repeat(32));
    scene.advance(SECOND);
    assert_eq!(result(scene, key, "hard", &day.hard), 21);
}

#[test]
fn a_tip_that_moved_during_the_restart_makes_the_old_jobs_stale() {
    let mut day = stopped();
    day.scene.nodes[0].extend(&"ab".repeat(32));
    day.scene.start_with(&day.left, wide(), 2 * SECOND).unwrap();
    let key = comes_back(&mut day.scene, 1, &day.session.0);
    assert_eq!(result(&mut day.scene, key, "easy", &day.easy), 21);
}

#[test]
fn what_the_run_before_left_is_refused_where_it_does_not_fit() {
    let other_name = |spec: &mut edgepool::pool::spec::PoolSpec| spec.name = "other".into();
    let other_length = |spec: &mut edgepool::pool::spec::PoolSpec| spec.stratum.extranonce2_len = 4;
    let same = |_: &mut edgepool::pool::spec::PoolSpec| {};
    type Change = fn(&mut edgepool::pool::spec::PoolSpec);
    let cases: [(Change, u64, HandoverError); 3] = [
        (other_name, SECOND, HandoverError::Other("pool")),
        (other_length, SECOND, HandoverError::Other("length of extranonce2")),
        (same, 10 * MINUTE + 1, HandoverError::Age),
    ];
    for (change, pause_ms, expected) in cases {
        let mut day = stopped();
        let mut spec = wide();
        change(&mut spec);
        assert_eq!(day.scene.start_with(&day.left, spec, pause_ms), Err(expected));
        assert_eq!(day.scene.pool.window().total_shares(), 1, "what is in the ledger is there all the same");
    }
}

#[test]
fn a_clock_that_was_set_back_is_not_trusted() {
    let mut day = stopped();
    day.scene.now.wall_ms -= MINUTE;
    assert_eq!(day.scene.start_with(&day.left, wide(), 0), Err(HandoverError::Age));
}

#[test]
fn a_ledger_that_went_on_without_it_has_nothing_to_do_with_it() {
    let mut day = stopped();
    day.scene.restart(wide(), SECOND);
    // Read a second time, or put back by somebody: its shares could be credited again.
    assert_eq!(day.scene.start_with(&day.left, wide(), SECOND), Err(HandoverError::Ledger));
    let key = comes_back(&mut day.scene, 1, &day.session.0);
    assert_ne!(session(&day.scene, key).0, day.session.0);
    assert_eq!(result(&mut day.scene, key, "credited", &day.credited), 21);
    assert_eq!(day.scene.pool.window().total_shares(), 1);
}

#[test]
fn nothing_is_left_while_something_waits_for_the_disk() {
    let mut scene = Scene::start(wide());
    let key = scene.rig(1);
    scene.work(key, "first", Want::Share);
    assert!(scene.pool.handover(scene.now).is_some());
    for id in ["written at once", "waits"] {
        let share = scene.rig_mut(key).mine(Want::Share);
        scene.submit(key, id, &share);
    }
    assert!(scene.pool.handover(scene.now).is_none());
    scene.disk.fault = Some("full".into());
    scene.advance(SECOND);
    assert!(scene.pool.handover(scene.now).is_none());
    scene.disk.fault = None;
    scene.advance(2 * SECOND);
    assert!(scene.pool.handover(scene.now).is_some());
}

#[test]
fn damage_is_found_wherever_it_is() {
    let day = stopped();
    assert!(decode(&day.left).is_ok());
    for cut in [0, 1, 8, 20, 39, 40, 41, day.left.len() - 1] {
        assert!(decode(&day.left[..cut]).is_err(), "{cut}");
    }
    for place in (0..day.left.len()).step_by(7).chain(0..48) {
        let mut bytes = day.left.clone();
        bytes[place] ^= 1;
        let expected = if place < 8 { HandoverError::Format } else { HandoverError::Damaged };
        assert_eq!(decode(&bytes).err(), Some(expected), "{place}");
    }
    assert!(decode(&[day.left.as_slice(), b"x"].concat()).is_err());
}

#[test]
fn a_transaction_that_jobs_have_in_common_is_written_once() {
    let mut scene = Scene::start(wide());
    let key = scene.rig(1);
    scene.work(key, "first", Want::Share);
    scene.advance(5 * MINUTE);
    assert!(scene.rigs[&key].jobs.len() > 10);
    let data = scene.pool.current_job().unwrap().template.transactions[0].data.clone();
    let left = scene.stop();
    assert_eq!(left.windows(data.len()).filter(|window| *window == &*data).count(), 1);
}
