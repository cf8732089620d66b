//! Rigs: the order of messages, durable acknowledgements, refusals.

use edgepool::coin::difficulty::Difficulty;
use serde_json::{Value, json};

use crate::rig::Want;
use crate::scene::{Effect, Scene, address, spec};

#[test]
fn messages_come_in_the_order_that_every_rig_takes() {
    let mut scene = Scene::start(spec(1));
    let key = scene.connect();
    scene.advance(5_000);
    assert!(scene.rigs[&key].lines.is_empty(), "nothing is sent before the first request");
    scene.ask(key, "configure", "mining.configure", json!([["version-rolling"], {"version-rolling.mask": "ffffffff"}]));
    scene.ask(key, "subscribe", "mining.subscribe", json!(["test/1"]));
    scene.new_tip(0, &"ab".repeat(32));
    scene.advance(40_000);
    assert_eq!(scene.rigs[&key].order(), ["configure", "subscribe"]);
    scene.ask(key, "extranonce", "mining.extranonce.subscribe", json!([]));
    scene.authorize(key, &address(1), "x");
    let expected = [
        "configure",
        "subscribe",
        "extranonce",
        "authorize",
        "mining.set_version_mask",
        "mining.set_difficulty",
        "mining.notify",
    ];
    assert_eq!(scene.rigs[&key].order(), expected);
    assert_eq!(scene.rigs[&key].reply("configure").unwrap()["result"]["version-rolling.mask"], "1fffe000");
    assert_eq!(scene.rigs[&key].reply("extranonce").unwrap()["result"], true);
    assert_eq!(scene.rigs[&key].reply("authorize").unwrap()["result"], true);
    assert!(scene.rigs[&key].job().clean);
}

#[test]
fn a_share_is_acknowledged_only_when_it_is_on_disk() {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    scene.advance(1_000);
    // The first after a pause is written at once; those that follow wait for the next commit together.
    let share = scene.rig_mut(key).mine(Want::Share);
    scene.submit(key, "first", &share);
    assert_eq!(scene.rigs[&key].reply("first").unwrap()["result"], true);
    scene.effects.clear();
    for id in ["a", "b"] {
        let share = scene.rig_mut(key).mine(Want::Share);
        scene.submit(key, id, &share);
    }
    assert_eq!(scene.rigs[&key].reply("b"), None);
    let shares = |scene: &Scene| scene.disk.cells.values().map(|cell| cell.shares).sum::<u32>();
    assert_eq!(shares(&scene), 1);
    scene.advance(300);
    let place = |wanted: &dyn Fn(&Effect) -> bool| scene.effects.iter().position(wanted).unwrap();
    let committed = place(&|effect| matches!(effect, Effect::Committed { .. }));
    for id in ["a", "b"] {
        let line = json!({"id": id, "result": true, "error": null});
        assert!(place(&|effect| *effect == Effect::Line(line.clone())) > committed);
    }
    assert_eq!(shares(&scene), 3);
    let commits = scene.effects.iter().filter(|effect| matches!(effect, Effect::Committed { .. })).count();
    assert_eq!(commits, 1, "both in one commit");
}

#[test]
fn shares_that_could_not_be_written_are_refused_and_not_counted() {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    let (_, reply) = scene.work(key, "good", Want::Share);
    assert_eq!(reply["result"], true);
    scene.disk.fault = Some("no space left".into());
    let (_, reply) = scene.work(key, "bad", Want::Share);
    assert_eq!((&reply["result"], &reply["error"]), (&Value::Null, &json!([20, "ledger: no space left", null])));
    assert_eq!(scene.pool.window().total_shares(), 1);
    assert_eq!(scene.pool.total_work(), 1);
    assert!(scene.pool.troubles().iter().any(|trouble| trouble.contains("no space left")));
    assert_eq!(scene.pool.counts().accepted, 1);

    scene.disk.fault = None;
    scene.advance(2_000);
    let (_, reply) = scene.work(key, "again", Want::Share);
    assert_eq!(reply["result"], true);
    assert!(scene.pool.troubles().is_empty(), "{:?}", scene.pool.troubles());
    let written: u64 = scene.disk.cells.values().map(|cell| cell.work).sum();
    assert_eq!((written, scene.pool.total_work()), (2, 2));
    scene.restart(spec(1), 0);
    assert_eq!((scene.pool.window().total_work(), scene.pool.total_work()), (2, 2));
}

#[test]
fn a_share_counts_once_whatever_job_it_is_sent_for() {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    let (share, _) = scene.work(key, "first", Want::Share);
    // The same work under every other name that the pool knows.
    scene.advance(31_000);
    scene.ask(key, "suggest", "mining.suggest_difficulty", json!([0.0005]));
    let ids: Vec<String> = scene.rigs[&key].jobs.iter().map(|job| job.id.clone()).collect();
    assert!(ids.len() >= 2);
    for (number, job_id) in ids.iter().enumerate() {
        let again = crate::rig::Share { job_id: job_id.clone(), ..share.clone() };
        scene.submit(key, &format!("again{number}"), &again);
    }
    scene.advance(300);
    let reply = scene.rigs[&key].reply("again0").unwrap();
    assert_eq!(reply["error"], json!([22, "Duplicate share", null]));
    // Under another job it is another header, so at this easiest difficulty it may be a share of its own; but
    // then the work was not the same: that the headers differ is what is to be shown.
    let mut rig = std::mem::take(scene.rig_mut(key));
    let jobs = rig.jobs.clone();
    let hashes: std::collections::BTreeSet<String> =
        jobs.iter().map(|job| rig.mine_job(job, Want::Share).block_hash).collect();
    assert_eq!(hashes.len(), jobs.len());
}

#[test]
fn refusals_are_told_and_counted() {
    let mut scene = Scene::start(spec(1));
    let stranger = scene.connect();
    scene.ask(stranger, "early", "mining.submit", json!([address(1), "1", "0000000000000000", "00000000", "00000000"]));
    assert_eq!(scene.rigs[&stranger].reply("early").unwrap()["error"][0], 25);
    let key = scene.rig(1);
    let job = scene.rigs[&key].job().clone();
    let good = scene.rig_mut(key).mine(Want::Share);
    let unknown = crate::rig::Share { job_id: "12345".into(), ..good.clone() };
    scene.submit(key, "unknown", &unknown);
    scene.rig_mut(key).username = address(2);
    scene.submit(key, "foreign", &good);
    scene.rig_mut(key).username = address(1);
    scene.new_tip(0, &"ab".repeat(32));
    scene.advance(10);
    let late = scene.rig_mut(key).mine_job(&job, Want::Share);
    scene.submit(key, "late", &late);
    scene.advance(300);
    let code = |id: &str| scene.rigs[&key].reply(id).unwrap()["error"][0].as_u64().unwrap();
    assert_eq!([code("unknown"), code("foreign"), code("late")], [21, 24, 21]);
    assert_eq!((scene.pool.counts().stale, scene.pool.counts().rejected), (2, 2));
    assert_eq!(scene.pool.window().total_shares(), 0);
}

#[test]
fn an_address_that_cannot_be_paid_is_told_why() {
    let mut scene = Scene::start(spec(1));
    let key = scene.connect();
    scene.ask(key, "subscribe", "mining.subscribe", json!([]));
    scene.authorize(key, "ltc1qnonsense", "x");
    let reply = scene.rigs[&key].reply("authorize").unwrap();
    assert_eq!(reply["error"][0], 24);
    assert!(!reply["error"][1].as_str().unwrap().is_empty());
    assert!(scene.rigs[&key].jobs.is_empty());
}

#[test]
fn a_full_window_refuses_new_addresses_and_says_so() {
    let mut scene = Scene::start(spec(1));
    for number in 0..8 {
        let key = scene.rig(number);
        let (_, reply) = scene.work(key, "share", Want::Share);
        assert_eq!(reply["result"], true);
    }
    let late = scene.rig(8);
    let reply = scene.rigs[&late].reply("authorize").unwrap();
    assert_eq!(reply["error"], json!([20, "pool is full: 8 addresses", null]));
    assert!(scene.rigs[&late].jobs.is_empty());
    let again = scene.rig(3);
    assert_eq!(scene.rigs[&again].reply("authorize").unwrap()["result"], true);
    // Those that are gone and whose work has left the window make room.
    let keys: Vec<_> = scene.rigs.keys().copied().collect();
    for key in keys {
        scene.pool.handle_miner_closed(key);
    }
    scene.advance(25 * crate::scene::HOUR);
    let key = scene.rig(8);
    assert_eq!(scene.rigs[&key].reply("authorize").unwrap()["result"], true);
}

#[test]
fn a_difficulty_is_announced_before_each_job_that_it_applies_to() {
    let mut spec = spec(1);
    spec.vardiff.max = Difficulty::from_units(32).unwrap();
    let mut scene = Scene::start(spec);
    let key = scene.rig(1);
    let first = scene.rigs[&key].job().clone();
    for number in 0..40 {
        let share = scene.rig_mut(key).mine(Want::Share);
        scene.submit(key, &number.to_string(), &share);
    }
    scene.advance(300);
    for number in 0..40 {
        let reply = scene.rigs[&key].reply(&number.to_string()).unwrap();
        assert_eq!(reply["result"], true, "each share is judged by what its job was sent with");
    }
    let jobs = scene.rigs[&key].jobs.clone();
    let last = jobs.last().unwrap();
    assert!(last.difficulty > first.difficulty, "too fast a rig is slowed");
    assert!(!last.clean);
    let ids: std::collections::BTreeSet<&String> = jobs.iter().map(|job| &job.id).collect();
    assert_eq!(ids.len(), jobs.len(), "a job that is sent again has a new name");
    // A share of the first job still counts for what that job asked.
    let before = scene.pool.total_work();
    let old = scene.rig_mut(key).mine_job(&first, Want::Share);
    scene.submit(key, "old", &old);
    let easy = scene.rig_mut(key).mine_job(last, Want::TooEasy);
    scene.submit(key, "easy", &easy);
    scene.advance(300);
    assert_eq!(scene.rigs[&key].reply("old").unwrap()["result"], true);
    assert_eq!(scene.rigs[&key].reply("easy").unwrap()["error"][0], 23);
    assert_eq!(scene.pool.total_work() - before, 1);
}

#[test]
fn a_password_sets_the_least_difficulty_and_the_network_caps_it() {
    let mut spec = spec(1);
    spec.vardiff.max = Difficulty::from_units(1 << 40).unwrap();
    let mut scene = Scene::start(spec);
    let key = scene.connect();
    scene.ask(key, "subscribe", "mining.subscribe", json!([]));
    scene.authorize(key, &address(1), "x,d=0.000244140625");
    assert_eq!(scene.rigs[&key].difficulty * 65_536.0, 16.0);
    scene.advance(550_000);
    assert_eq!(scene.rigs[&key].difficulty * 65_536.0, 16.0, "silence doesn't lower what was asked for");
    // A share is never harder than a block: one hash in 64 here.
    let greedy = scene.connect();
    scene.ask(greedy, "subscribe", "mining.subscribe", json!([]));
    scene.authorize(greedy, &address(2), "d=1000000");
    assert_eq!(scene.rigs[&greedy].difficulty * 65_536.0, 63.0);
    let (_, reply) = scene.work(greedy, "block", Want::Block);
    assert_eq!(reply["result"], true);
}

#[test]
fn asking_for_difficulties_without_end_fills_nothing() {
    let mut spec = spec(1);
    spec.vardiff.max = Difficulty::from_units(32).unwrap();
    let mut scene = Scene::start(spec);
    let key = scene.rig(1);
    for number in 0..500 {
        let wanted = if number % 2 == 0 { 0.0001 } else { 0.0003 };
        scene.ask(key, "suggest", "mining.suggest_difficulty", json!([wanted]));
    }
    assert!(scene.rigs[&key].jobs.len() < 100, "{} jobs were sent", scene.rigs[&key].jobs.len());
    scene.advance(31_000);
    let (_, reply) = scene.work(key, "share", Want::Share);
    assert_eq!(reply["result"], true);
}

#[test]
fn who_does_not_authorise_or_speak_is_let_go() {
    let mut scene = Scene::start(spec(1));
    let mute = scene.connect();
    let half = scene.connect();
    scene.ask(half, "subscribe", "mining.subscribe", json!([]));
    let quiet = scene.rig(1);
    scene.advance(59_000);
    assert_eq!(scene.pool.connections(), 3);
    scene.advance(3_000);
    assert_eq!(scene.pool.connections(), 1);
    for key in [mute, half] {
        assert_eq!(scene.rigs[&key].closed.as_deref(), Some("did not authorize in time"));
    }
    scene.advance(535_000);
    assert_eq!(scene.rigs[&quiet].closed, None);
    scene.advance(5_000);
    assert_eq!(scene.rigs[&quiet].closed.as_deref(), Some("sent nothing for too long"));
    assert_eq!(scene.pool.connections(), 0);
}

#[test]
fn another_protocol_and_endless_garbage_are_shown_the_door() {
    let mut scene = Scene::start(spec(1));
    let tls = scene.connect();
    scene.pool.handle_miner_bytes(tls, &[0x16, 3, 1, 2, 0], scene.now);
    scene.turn();
    assert!(scene.rigs[&tls].closed.is_some());
    let babbler = scene.rig(1);
    for _ in 0..20 {
        scene.pool.handle_miner_bytes(babbler, b"nonsense\n", scene.now);
    }
    scene.turn();
    assert!(scene.rigs[&babbler].closed.is_some());
    let endless = scene.rig(2);
    scene.pool.handle_miner_bytes(endless, &[b'x'; 5_000], scene.now);
    scene.turn();
    assert!(scene.rigs[&endless].closed.is_some());
    assert_eq!(scene.pool.connections(), 0);
}

#[test]
fn every_worker_of_a_connection_is_shown_with_its_difficulty() {
    let mut spec = spec(1);
    spec.vardiff.max = Difficulty::from_units(1 << 20).unwrap();
    spec.vardiff.start = spec.vardiff.max;
    let mut scene = Scene::start(spec);
    let key = scene.connect();
    scene.ask(key, "subscribe", "mining.subscribe", json!([]));
    for name in ["a", "b"] {
        scene.authorize(key, &format!("{}.{name}", address(1)), "x");
    }
    let shown = |scene: &Scene| -> Vec<f64> {
        scene.pool.workers().iter().map(|worker| worker.difficulty.parse::<f64>().unwrap() * 65_536.0).collect()
    };
    assert_eq!(shown(&scene), [63.0, 63.0]);
    // The network becomes easier, and with it the next job for everybody.
    scene.nodes[0].set("bits", "200fffff".into());
    scene.new_tip(0, &"ab".repeat(32));
    scene.turn();
    assert_eq!(scene.rigs[&key].job().difficulty * 65_536.0, 15.0);
    assert_eq!(shown(&scene), [15.0, 15.0]);
}
