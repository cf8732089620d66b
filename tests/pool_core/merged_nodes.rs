//! Nodes of a merge-mined chain that fail: the parent goes on as if there were none, an operator is told, and the chain
//! is mined again by itself when its node is well.

use crate::merged::{blocks, pass_block, send, shares, start, with_children};
use crate::node::Mode;
use crate::rig::Want;
use crate::scene::{SECOND, Scene, TODAY};

const IDLE: &str = "no node of doge gives a fresh template (http://";

/// A child's node that fails like this, from the start or once it was well.
#[track_caller]
fn case(mode: Mode, state: &str) {
    for was_well in [false, true] {
        let mut scene = Scene::unheard(with_children(&["dogecoin"]), TODAY);
        if was_well {
            scene.advance(10 * SECOND);
        }
        scene.break_node(1, mode.clone());
        scene.advance(45 * SECOND);
        assert_eq!((scene.state(0), scene.state(1)), ("ready", state), "{mode:?}, well before: {was_well}");
        assert!(scene.pool.troubles().is_empty(), "nothing keeps the parent from being mined");
        let warnings = scene.pool.warnings(scene.now);
        assert!(warnings.len() == 1 && warnings[0].starts_with(IDLE), "{warnings:?}");
        // New tips of the parent make clean work at once, and blocks are found.
        let key = scene.rig(1);
        scene.new_tip(0, &"ab".repeat(32));
        scene.turn();
        let job = scene.rigs[&key].job();
        assert!(job.clean && job.aux().is_none());
        scene.work(key, "block", Want::Block);
        assert_eq!((blocks(&scene, 0), blocks(&scene, 1)), (vec![(715, "accepted")], vec![]));
        let calls = scene.nodes[1].calls.len();
        scene.advance(500 * SECOND);
        assert!(scene.turns < 1_500 && scene.nodes[1].calls.len() < calls + 1_500, "{mode:?}: no haste");

        scene.break_node(1, Mode::Good);
        scene.advance(90 * SECOND);
        assert_eq!((scene.state(1), scene.pool.warnings(scene.now).len()), ("ready", 0), "{mode:?}");
        scene.work(key, "child", Want::Only(1));
        assert_eq!(blocks(&scene, 1), [(81, "accepted")], "{mode:?}, well before: {was_well}");
    }
}

#[test]
fn a_child_node_that_gives_no_template_leaves_the_parent_alone() {
    case(Mode::Error(-10), "syncing");
    case(Mode::Error(-28), "warming_up");
    case(Mode::Error(-1), "failing");
}

#[test]
fn a_child_node_that_is_not_there_leaves_the_parent_alone() {
    case(Mode::Refused, "unreachable");
    case(Mode::Unauthorised, "unauthorised");
    case(Mode::Silent, "unreachable");
}

#[test]
fn a_child_node_that_answers_badly_leaves_the_parent_alone() {
    case(Mode::Truncated, "unreachable");
    case(Mode::Oversized, "failing");
    case(Mode::Nonsense, "failing");
}

#[test]
fn a_child_node_of_another_network_is_not_followed() {
    case(Mode::On("main"), "wrong_network");
}

#[test]
fn a_parent_without_a_node_keeps_its_work_and_the_child_moves_on() {
    let mut scene = start(&["dogecoin"]);
    let key = scene.rig(1);
    scene.break_node(0, Mode::Refused);
    scene.advance(40 * SECOND);
    assert!(
        scene.pool.troubles()[0].starts_with("no node of ltc gives a fresh template (http://"),
        "{:?}",
        scene.pool.troubles()
    );
    let before = scene.rigs[&key].job().aux();
    pass_block(&mut scene, 1, "ab");
    assert_ne!(scene.rigs[&key].job().aux(), before, "at once, as ever");
    scene.work(key, "child", Want::Only(1));
    assert_eq!(blocks(&scene, 1), [(82, "accepted")]);
}

#[test]
fn a_child_whose_height_is_below_its_first_merge_mined_one_waits() {
    let mut scene = Scene::unheard(with_children(&["dogecoin"]), TODAY);
    scene.nodes[1].set("height", 19.into());
    scene.advance(10 * SECOND);
    assert_eq!(scene.state(1), "template_refused");
    let error = scene.pool.chains()[1].nodes[0].status(scene.now).error.unwrap();
    assert_eq!(error, "merged mining begins with block 20, and the next one is 19");
    scene.new_tip(1, &"ab".repeat(32));
    scene.advance(40 * SECOND);
    let key = scene.rig(1);
    scene.work(key, "child", Want::Only(1));
    assert_eq!(blocks(&scene, 1), [(20, "accepted")]);
}

#[test]
fn a_template_that_makes_no_block_is_left_out_with_a_warning() {
    let mut spec = with_children(&["dogecoin"]);
    spec.chains[1].coinbase_tag = vec![b'x'; 200];
    let mut scene = Scene::start(spec);
    scene.advance(3 * SECOND);
    let key = scene.rig(1);
    let warnings = scene.pool.warnings(scene.now);
    assert!(warnings.len() == 1 && warnings[0].starts_with("no block of doge can be made: "), "{warnings:?}");
    assert!(scene.pool.troubles().is_empty());
    let count = scene.rigs[&key].jobs.len();
    pass_block(&mut scene, 1, "ab");
    scene.advance(27 * SECOND);
    assert!(scene.rigs[&key].jobs.len() <= count + 1, "no new work again and again for what can't be made");
    scene.work(key, "block", Want::Block);
    assert_eq!(blocks(&scene, 0), [(714, "accepted")]);
}

#[test]
fn a_child_block_waits_for_its_node_to_come_back() {
    let mut scene = start(&["dogecoin"]);
    let key = scene.rig(1);
    let share = scene.rig_mut(key).mine(Want::Every);
    scene.break_node(1, Mode::Refused);
    send(&mut scene, key, "both", &share);
    assert_eq!((blocks(&scene, 0), blocks(&scene, 1)), (vec![(714, "accepted")], vec![(81, "submitted")]));
    scene.advance(200 * SECOND);
    assert_eq!(blocks(&scene, 1), [(81, "submitted")]);
    scene.break_node(1, Mode::Good);
    scene.advance(60 * SECOND);
    assert_eq!((blocks(&scene, 1), scene.disk.blocks.len()), (vec![(81, "accepted")], 2));
}

#[test]
fn of_two_child_nodes_the_one_that_is_ahead_is_followed() {
    let mut spec = with_children(&["dogecoin"]);
    let second = edgepool::pool::spec::NodeSpec { url: "http://doge2".into(), ..spec.chains[1].nodes[0].clone() };
    spec.chains[1].nodes.push(second);
    let mut scene = Scene::start(spec);
    scene.advance(3 * SECOND);
    let key = scene.rig(1);
    pass_block(&mut scene, 2, "ab");
    assert_eq!(scene.pool.chains()[1].chosen, Some(1));
    assert_eq!(scene.pool.current_job().unwrap().children.of(1).unwrap().template.height, 82);
    // A block is given to both.
    scene.work(key, "child", Want::Only(1));
    assert_eq!((scene.nodes[1].submitted.len(), scene.nodes[2].submitted.len()), (1, 1));
    scene.break_node(2, Mode::Refused);
    scene.advance(40 * SECOND);
    assert!(scene.pool.warnings(scene.now).is_empty());
    assert_eq!(scene.pool.chains()[1].chosen, Some(0));
}

#[test]
fn the_last_room_in_the_ledger_is_the_parents() {
    let mut scene = start(&["dogecoin"]);
    let key = scene.rig(1);
    scene.pool.handle_headroom(70, 100);
    assert_eq!(scene.pool.warnings(scene.now), ["the ledger is 70 % full: raise map_mib in time"]);
    assert!(scene.rigs[&key].job().aux().is_some());
    scene.pool.handle_headroom(90, 100);
    scene.advance(40 * SECOND);
    assert!(scene.rigs[&key].job().aux().is_none());
    assert_eq!(scene.pool.warnings(scene.now).len(), 2);
    assert!(scene.pool.troubles().is_empty(), "the parent goes on");
    scene.work(key, "block", Want::Block);
    assert_eq!((blocks(&scene, 0).len(), blocks(&scene, 1).len()), (1, 0));
    scene.pool.handle_headroom(10, 100);
    scene.advance(5 * SECOND);
    assert!(scene.rigs[&key].job().aux().is_some());
    assert!(scene.pool.warnings(scene.now).is_empty());
}

/// What an operator does who wants no more of a coin: the entry stays, since the books of its blocks do.
#[test]
fn a_chain_that_is_not_mined_any_more_keeps_its_books_and_its_blocks_are_still_judged() {
    let mut scene = start(&["dogecoin"]);
    let key = scene.rig(1);
    scene.work(key, "child", Want::Only(1));
    assert_eq!(blocks(&scene, 1), [(81, "accepted")]);
    let mut spec = with_children(&["dogecoin"]);
    spec.chains[1].mine = false;
    scene.restart(spec, SECOND);
    scene.advance(3 * SECOND);
    let job = scene.pool.current_job().unwrap();
    assert!(job.children.blocks().is_empty(), "no hash can win it");
    // Nor do its tips make work.
    let jobs = scene.pool.current_job().unwrap().seq;
    pass_block(&mut scene, 1, "77");
    assert_eq!(scene.pool.current_job().unwrap().seq, jobs);
    // As long as a block of it is not final its node is needed.
    scene.break_node(1, Mode::Refused);
    scene.advance(45 * SECOND);
    assert!(scene.pool.warnings(scene.now).iter().any(|warning| warning.starts_with(IDLE)));
    scene.break_node(1, Mode::Good);
    scene.advance(30 * SECOND);
    for number in 0..62 {
        pass_block(&mut scene, 1, &format!("{:02x}", 0x80 + number));
    }
    assert_eq!(blocks(&scene, 1), [(81, "confirmed")]);
    scene.break_node(1, Mode::Refused);
    scene.advance(45 * SECOND);
    assert!(scene.pool.troubles().is_empty() && scene.pool.warnings(scene.now).is_empty());
}

#[test]
fn what_a_chain_that_is_not_mined_any_more_owes_is_not_forgotten() {
    let mut scene = start(&["pepecoin"]);
    let key = scene.rig(1);
    shares(&mut scene, key, "w", 2);
    scene.advance(31 * SECOND);
    scene.work(key, "child", Want::Only(1));
    assert_eq!(blocks(&scene, 1), [(81, "accepted")]);
    assert!(scene.pool.warnings(scene.now).is_empty());
    let mut spec = with_children(&["pepecoin"]);
    spec.chains[1].mine = false;
    scene.restart(spec, SECOND);
    let warnings = scene.pool.warnings(scene.now);
    let expected = "pep is not mined any more, and nothing pays what it owes (490000.00000000): configure payments";
    assert_eq!(warnings, [expected]);
}
