//! Nodes that fail in every way: shown, retried, left for another; and never a busy loop.

use crate::node::Mode;
use crate::rig::Want;
use crate::scene::{HOUR, SECOND, Scene, TODAY, spec};

/// A node that fails like this from the start, or once it was well, is shown as `state`, retried without
/// haste, and followed again when it is well.
#[track_caller]
fn case(mode: Mode, state: &str) {
    for was_well in [false, true] {
        let mut scene = Scene::unheard(spec(1), TODAY);
        if was_well {
            scene.advance(10 * SECOND);
            assert_eq!(scene.state(0), "ready");
        }
        scene.break_node(0, mode.clone());
        scene.advance(45 * SECOND);
        assert_eq!(scene.state(0), state, "{mode:?}, well before: {was_well}");
        let error = scene.pool.chains()[0].nodes[0].status(scene.now).error;
        assert!(error.is_some_and(|error| !error.is_empty()));
        assert!(
            scene.pool.troubles()[0].starts_with("no node of ltc gives a fresh template (http://"),
            "{:?}",
            scene.pool.troubles()
        );
        // Rigs keep the work that they have.
        let key = scene.rig(1);
        if was_well {
            let (_, reply) = scene.work(key, "share", Want::Share);
            assert_eq!(reply["result"], true);
        } else {
            assert_eq!(scene.rigs[&key].reply("authorize").unwrap()["result"], true);
            assert!(scene.rigs[&key].jobs.is_empty());
        }
        scene.nodes[0].calls.clear();
        scene.advance(HOUR);
        // One turn a second for the sessions, and a few calls.
        assert!(scene.turns < 3 * 3_600, "{mode:?}: {} turns in an hour", scene.turns);
        assert!(scene.nodes[0].calls.len() < 3 * 3_600, "{} calls in an hour", scene.nodes[0].calls.len());
        scene.break_node(0, Mode::Good);
        scene.advance(90 * SECOND);
        assert_eq!(scene.state(0), "ready", "{mode:?}, well before: {was_well}");
        assert!(scene.pool.troubles().is_empty());
    }
}

#[test]
fn a_node_that_can_give_no_template_is_shown_and_retried() {
    case(Mode::Error(-9), "no_peers");
    case(Mode::Error(-10), "syncing");
    case(Mode::Error(-28), "warming_up");
    case(Mode::Error(-1), "failing");
}

#[test]
fn a_node_that_lets_nobody_in_is_shown_and_retried() {
    case(Mode::Unauthorised, "unauthorised");
    case(Mode::Refused, "unreachable");
}

#[test]
fn a_node_that_answers_badly_is_shown_and_retried() {
    case(Mode::Truncated, "unreachable");
    case(Mode::Oversized, "failing");
    case(Mode::Nonsense, "failing");
    case(Mode::Silent, "unreachable");
}

#[test]
fn a_good_node_is_called_calmly() {
    let mut scene = Scene::start(spec(1));
    scene.nodes[0].calls.clear();
    scene.advance(HOUR);
    assert!(scene.turns < 3 * 3_600, "{} turns in an hour", scene.turns);
    let count = |method: &str| scene.nodes[0].calls.iter().filter(|call| *call == method).count();
    assert!((1_700..=1_900).contains(&count("getbestblockhash")));
    assert!((140..=160).contains(&count("getblocktemplate")), "{}", count("getblocktemplate"));
}

#[test]
fn the_other_node_takes_over_and_gives_back() {
    let mut scene = Scene::start(spec(2));
    let key = scene.rig(1);
    assert_eq!(scene.pool.chains()[0].chosen, Some(0));
    scene.break_node(0, Mode::Error(-28));
    scene.advance(40 * SECOND);
    assert_eq!((scene.state(0), scene.state(1)), ("warming_up", "ready"));
    assert!(scene.pool.troubles().is_empty());
    // The chain moves on at the second node only.
    let tip = "ab".repeat(32);
    scene.new_tip(1, &tip);
    scene.advance(100);
    assert_eq!(scene.pool.chains()[0].chosen, Some(1));
    assert_eq!((scene.rigs[&key].job().prev_hash.as_str(), scene.rigs[&key].job().clean), (tip.as_str(), true));
    // The first comes back and lags: it is not followed until it has caught up.
    scene.break_node(0, Mode::Good);
    scene.advance(60 * SECOND);
    assert_eq!((scene.state(0), scene.pool.chains()[0].chosen), ("ready", Some(1)));
    assert_eq!(scene.rigs[&key].job().prev_hash, tip);
    scene.new_tip(0, &tip);
    scene.advance(60 * SECOND);
    assert_eq!(scene.pool.chains()[0].chosen, Some(0));
    let clean = scene.rigs[&key].jobs.iter().filter(|job| job.clean).count();
    assert_eq!(clean, 2, "the first job and the new tip; a change of node alone disturbs nobody");
}

#[test]
fn a_new_tip_makes_a_clean_job_at_once_and_time_alone_a_job_that_is_not() {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    let tip = "ab".repeat(32);
    scene.new_tip(0, &tip);
    scene.turn();
    let job = scene.rigs[&key].job();
    assert_eq!((job.prev_hash.as_str(), job.clean), (tip.as_str(), true));
    let (count, ntime) = (scene.rigs[&key].jobs.len(), job.ntime);
    scene.advance(29 * SECOND);
    assert_eq!(scene.rigs[&key].jobs.len(), count);
    scene.advance(3 * SECOND);
    assert_eq!(scene.rigs[&key].jobs.len(), count + 1);
    assert!(!scene.rigs[&key].job().clean);
    scene.advance(5 * 60 * SECOND);
    let refreshed = scene.rigs[&key].jobs.len() - count;
    assert!((9..=11).contains(&refreshed), "{refreshed} jobs in 5.5 minutes");
    assert!(scene.rigs[&key].jobs.windows(2).all(|pair| pair[1].ntime >= pair[0].ntime || pair[1].clean));
    assert!(scene.rigs[&key].job().ntime >= ntime);
}

#[test]
fn a_lost_long_poll_delays_a_new_tip_by_seconds_only() {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    let tip = "ab".repeat(32);
    scene.nodes[0].extend(&tip);
    scene.advance(4 * SECOND);
    assert_eq!(scene.rigs[&key].job().prev_hash, tip);
}

#[test]
fn a_template_of_another_proof_of_work_is_refused_and_said() {
    let mut scene = Scene::start(spec(1));
    scene.nodes[0].set("version", 0xa000_0000u32.into());
    scene.advance(60 * SECOND);
    assert_eq!(scene.state(0), "template_refused");
    scene.advance(HOUR);
    assert!(scene.turns < 3 * 3_600, "{} turns in an hour", scene.turns);
    scene.nodes[0].set("version", 0x2000_0000.into());
    scene.advance(60 * SECOND);
    assert_eq!(scene.state(0), "ready");
}

#[test]
fn work_does_not_fall_back_a_block_when_the_node_that_had_it_is_lost() {
    let mut scene = Scene::start(spec(2));
    let key = scene.rig(1);
    let (old, new) = (scene.rigs[&key].job().prev_hash.clone(), "ab".repeat(32));
    scene.new_tip(0, &new);
    scene.turn();
    assert_eq!(scene.rigs[&key].job().prev_hash, new);
    let clean = |scene: &Scene| scene.rigs[&key].jobs.iter().filter(|job| job.clean).count();
    assert_eq!(clean(&scene), 2);
    scene.break_node(0, Mode::Refused);
    scene.advance(5 * SECOND);
    assert_eq!((scene.state(0), scene.state(1)), ("unreachable", "ready"));
    let (_, reply) = scene.work(key, "share", Want::Share);
    assert_eq!(reply["result"], true);
    scene.new_tip(1, &new);
    scene.advance(60 * SECOND);
    assert_eq!((clean(&scene), scene.pool.chains()[0].chosen), (2, Some(1)));

    // One that never comes to the lost node's block is right in the end.
    let mut scene = Scene::start(spec(2));
    let key = scene.rig(1);
    scene.new_tip(0, &new);
    scene.break_node(0, Mode::Refused);
    scene.advance(20 * SECOND);
    assert_eq!(scene.rigs[&key].job().prev_hash, old);
    assert_eq!(scene.pool.chains()[0].chosen, Some(1));
}

#[test]
fn a_node_that_goes_back_to_a_lower_height_is_followed_at_once() {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    let height = scene.nodes[0].height();
    scene.new_tip(0, &"ab".repeat(32));
    scene.turn();
    scene.nodes[0].set("height", height.into());
    scene.nodes[0].set("previousblockhash", "cd".repeat(32).into());
    scene.nodes[0].set("longpollid", "cd".repeat(33).into());
    scene.advance(3 * SECOND);
    assert_eq!((scene.rigs[&key].job().prev_hash.clone(), scene.rigs[&key].job().clean), ("cd".repeat(32), true));
}
