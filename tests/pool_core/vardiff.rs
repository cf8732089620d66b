//! Difficulty as rigs see it: what is announced is what is enforced, by a job of its own each time.

use edgepool::base::slots::Key;
use edgepool::coin::difficulty::Difficulty;

use crate::rig::Want;
use crate::scene::{HOUR, Scene, address, spec};

/// A pool that goes from the least difficulty to one that is soon mined.
fn open() -> Scene {
    let mut spec = spec(1);
    spec.vardiff.max = Difficulty::from_units(32).unwrap();
    Scene::start(spec)
}

fn units(scene: &Scene, key: Key) -> f64 {
    scene.rigs[&key].difficulty * 65_536.0
}

/// Every announcement is followed at once by a job with a name of its own.
#[track_caller]
fn each_change_has_a_job(scene: &Scene, key: Key) {
    let lines = &scene.rigs[&key].lines;
    let mut seen = std::collections::BTreeSet::new();
    for (index, line) in lines.iter().enumerate() {
        if line["method"] == "mining.notify" {
            assert!(seen.insert(line["params"][0].to_string()), "{line} has the name of another job");
        }
        if line["method"] == "mining.set_difficulty" {
            assert_eq!(lines[index + 1]["method"], "mining.notify", "after {line}");
        }
    }
}

#[test]
fn each_change_comes_with_a_job_and_no_share_in_flight_is_refused() {
    let mut scene = open();
    let key = scene.rig(1);
    let mut flights = Vec::new();
    for round in 0..12 {
        // A third of the shares arrive after what was announced meanwhile.
        let late = scene.rig_mut(key).mine(Want::Share);
        for number in 0..[30, 2, 0][round % 3] {
            let share = scene.rig_mut(key).mine(Want::Share);
            let id = format!("{round}-{number}");
            scene.submit(key, &id, &share);
            flights.push(id);
        }
        let id = format!("{round}-late");
        scene.submit(key, &id, &late);
        flights.push(id);
        scene.advance(5_000);
    }
    each_change_has_a_job(&scene, key);
    let announced = |line: &&serde_json::Value| line["method"] == "mining.set_difficulty";
    assert!(scene.rigs[&key].lines.iter().filter(announced).count() > 4, "it went up and came down");
    for id in flights {
        assert_eq!(scene.rigs[&key].reply(&id).unwrap()["result"], true, "{id}");
    }
    // What is easier than announced is refused.
    if units(&scene, key) > 1.0 {
        let easy = scene.rig_mut(key).mine(Want::TooEasy);
        scene.submit(key, "easy", &easy);
        assert_eq!(scene.rigs[&key].reply("easy").unwrap()["error"][0], 23);
    }
}

#[test]
fn a_share_that_was_in_flight_when_the_difficulty_fell_is_not_refused_and_not_credited() {
    let mut spec = spec(1);
    spec.vardiff.max = Difficulty::from_units(32).unwrap();
    spec.vardiff.start = spec.vardiff.max;
    let mut scene = Scene::start(spec);
    let key = scene.rig(1);
    assert_eq!(units(&scene, key), 32.0);
    let first = scene.rigs[&key].job().clone();
    let [early, in_flight, late] = std::array::from_fn(|_| scene.rig_mut(key).mine_job(&first, Want::TooEasy));
    scene.submit(key, "before", &early);
    assert_eq!(scene.rigs[&key].reply("before").unwrap()["error"][0], 23, "it was not told anything lower");
    scene.ask(key, "suggest", "mining.suggest_difficulty", serde_json::json!([1.0 / 65_536.0]));
    assert_eq!(units(&scene, key), 1.0);
    scene.submit(key, "in flight", &in_flight);
    assert_eq!(scene.rigs[&key].reply("in flight").unwrap()["result"], true);
    scene.submit(key, "again", &in_flight);
    assert_eq!(scene.rigs[&key].reply("again").unwrap()["error"][0], 22, "nobody is told true twice for one hash");
    scene.advance(31_000);
    scene.submit(key, "late", &late);
    assert_eq!(scene.rigs[&key].reply("late").unwrap()["error"][0], 23);
    let counts = scene.pool.counts();
    assert_eq!((counts.accepted, counts.uncredited, counts.rejected), (0, 1, 3));
    assert_eq!(scene.pool.window().total_shares(), 0);
}

#[test]
fn a_share_is_in_flight_for_half_a_minute_after_the_announcement_however_long_its_rig_was_silent() {
    let mut spec = spec(1);
    spec.vardiff.max = Difficulty::from_units(32).unwrap();
    spec.vardiff.start = spec.vardiff.max;
    for (silent_ms, error) in [(29_000, None), (31_000, Some(23))] {
        let mut scene = Scene::start(spec.clone());
        let key = scene.rig(1);
        let first = scene.rigs[&key].job().clone();
        let share = scene.rig_mut(key).mine_job(&first, Want::TooEasy);
        scene.ask(key, "suggest", "mining.suggest_difficulty", serde_json::json!([1.0 / 65_536.0]));
        scene.advance(silent_ms);
        scene.submit(key, "share", &share);
        assert_eq!(scene.rigs[&key].reply("share").unwrap()["error"][0].as_u64(), error, "after {silent_ms} ms");
    }
}

#[test]
fn a_worker_that_returns_starts_where_it_was() {
    let mut scene = open();
    let key = scene.rig(1);
    // One unit in 600 ms is 25 in the target time.
    for number in 0..300 {
        let share = scene.rig_mut(key).mine(Want::Share);
        scene.submit(key, &number.to_string(), &share);
        scene.advance(600);
        if units(&scene, key) > 1.0 {
            break;
        }
    }
    assert_eq!(units(&scene, key), 25.0);
    each_change_has_a_job(&scene, key);
    scene.pool.handle_miner_closed(key);
    scene.advance(HOUR);

    let again = scene.rig(1);
    assert_eq!(units(&scene, again), 25.0, "it is sent nothing else first");
    assert_eq!(scene.rigs[&again].jobs.len(), 1);
    // Another rig is not known, nor is what a password asks for forgotten.
    let other = scene.rig(2);
    assert_eq!(units(&scene, other), 1.0);
    let harder = scene.connect();
    scene.ask(harder, "subscribe", "mining.subscribe", serde_json::json!([]));
    scene.authorize(harder, &address(1), "d=0.00048828125");
    assert_eq!(units(&scene, harder), 32.0);
}

#[test]
fn a_pool_without_work_does_not_take_its_rigs_for_silent() {
    let mut spec = spec(1);
    spec.vardiff.max = Difficulty::from_units(32).unwrap();
    spec.vardiff.start = Difficulty::from_units(20).unwrap();
    let mut scene = Scene::unheard(spec, 1_700_000_000_000);
    scene.break_node(0, crate::node::Mode::Refused);
    let key = scene.rig(1);
    scene.advance(400_000);
    assert!(scene.rigs[&key].jobs.is_empty());
    assert_eq!(units(&scene, key), 20.0);
}
