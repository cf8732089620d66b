//! In steady state a share costs no allocation: read, judged, credited or refused, committed and answered.

use allocation_counter::measure;
use edgepool::base::slots::Key;
use edgepool::pool::Output;
use serde_json::json;

use crate::rig::{Share, Want};
use crate::scene::{Scene, spec};

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

/// Sends the lines and commits; the lines answered with `answer`, and the allocations of everything but the batch, of
/// which there is one in many shares.
fn turn(scene: &mut Scene, key: Key, lines: &[Vec<u8>], answer: &[u8]) -> (usize, u64) {
    let now = scene.now;
    let mut answered = 0;
    let received = measure(|| {
        for line in lines {
            scene.pool.handle_miner_bytes(key, line, now);
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
fn a_refused_share_costs_no_allocation() {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    let share = scene.rig_mut(key).mine(Want::Share);
    let refusals = [("ffffff", "Job not found"), (share.job_id.as_str(), "Duplicate share")];
    scene.submit(key, "first", &share);
    scene.advance(1_000);
    for (job, reason) in refusals {
        let lines: Vec<_> = (0..2 * TURN).map(|id| line(&scene, key, id, &share, job)).collect();
        let (warm, steady) = lines.split_at(TURN);
        assert_eq!(turn(&mut scene, key, warm, reason.as_bytes()).0, TURN, "{reason}");
        assert_eq!(turn(&mut scene, key, steady, reason.as_bytes()), (TURN, 0), "{reason}");
    }
}
