//! In steady state a share costs no allocation: read, judged, credited or refused, committed and answered.

use allocation_counter::measure;
use edgepool::base::slots::Key;
use edgepool::coin::difficulty::Difficulty;
use edgepool::pool::Output;
use serde_json::json;

use crate::merged::{rig_as, start};
use crate::rig::{Share, Want};
use crate::scene::{Scene, address, spec};

/// Shares between two commits.
const TURN: usize = 50;

/// A `mining.submit` as rigs write it.
fn line(scene: &Scene, key: Key, id: usize, share: &Share, job: &str) -> Vec<u8> {
    let Share { extranonce2, ntime, nonce, .. } = share;
    let params = json!([scene.rigs[&key].username, job, extranonce2, format!("{ntime:08x}"), format!("{nonce:08x}")]);
    format!("{}\n", json!({"id": id, "method": "mining.submit", "params": params})).into_bytes()
}

/// Takes what the pool wants sent to rigs, and says how many of the lines hold `text`.
fn take_lines(scene: &mut Scene, text: &[u8]) -> usize {
    let mut count = 0;
    while let Some(output) = scene.pool.poll_output() {
        if let Output::ToMiner { line, .. } = output {
            count += usize::from(line.windows(text.len()).any(|window| window == text));
        }
    }
    count
}

/// Sends the lines, each over its connection, and commits; the lines answered with `answer`, and the allocations of
/// everything but the batch, of which there is one in many shares.
fn turn_of(scene: &mut Scene, lines: &[(Key, Vec<u8>)], answer: &[u8]) -> (usize, u64) {
    let now = scene.now;
    let mut answered = 0;
    let received = measure(|| {
        for (key, line) in lines {
            scene.pool.handle_miner_bytes(*key, line, now);
            answered += take_lines(scene, answer);
        }
    });
    let batch = scene.pool.batch(now);
    scene.disk.write(batch).unwrap();
    let committed = measure(|| {
        scene.pool.handle_committed(now);
        answered += take_lines(scene, answer);
    });
    (answered, received.count_total + committed.count_total)
}

/// As [`turn_of`], all over one connection.
fn turn(scene: &mut Scene, key: Key, lines: &[Vec<u8>], answer: &[u8]) -> (usize, u64) {
    let lines: Vec<(Key, Vec<u8>)> = lines.iter().map(|line| (key, line.clone())).collect();
    turn_of(scene, &lines, answer)
}

#[test]
fn an_accepted_share_costs_no_allocation() {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    let mut lines = Vec::new();
    // The table of shares seen doubles now and then; from the 900th to the 1,700th it does not.
    for id in 0..1_700 {
        let share = scene.rig_mut(key).mine(Want::Share);
        lines.push(line(&scene, key, id, &share, &share.job_id));
    }
    let (warm, steady) = lines.split_at(900);
    let mut accept = |lines: &[Vec<u8>]| {
        let turns = lines.chunks(TURN).map(|lines| turn(&mut scene, key, lines, b"\"result\":true"));
        turns.fold((0, 0), |(answers, count), turn| (answers + turn.0, count + turn.1))
    };
    assert_eq!(accept(warm).0, warm.len());
    assert_eq!(accept(steady), (steady.len(), 0));
}

#[test]
fn shares_of_many_rigs_cost_no_allocation() {
    let mut scene = Scene::start(spec(1));
    let rigs: Vec<Key> = (0..8).map(|number| scene.rig(number)).collect();
    assert_steady(&mut scene, &rigs);
}

/// As above, with the shares of one turn from all of the rigs.
#[track_caller]
fn assert_steady(scene: &mut Scene, rigs: &[Key]) {
    let lines: Vec<(Key, Vec<u8>)> = (0..1_700)
        .map(|id| {
            let key = rigs[id % rigs.len()];
            let share = scene.rig_mut(key).mine(Want::Share);
            (key, line(scene, key, id, &share, &share.job_id))
        })
        .collect();
    let (warm, steady) = lines.split_at(900);
    let mut accept = |lines: &[(Key, Vec<u8>)]| {
        let turns = lines.chunks(TURN).map(|lines| turn_of(scene, lines, b"\"result\":true"));
        turns.fold((0, 0), |(answers, count), turn| (answers + turn.0, count + turn.1))
    };
    assert_eq!(accept(warm).0, warm.len());
    assert_eq!(accept(steady), (steady.len(), 0));
}

#[test]
fn a_share_that_works_for_several_chains_costs_no_allocation() {
    let mut scene = start(&["dogecoin", "pepecoin"]);
    let username = format!("{},{}", address(1), address(11));
    let rigs = [scene.rig(2), rig_as(&mut scene, &username)];
    assert_steady(&mut scene, &rigs);
}

/// Sends useless shares, twice: the second time they may allocate nothing.
#[track_caller]
fn refused(scene: &mut Scene, key: Key, lines: &[Vec<u8>], reason: &str) {
    let (warm, steady) = lines.split_at(TURN);
    assert_eq!(turn(scene, key, warm, reason.as_bytes()).0, TURN, "{reason}");
    assert_eq!(turn(scene, key, steady, reason.as_bytes()), (TURN, 0), "{reason}");
}

#[test]
fn a_refused_share_costs_no_allocation() {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    let share = scene.rig_mut(key).mine(Want::Share);
    let same =
        |scene: &Scene, job: &str| -> Vec<_> { (0..2 * TURN).map(|id| line(scene, key, id, &share, job)).collect() };
    scene.submit(key, "first", &share);
    scene.advance(1_000);
    for (job, reason) in [("ffffff", "Job not found"), (share.job_id.as_str(), "Duplicate share")] {
        let lines = same(&scene, job);
        refused(&mut scene, key, &lines, reason);
    }
    // One that nobody has seen, of a job whose tip is gone.
    let unseen = scene.rig_mut(key).mine(Want::Share);
    scene.new_tip(0, &"ab".repeat(32));
    scene.advance(1_000);
    let lines: Vec<_> = (0..2 * TURN).map(|id| line(&scene, key, id, &unseen, &unseen.job_id)).collect();
    refused(&mut scene, key, &lines, "Stale: new block");
}

#[test]
fn a_share_that_is_too_easy_costs_no_allocation() {
    let mut spec = spec(1);
    spec.vardiff.max = Difficulty::from_units(32).unwrap();
    spec.vardiff.start = spec.vardiff.max;
    let mut scene = Scene::start(spec);
    let key = scene.rig(1);
    let share = scene.rig_mut(key).mine(Want::TooEasy);
    let lines: Vec<_> = (0..2 * TURN).map(|id| line(&scene, key, id, &share, &share.job_id)).collect();
    refused(&mut scene, key, &lines, "Low difficulty share");
}
