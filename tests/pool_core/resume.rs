//! Rigs that come back with the session that they had: what they found before is still good, once.

use edgepool::base::slots::Key;
use edgepool::coin::difficulty::Difficulty;
use edgepool::pool::resume::RESUMABLE_MS;
use serde_json::{Value, json};

use crate::rig::{Share, Want};
use crate::scene::{SECOND, Scene, address, spec};

/// The session and the extranonce1 that a rig was given.
fn given(scene: &Scene, key: Key) -> (String, String) {
    let result = &scene.rigs[&key].reply("subscribe").unwrap()["result"];
    let text = |value: &Value| value.as_str().unwrap().to_string();
    assert_eq!(result[0][0][1], result[0][1][1]);
    (text(&result[0][1][1]), text(&result[1]))
}

/// A rig at work that names a session.
fn resuming(scene: &mut Scene, number: u8, session: &str) -> Key {
    let key = scene.connect();
    scene.ask(key, "subscribe", "mining.subscribe", json!(["test/1", session]));
    scene.authorize(key, &address(number), "x");
    key
}

fn drop_connection(scene: &mut Scene, key: Key) {
    scene.pool.handle_miner_closed(key);
    scene.turn();
}

fn result(scene: &mut Scene, key: Key, id: &str, share: &Share) -> Value {
    scene.submit(key, id, share);
    scene.advance(300);
    let reply = scene.rigs[&key].reply(id).expect("every share is answered");
    if reply["result"] == true { json!(true) } else { reply["error"][0].clone() }
}

fn wide() -> edgepool::pool::spec::PoolSpec {
    let mut spec = spec(1);
    spec.vardiff.max = Difficulty::from_units(32).unwrap();
    spec
}

#[test]
fn a_dropped_rig_comes_back_and_its_last_share_counts_once() {
    let mut scene = Scene::start(wide());
    let key = scene.rig(1);
    let (session, extranonce1) = given(&scene, key);
    assert_eq!(session.len(), 16);
    let easy = scene.rig_mut(key).mine(Want::Share);
    scene.ask(key, "suggest", "mining.suggest_difficulty", json!([8.0 / 65_536.0]));
    let hard = scene.rig_mut(key).mine(Want::Share);
    drop_connection(&mut scene, key);

    let again = resuming(&mut scene, 1, &session);
    assert_eq!(given(&scene, again), (session, extranonce1));
    // Its difficulty is the one it had, and its work is under a new name: what it finds is not found already.
    assert_eq!(scene.rigs[&again].difficulty * 65_536.0, 8.0);
    assert!(scene.rigs[&again].job().clean);
    assert_eq!(scene.rigs[&again].jobs.len(), 1);
    assert!(![&easy.job_id, &hard.job_id].contains(&&scene.rigs[&again].job().id));
    assert_eq!(result(&mut scene, again, "easy", &easy), true);
    assert_eq!(scene.pool.total_work(), 1);
    assert_eq!(result(&mut scene, again, "hard", &hard), true);
    assert_eq!((scene.pool.total_work(), scene.pool.window().total_shares()), (9, 2));
    // It can't know whether the first one has arrived: sent again it is confirmed, and not credited.
    assert_eq!(result(&mut scene, again, "repeated", &hard), true);
    assert_eq!((scene.pool.total_work(), scene.pool.window().total_shares()), (9, 2));
    assert_eq!(scene.pool.counts().accepted, 2);
    // What was found on work of this connection is refused the second time, as always.
    let new = scene.rig_mut(again).mine(Want::Share);
    assert_eq!(result(&mut scene, again, "new", &new), true);
    assert_eq!(result(&mut scene, again, "twice", &new), 22);
    assert_eq!(scene.pool.total_work(), 17);
}

#[test]
fn shares_that_a_rig_sends_before_it_authorizes_wait_for_that_and_count() {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    let (session, _) = given(&scene, key);
    let [first, second] = std::array::from_fn(|_| scene.rig_mut(key).mine(Want::Share));
    drop_connection(&mut scene, key);
    let again = scene.connect();
    scene.ask(again, "subscribe", "mining.subscribe", json!(["cpuminer/2.5.1", session]));
    scene.rig_mut(again).username = address(1);
    scene.submit(again, "first", &first);
    scene.submit(again, "second", &second);
    scene.advance(SECOND);
    // minerd takes whatever comes now for the answer to its authorization.
    assert_eq!(scene.rigs[&again].order(), ["subscribe"]);
    scene.authorize(again, &address(1), "x");
    scene.advance(SECOND);
    let order = ["subscribe", "authorize", "mining.set_difficulty", "mining.notify", "first", "second"];
    assert_eq!(scene.rigs[&again].order()[..6], order);
    assert_eq!(["first", "second"].map(|id| scene.rigs[&again].reply(id).unwrap()["result"].clone()), [true, true]);
    assert_eq!(scene.pool.window().total_shares(), 2);
}

#[test]
fn a_share_whose_answer_was_lost_is_answered_again_when_its_credit_is_on_disk() {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    let (session, _) = given(&scene, key);
    // The disk was just written to: what follows waits.
    scene.work(key, "first", Want::Share);
    let (early, share) = (scene.rig_mut(key).mine(Want::Share), scene.rig_mut(key).mine(Want::Share));
    scene.submit(key, "early", &early);
    scene.submit(key, "lost", &share);
    assert!(scene.rigs[&key].reply("lost").is_none());
    drop_connection(&mut scene, key);
    let again = resuming(&mut scene, 1, &session);
    scene.submit(again, "again", &share);
    assert!(scene.rigs[&again].reply("again").is_none(), "nothing is acknowledged before it is on disk");
    scene.advance(300);
    assert_eq!(scene.rigs[&again].reply("again").unwrap()["result"], true);
    assert_eq!((scene.pool.total_work(), scene.pool.window().total_shares()), (3, 3));
}

#[test]
fn a_share_whose_credit_could_not_be_written_may_come_again() {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    let (session, _) = given(&scene, key);
    let share = scene.rig_mut(key).mine(Want::Share);
    scene.disk.fault = Some("full".into());
    assert_eq!(result(&mut scene, key, "refused", &share), 20);
    scene.disk.fault = None;
    scene.advance(2 * SECOND);
    drop_connection(&mut scene, key);
    let again = resuming(&mut scene, 1, &session);
    assert_eq!(result(&mut scene, again, "credited", &share), true);
    assert_eq!((scene.pool.total_work(), scene.pool.window().total_shares()), (1, 1));
}

#[test]
fn a_name_that_nobody_was_given_is_a_new_session() {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    let (session, extranonce1) = given(&scene, key);
    drop_connection(&mut scene, key);
    let zeros = "0".repeat(16);
    for named in [&zeros, "", "x", &session[1..], &format!("0{session}"), &extranonce1, &session.to_uppercase()] {
        if named != session {
            let other = resuming(&mut scene, 2, named);
            let given = given(&scene, other);
            assert!(given.0 != session && given.1 != extranonce1, "{named}");
        }
    }
    // None of them has taken it.
    let again = resuming(&mut scene, 1, &session);
    assert_eq!(given(&scene, again), (session, extranonce1));
}

#[test]
fn work_that_came_meanwhile_is_told_and_the_old_is_still_good() {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    let (session, _) = given(&scene, key);
    let share = scene.rig_mut(key).mine(Want::Share);
    drop_connection(&mut scene, key);
    scene.advance(65 * SECOND);
    let again = resuming(&mut scene, 1, &session);
    let new = scene.rigs[&again].job().id.clone();
    assert!(!new.starts_with(share.job_id.as_str()));
    assert_eq!(result(&mut scene, again, "old", &share), true);
    let share = scene.rig_mut(again).mine(Want::Share);
    assert_eq!(result(&mut scene, again, "new", &share), true);
    // A new block makes it stale, as for every rig.
    let late = scene.rig_mut(again).mine(Want::Share);
    drop_connection(&mut scene, again);
    scene.new_tip(0, &"ab".repeat(32));
    scene.advance(SECOND);
    let third = resuming(&mut scene, 1, &session);
    assert_eq!(result(&mut scene, third, "late", &late), 21);
}

#[test]
fn who_stays_away_too_long_begins_anew() {
    for (away_ms, is_same) in [(RESUMABLE_MS - 5 * SECOND, true), (RESUMABLE_MS + 5 * SECOND, false)] {
        let mut scene = Scene::start(spec(1));
        let key = scene.rig(1);
        let before = given(&scene, key);
        drop_connection(&mut scene, key);
        scene.advance(away_ms);
        let again = resuming(&mut scene, 1, &before.0);
        let after = given(&scene, again);
        assert_eq!([after.0 == before.0, after.1 == before.1], [is_same; 2], "after {away_ms} ms");
    }
}

#[test]
fn only_so_many_are_remembered_those_who_left_last() {
    let mut spec = spec(1);
    spec.stratum.max_connections = 3;
    let mut scene = Scene::start(spec);
    let sessions: Vec<(String, String)> = (1..=5)
        .map(|number| {
            let key = scene.rig(number);
            let given = given(&scene, key);
            drop_connection(&mut scene, key);
            scene.advance(2 * SECOND);
            given
        })
        .collect();
    // Whoever asks for nothing leaves nothing.
    for _ in 0..10 {
        let silent = scene.connect();
        scene.ask(silent, "subscribe", "mining.subscribe", json!(["test/1"]));
        drop_connection(&mut scene, silent);
    }
    for (number, (before, is_same)) in sessions.iter().zip([false, false, true, true, true]).enumerate() {
        let again = resuming(&mut scene, number as u8 + 1, &before.0);
        assert_eq!(given(&scene, again) == *before, is_same, "rig {number}");
    }
}

#[test]
fn whoever_names_the_session_has_it_and_the_connection_before_ends() {
    let mut scene = Scene::start(wide());
    let dead = scene.rig(1);
    let (session, extranonce1) = given(&scene, dead);
    let share = scene.rig_mut(dead).mine(Want::Share);
    let again = resuming(&mut scene, 1, &session);
    assert_eq!(given(&scene, again), (session.clone(), extranonce1.clone()));
    assert!(scene.rigs[&dead].closed.is_some() && scene.rigs[&again].closed.is_none());
    assert_eq!(scene.pool.connections(), 1);
    assert_eq!(result(&mut scene, again, "share", &share), true);
    // The end of the old one takes nothing from the new one.
    drop_connection(&mut scene, dead);
    let third = resuming(&mut scene, 1, &session);
    assert_eq!(given(&scene, third), (session, extranonce1));
    assert_eq!(result(&mut scene, third, "share", &share), true);
    assert_eq!(scene.pool.total_work(), 1);
}

#[test]
fn a_rig_that_takes_another_extranonce1_mines_on_beside_its_successor() {
    let mut scene = Scene::start(wide());
    let first = scene.connect();
    scene.ask(first, "subscribe", "mining.subscribe", json!(["test/1"]));
    scene.ask(first, "extranonce", "mining.extranonce.subscribe", json!([]));
    scene.authorize(first, &address(1), "x");
    let (session, extranonce1) = given(&scene, first);
    let old = scene.rig_mut(first).mine(Want::Share);
    let second = resuming(&mut scene, 2, &session);
    assert_eq!(given(&scene, second).1, extranonce1);
    assert!(scene.rigs[&first].closed.is_none());
    let moved = scene.rigs[&first].lines.iter().rfind(|line| line["method"] == "mining.set_extranonce").unwrap();
    assert_ne!(moved["params"][0], extranonce1);
    assert!(scene.rigs[&first].job().clean);

    // What both may send counts once, whoever is first, and for the difficulty that it was sent with.
    scene.ask(second, "suggest", "mining.suggest_difficulty", json!([32.0 / 65_536.0]));
    assert_eq!(result(&mut scene, second, "old", &old), true);
    assert_eq!(result(&mut scene, first, "old", &old), 22);
    assert_eq!(scene.pool.total_work(), 1);
    // The new sendings are each other's secret: not sent to the one, and with another extranonce1 to the other.
    let new = scene.rig_mut(second).mine(Want::Share);
    assert_eq!(result(&mut scene, second, "new", &new), true);
    assert_eq!(scene.pool.total_work(), 33);
    assert_ne!(result(&mut scene, first, "new", &new), true);
    assert_eq!(scene.pool.total_work(), 33);

    // It can't go back, or it could choose whose difficulty suits what it found.
    scene.rig_mut(first).lines.clear();
    scene.ask(first, "subscribe", "mining.subscribe", json!(["test/1", session]));
    let named = given(&scene, first);
    assert!(named.0 != session && named.1 != extranonce1);
    assert!(scene.rigs[&second].closed.is_none());
}

#[test]
fn of_two_that_claim_a_session_the_last_has_it() {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    let (session, extranonce1) = given(&scene, key);
    drop_connection(&mut scene, key);
    let (first, second) = (resuming(&mut scene, 1, &session), resuming(&mut scene, 2, &session));
    assert_eq!([first, second].map(|key| given(&scene, key).1), [extranonce1.clone(), extranonce1.clone()]);
    assert_eq!([first, second].map(|key| scene.rigs[&key].closed.is_some()), [true, false]);
    // Nobody else has it, whatever they were given in between.
    let others: Vec<Key> = (3..20).map(|number| scene.rig(number)).collect();
    assert!(others.iter().all(|key| given(&scene, *key).1 != extranonce1));
}

#[test]
fn a_connection_has_one_session_however_often_it_subscribes() {
    let mut scene = Scene::start(spec(1));
    let (other, key) = (scene.rig(1), scene.rig(2));
    let (session, before) = (given(&scene, other).0, given(&scene, key));
    scene.rig_mut(key).lines.clear();
    scene.ask(key, "subscribe", "mining.subscribe", json!(["test/1", session]));
    assert_eq!(given(&scene, key), before);
    assert!(scene.rigs[&other].closed.is_none());
}

#[test]
fn firmware_that_takes_another_coinbase_begins_anew() {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    let (session, _) = given(&scene, key);
    drop_connection(&mut scene, key);
    let other = scene.connect();
    scene.ask(other, "subscribe", "mining.subscribe", json!(["cpuminer/2.5", session]));
    assert_ne!(given(&scene, other).0, session);
}

#[test]
fn one_session_does_not_give_away_the_next() {
    let mut scene = Scene::start(spec(1));
    let sessions: Vec<u64> = (1..=64)
        .map(|_| {
            let key = scene.rig(1);
            u64::from_str_radix(&given(&scene, key).0, 16).unwrap()
        })
        .collect();
    // Neither counted up nor the next of the public generator, whose state one number gives away.
    for pair in sessions.windows(2) {
        let mut predicted = edgepool::base::rng::Rng::new(inverted(pair[0]));
        assert!(pair[1] != predicted.next_u64() && pair[0].abs_diff(pair[1]) > 1 << 32);
    }
}

/// The state from which the generator would have given a number.
fn inverted(mut z: u64) -> u64 {
    let unshift = |z: u64, by: u32| (0..64 / by).fold(z, |x, _| z ^ (x >> by));
    let inverse = |odd: u64| (0..6).fold(odd, |x: u64, _| x.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(x))));
    z = unshift(z, 31).wrapping_mul(inverse(0x94d0_49bb_1331_11eb));
    z = unshift(z, 27).wrapping_mul(inverse(0xbf58_476d_1ce4_e5b9));
    unshift(z, 30)
}
