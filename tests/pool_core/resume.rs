//! A rig that comes back and names its session goes on where it was: the same extranonce1, and the shares that it
//! found meanwhile count, once.

use edgepool::base::slots::Key;
use serde_json::{Value, json};

use crate::rig::{Share, Want};
use crate::scene::{Scene, address, spec};

const MINUTE: u64 = 60_000;

/// What `mining.subscribe` was answered: the session and the extranonce1.
fn session(scene: &Scene, key: Key) -> (String, String) {
    let result = &scene.rigs[&key].reply("subscribe").unwrap()["result"];
    let text = |value: &Value| value.as_str().unwrap().to_string();
    (text(&result[0][0][1]), text(&result[1]))
}

/// A rig that names a session when it subscribes.
fn comes_back(scene: &mut Scene, session: &str) -> Key {
    let key = scene.connect();
    scene.ask(key, "subscribe", "mining.subscribe", json!(["test/1", session]));
    scene.authorize(key, &address(1), "x");
    key
}

fn is_accepted(scene: &mut Scene, key: Key, id: &str, share: &Share) -> bool {
    scene.submit(key, id, share);
    scene.advance(300);
    scene.rigs[&key].reply(id).unwrap()["result"] == true
}

fn error(scene: &Scene, key: Key, id: &str) -> u64 {
    scene.rigs[&key].reply(id).unwrap()["error"][0].as_u64().unwrap()
}

#[test]
fn shares_found_while_the_connection_was_down_count_once() {
    let mut scene = Scene::start(spec(1));
    let old = scene.rig(1);
    let (id, extranonce1) = session(&scene, old);
    let share = scene.rig_mut(old).mine(Want::Share);
    scene.pool.handle_miner_closed(old);
    // Jobs go on meanwhile, but the tip stays.
    scene.advance(45_000);
    let new = comes_back(&mut scene, &id);
    assert_eq!(session(&scene, new), (id.clone(), extranonce1));
    assert_eq!(scene.rigs[&new].order()[2..], ["mining.set_difficulty", "mining.notify"]);
    assert!(scene.rigs[&new].job().clean);
    assert!(is_accepted(&mut scene, new, "late", &share));
    assert!(!is_accepted(&mut scene, new, "twice", &share));
    assert_eq!(error(&scene, new, "twice"), 22);
    // It works on, and may do all that again.
    let next = scene.rig_mut(new).mine(Want::Share);
    scene.pool.handle_miner_closed(new);
    let newest = comes_back(&mut scene, &id);
    assert!(is_accepted(&mut scene, newest, "next", &next));
    assert_eq!(scene.pool.window().total_shares(), 2);
}

#[test]
fn nobody_else_gets_the_session() {
    let mut scene = Scene::start(spec(1));
    let old = scene.rig(1);
    let (id, extranonce1) = session(&scene, old);
    scene.pool.handle_miner_closed(old);
    for guess in ["0000000000000000", "deadbeefdeadbeef", "another pool's", ""] {
        let other = comes_back(&mut scene, guess);
        assert_ne!(session(&scene, other).0, id);
        assert_ne!(session(&scene, other).1, extranonce1);
    }
}

#[test]
fn a_session_is_kept_for_ten_minutes() {
    let mut scene = Scene::start(spec(1));
    let (early, late) = (scene.rig(1), scene.rig(1));
    let (early_id, late_id) = (session(&scene, early), session(&scene, late));
    scene.pool.handle_miner_closed(early);
    scene.advance(2 * MINUTE);
    scene.pool.handle_miner_closed(late);
    scene.advance(9 * MINUTE);
    let forgotten = comes_back(&mut scene, &early_id.0);
    assert_ne!(session(&scene, forgotten), early_id);
    let kept = comes_back(&mut scene, &late_id.0);
    assert_eq!(session(&scene, kept), late_id);
}

#[test]
fn no_more_sessions_are_kept_than_there_may_be_connections() {
    let mut spec = spec(1);
    spec.stratum.max_connections = 3;
    let mut scene = Scene::start(spec);
    let sessions: Vec<_> = (0..4)
        .map(|_| {
            let key = scene.rig(1);
            let session = session(&scene, key);
            scene.pool.handle_miner_closed(key);
            session
        })
        .collect();
    for (index, expected) in sessions.iter().enumerate() {
        let key = comes_back(&mut scene, &expected.0);
        assert_eq!(session(&scene, key) == *expected, index > 0, "{index}");
    }
}

#[test]
fn a_session_moves_to_the_connection_that_names_it_though_the_old_one_seems_alive() {
    for takes_extranonce in [false, true] {
        let mut scene = Scene::start(spec(1));
        let old = scene.rig(1);
        if takes_extranonce {
            scene.ask(old, "extranonce", "mining.extranonce.subscribe", json!([]));
        }
        let before = session(&scene, old);
        let share = scene.rig_mut(old).mine(Want::Share);
        let new = comes_back(&mut scene, &before.0);
        assert_eq!(session(&scene, new), before);
        assert!(is_accepted(&mut scene, new, "moved", &share));
        assert_eq!(scene.rigs[&old].closed.is_some(), !takes_extranonce);
        if takes_extranonce {
            // The rig that is alive after all works on with another extranonce1, and can't send the share again.
            assert!(scene.rigs[&old].order().contains(&"mining.set_extranonce"));
            assert!(!is_accepted(&mut scene, old, "again", &share));
            assert_eq!(error(&scene, old, "again"), 22);
        }
        let next = scene.rig_mut(new).mine(Want::Share);
        assert!(is_accepted(&mut scene, new, "next", &next));
        assert_eq!(scene.pool.window().total_shares(), 2);
    }
}

#[test]
fn a_new_block_makes_the_shares_of_before_stale_for_who_comes_back_too() {
    let mut scene = Scene::start(spec(1));
    let old = scene.rig(1);
    let (id, _) = session(&scene, old);
    let share = scene.rig_mut(old).mine(Want::Share);
    scene.pool.handle_miner_closed(old);
    scene.new_tip(0, &"ab".repeat(32));
    scene.advance(1_000);
    let new = comes_back(&mut scene, &id);
    assert!(!is_accepted(&mut scene, new, "stale", &share));
    assert_eq!(error(&scene, new, "stale"), 21);
    let fresh = scene.rig_mut(new).mine(Want::Share);
    assert!(is_accepted(&mut scene, new, "fresh", &fresh));
}
