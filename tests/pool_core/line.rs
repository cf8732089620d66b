//! Floods, crowds and haste: whom they cost what.

use std::net::IpAddr;

use edgepool::base::slots::Key;
use edgepool::base::time::{MINUTE, SECOND};
use edgepool::pool::guard::Denied;
use serde_json::{Value, json};

use crate::rig::Want;
use crate::scene::{Scene, address, spec};

const FLOODER: &str = "10.0.0.66";
const FARM: &str = "10.0.0.9";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A rig at work, connected from that address.
fn rig_from(scene: &mut Scene, from: &str, number: u8, worker: &str) -> Key {
    scene.pool.admit_connection(ip(from), true, scene.now).unwrap();
    let key = scene.connect_from(from);
    scene.ask(key, "subscribe", "mining.subscribe", json!(["test/1"]));
    scene.authorize(key, &format!("{}.{worker}", address(number)), "x");
    key
}

/// Shares with an extranonce2 that nobody was given, in the present moment.
fn send_invalid(scene: &mut Scene, key: Key, count: usize) {
    let job = scene.rigs[&key].job().id.clone();
    let username = scene.rigs[&key].username.clone();
    let share = json!({"id": 1, "method": "mining.submit", "params": [username, job, "00", "00000000", "00000000"]});
    for _ in 0..count {
        scene.pool.handle_miner_bytes(key, format!("{share}\n").as_bytes(), scene.now);
    }
    scene.turn();
}

fn bans(scene: &Scene) -> Vec<(String, Option<String>)> {
    scene.pool.bans(scene.now).map(|ban| (ban.origin.to_string(), ban.username)).collect()
}

#[test]
fn an_address_that_floods_for_minutes_is_kept_out_for_a_while() {
    let mut scene = Scene::start(spec(1));
    let honest = rig_from(&mut scene, FARM, 1, "good");
    let floods = [rig_from(&mut scene, FLOODER, 2, "a"), rig_from(&mut scene, FLOODER, 2, "b")];
    for minute in 0..6 {
        assert_eq!(bans(&scene), [], "minute {minute}");
        send_invalid(&mut scene, floods[0], 150);
        assert_eq!(scene.work(honest, &format!("share{minute}"), Want::Share).1["result"], true);
        scene.advance(MINUTE - 300);
    }
    assert_eq!(bans(&scene), [(FLOODER.to_string(), None)]);
    for key in floods {
        assert_eq!(scene.rigs[&key].closed.as_deref(), Some("Banned: invalid shares only"));
        let told = scene.rigs[&key].lines.last().unwrap();
        assert_eq!((&told["id"], &told["error"][1]), (&Value::Null, &json!("Banned: invalid shares only")));
    }
    assert_eq!(scene.rigs[&honest].closed, None);
    let denied = scene.pool.admit_connection(ip(FLOODER), true, scene.now).unwrap_err();
    assert!(matches!(denied, Denied::Banned { seconds: 530..=600 }), "{denied:?}");
    assert_eq!(denied.to_string(), "Banned for 9 min: invalid shares only");
    assert_eq!(scene.pool.admit_connection(ip(FARM), true, scene.now), Ok(()));

    scene.advance(9 * MINUTE);
    assert_eq!(scene.pool.admit_connection(ip(FLOODER), true, scene.now), Ok(()));
    assert_eq!(scene.pool.turned_away().banned, 1);
}

#[test]
fn a_ban_is_lifted_at_once() {
    let mut scene = Scene::start(spec(1));
    let flood = rig_from(&mut scene, FLOODER, 2, "a");
    for _ in 0..6 {
        send_invalid(&mut scene, flood, 150);
        scene.advance(MINUTE);
    }
    assert_eq!(scene.pool.unban(Some(ip(FARM))), 0);
    assert_eq!(scene.pool.unban(Some(ip(FLOODER))), 1);
    assert_eq!(scene.pool.admit_connection(ip(FLOODER), true, scene.now), Ok(()));
}

#[test]
fn bad_minutes_with_good_ones_between_them_ban_nobody() {
    let mut scene = Scene::start(spec(1));
    let rig = rig_from(&mut scene, FARM, 1, "moody");
    for round in 0..8 {
        send_invalid(&mut scene, rig, 1_000);
        scene.advance(2 * MINUTE);
        assert_eq!(scene.work(rig, &format!("share{round}"), Want::Share).1["result"], true);
    }
    assert_eq!((bans(&scene).len(), &scene.rigs[&rig].closed), (0, &None));
}

#[test]
fn a_flood_behind_the_address_of_honest_rigs_ends_alone() {
    let mut scene = Scene::start(spec(1));
    let honest = rig_from(&mut scene, FARM, 1, "good");
    let flood = rig_from(&mut scene, FARM, 2, "bad");
    for minute in 0..6 {
        assert_eq!(scene.work(honest, &format!("share{minute}"), Want::Share).1["result"], true);
        send_invalid(&mut scene, flood, 150);
        scene.advance(MINUTE - 300);
    }
    let bad = format!("{}.bad", address(2));
    assert_eq!(bans(&scene), [(FARM.to_string(), Some(bad.clone()))]);
    assert_eq!(scene.rigs[&flood].closed.as_deref(), Some("Closed: invalid shares only"));
    assert_eq!(scene.rigs[&honest].closed, None);

    let again = scene.connect_from(FARM);
    scene.ask(again, "subscribe", "mining.subscribe", json!([]));
    scene.authorize(again, &bad, "x");
    let refused = scene.rigs[&again].reply("authorize").unwrap();
    assert_eq!(refused["error"], json!([24, "Banned for 10 min: invalid shares only", null]));
    assert_eq!(scene.pool.turned_away().unauthorized, 1);
    scene.ask(again, "other", "mining.authorize", json!([format!("{}.good", address(2)), "x"]));
    assert_eq!(scene.rigs[&again].reply("other").unwrap()["result"], true);
    let elsewhere = rig_from(&mut scene, FLOODER, 2, "bad");
    assert_eq!(scene.rigs[&elsewhere].reply("authorize").unwrap()["result"], true);
}

#[test]
fn shares_that_come_late_ban_nobody() {
    let mut scene = Scene::start(spec(1));
    let rig = rig_from(&mut scene, FARM, 1, "slow");
    let share = scene.rig_mut(rig).mine(Want::Share);
    scene.new_tip(0, &"ab".repeat(32));
    scene.turn();
    for minute in 0..8 {
        for index in 0..120 {
            scene.submit(rig, &format!("{minute}-{index}"), &share);
        }
        scene.advance(MINUTE);
    }
    assert_eq!(scene.rigs[&rig].reply("7-0").unwrap()["error"][0], 21);
    assert_eq!((bans(&scene).len(), &scene.rigs[&rig].closed), (0, &None));
}

#[test]
fn a_pool_that_bans_nobody_reads_floods_slowly() {
    let mut spec = spec(1);
    spec.stratum.guard.ban_ms = 0;
    let mut scene = Scene::start(spec);
    let flood = rig_from(&mut scene, FLOODER, 2, "a");
    for _ in 0..8 {
        send_invalid(&mut scene, flood, 150);
        assert!(scene.pool.reads_from(flood) > scene.now.mono_ms + 10 * SECOND);
        scene.advance(MINUTE);
    }
    assert_eq!((bans(&scene).len(), &scene.rigs[&flood].closed), (0, &None));
}

#[test]
fn whoever_asks_too_much_is_answered_in_full_and_then_read_later() {
    let mut spec = spec(1);
    spec.stratum.guard.max_requests_per_second = 500;
    let mut scene = Scene::start(spec);
    let hasty = rig_from(&mut scene, FARM, 1, "hasty");
    let mut answered = 0;
    // Before and after its first share.
    for rate in [100, 500] {
        scene.advance(10 * SECOND);
        let ask = |scene: &mut Scene, count: usize| {
            for _ in 0..count {
                scene.pool.handle_miner_bytes(hasty, b"{\"id\":\"ping\",\"method\":\"mining.ping\"}\n", scene.now);
            }
            scene.turn();
        };
        ask(&mut scene, 2 * rate);
        assert!(scene.pool.reads_from(hasty) <= scene.now.mono_ms, "two seconds' worth at once");
        ask(&mut scene, rate);
        assert_eq!(scene.pool.reads_from(hasty), scene.now.mono_ms + SECOND);
        answered += 3 * rate;
        assert_eq!(scene.rigs[&hasty].lines.iter().filter(|line| line["id"] == "ping").count(), answered);
        scene.advance(SECOND);
        assert!(scene.pool.reads_from(hasty) <= scene.now.mono_ms);
        assert_eq!(scene.work(hasty, "share", Want::Share).1["result"], true);
    }
}

#[test]
fn a_full_pool_makes_room_for_a_newcomer_where_no_work_comes_from() {
    let mut spec = spec(1);
    spec.stratum.max_connections = 3;
    let mut scene = Scene::start(spec);
    let silent = scene.connect_from(FLOODER);
    let worker = rig_from(&mut scene, FARM, 1, "good");
    let idle = rig_from(&mut scene, FLOODER, 2, "idle");
    assert_eq!(scene.work(worker, "share", Want::Share).1["result"], true);
    let enter = |scene: &mut Scene, has_descriptors| {
        let admitted = scene.pool.admit_connection(ip(FARM), has_descriptors, scene.now);
        scene.turn();
        admitted
    };
    assert_eq!(enter(&mut scene, true), Err(Denied::Full), "whoever has just come has a moment");
    scene.advance(10 * SECOND);
    assert_eq!(enter(&mut scene, true), Ok(()));
    assert_eq!(scene.rigs[&silent].closed.as_deref(), Some("Pool is full: no work came from here"));
    scene.connect_from(FARM);
    assert_eq!(enter(&mut scene, true), Err(Denied::Full), "rigs have minutes for their first share");
    scene.advance(5 * MINUTE);
    // The one that came last has not authorised in time, and is gone: nobody has to leave.
    assert_eq!(enter(&mut scene, true), Ok(()));
    assert_eq!(scene.rigs[&idle].closed, None);
    assert_eq!(enter(&mut scene, false), Ok(()), "without descriptors somebody has to");
    assert!(scene.rigs[&idle].closed.is_some());
    assert_eq!(enter(&mut scene, false), Err(Denied::Full));
    assert_eq!(scene.rigs[&worker].closed, None);
    assert_eq!(scene.pool.turned_away().full, 3);
}

#[test]
fn a_byte_now_and_then_keeps_no_connection_open() {
    let mut scene = Scene::start(spec(1));
    let slow = rig_from(&mut scene, FARM, 1, "slow");
    for _ in 0..11 {
        scene.advance(MINUTE);
        scene.pool.handle_miner_bytes(slow, b"{", scene.now);
    }
    assert_eq!(scene.rigs[&slow].closed.as_deref(), Some("sent nothing for too long"));
}

#[test]
fn http_in_small_pieces_is_told_the_way_too() {
    let mut scene = Scene::start(spec(1));
    let browser = scene.connect_from(FARM);
    let mut heard = Vec::new();
    for piece in [&b"GE"[..], b"T / HT", b"TP/1.1\r\n"] {
        scene.pool.handle_miner_bytes(browser, piece, scene.now);
    }
    while let Some(output) = scene.pool.poll_output() {
        if let edgepool::pool::Output::ToMiner { line, .. } = output {
            heard.extend_from_slice(&line);
        }
    }
    let heard = String::from_utf8(heard).unwrap();
    assert!(heard.starts_with("HTTP/1.1 400 ") && heard.contains("stratum"), "{heard}");
}

#[test]
fn names_without_work_take_nobodys_place() {
    let mut spec = spec(1);
    spec.max_miners = 2;
    let mut scene = Scene::start(spec);
    let idle: Vec<Key> = (10..40).map(|number| rig_from(&mut scene, FLOODER, number, "idle")).collect();
    let first = rig_from(&mut scene, FARM, 1, "good");
    assert_eq!(scene.work(first, "share", Want::Share).1["result"], true);
    let second = rig_from(&mut scene, FARM, 2, "good");
    assert_eq!(scene.work(second, "share", Want::Share).1["result"], true);
    assert_eq!(scene.pool.window().iter().count(), 2);

    // Now there is no place left; who was let in before is told with its first share, and others at once.
    let refused = json!([20, "pool is full: 2 addresses", null]);
    assert_eq!(scene.work(idle[0], "share", Want::Share).1["error"], refused);
    let late = rig_from(&mut scene, FARM, 3, "late");
    assert_eq!(scene.rigs[&late].reply("authorize").unwrap()["error"], refused);
    assert_eq!(scene.rigs[&idle[0]].closed, None);
    assert_eq!(scene.work(first, "again", Want::Share).1["result"], true);
}

#[test]
fn two_rigs_of_a_new_address_are_one_miner() {
    let mut scene = Scene::start(spec(1));
    let rigs = [rig_from(&mut scene, FARM, 1, "a"), rig_from(&mut scene, FARM, 1, "b")];
    for key in rigs {
        assert_eq!(scene.work(key, "share", Want::Share).1["result"], true);
    }
    let row = scene.pool.window().iter().next().unwrap().1;
    assert_eq!((scene.pool.window().iter().count(), row.shares), (1, 2));
    assert!(scene.pool.workers().iter().all(|worker| worker.miner == row.miner));
}

#[test]
fn a_share_that_the_ledger_has_no_room_for_takes_no_place() {
    let mut scene = Scene::start(spec(1));
    let rig = rig_from(&mut scene, FARM, 1, "a");
    scene.pool.handle_headroom(100, 100);
    assert_eq!(scene.work(rig, "share", Want::Share).1["error"][0], 20);
    assert_eq!(scene.pool.window().iter().count(), 0);
    scene.pool.handle_headroom(0, 100);
    assert_eq!(scene.work(rig, "again", Want::Share).1["result"], true);
    assert_eq!(scene.pool.window().iter().count(), 1);
}
