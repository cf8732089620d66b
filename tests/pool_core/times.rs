//! Clocks that lie: boards have no battery clock.

use crate::rig::Want;
use crate::scene::{HOUR, SECOND, Scene, TODAY, YEAR, spec};

fn with_work() -> Scene {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    for id in ["a", "b", "c"] {
        scene.work(key, id, Want::Share);
    }
    scene
}

#[test]
fn contributions_survive_a_boot_in_1970_and_the_jump_after_it() {
    let mut scene = with_work();
    assert_eq!(scene.pool.window().total_shares(), 3);
    // The power is cut, and the board starts with its clock at the beginning of time.
    scene.now.wall_ms = 0;
    scene.restart(spec(1), 0);
    assert_eq!(scene.pool.window().total_shares(), 3);
    let key = scene.rig(1);
    scene.work(key, "in 1970", Want::Share);
    // NTP answers.
    scene.now.wall_ms = TODAY + HOUR;
    let (_, reply) = scene.work(key, "today", Want::Share);
    assert_eq!(reply["result"], true);
    scene.advance(HOUR);
    assert_eq!(scene.pool.window().total_shares(), 5);
    // Started again with a right clock, whatever the marks say.
    scene.restart(spec(1), HOUR);
    assert_eq!(scene.pool.window().total_shares(), 5);
}

#[test]
fn a_jump_by_forty_years_while_running_changes_nothing() {
    let mut scene = with_work();
    for wall_ms in [TODAY + 40 * YEAR, 0, TODAY] {
        scene.now.wall_ms = wall_ms;
        scene.advance(10 * SECOND);
        assert_eq!(scene.pool.window().total_shares(), 3);
        let pool_ms = scene.pool.clock().pool_ms(scene.now);
        assert!((TODAY..TODAY + HOUR).contains(&pool_ms));
    }
    // Also not when the pool starts again right after the jump.
    scene.now.wall_ms = TODAY + 40 * YEAR;
    scene.restart(spec(1), 0);
    assert_eq!(scene.pool.window().total_shares(), 3);
}

#[test]
fn contributions_leave_after_a_day_of_running_or_of_standing_still() {
    let mut scene = with_work();
    scene.advance(23 * HOUR);
    assert_eq!(scene.pool.window().total_shares(), 3);
    scene.advance(2 * HOUR);
    assert_eq!(scene.pool.window().total_shares(), 0);
    assert!(scene.disk.cells.is_empty(), "and the disk");

    let mut scene = with_work();
    scene.restart(spec(1), 23 * HOUR);
    assert_eq!(scene.pool.window().total_shares(), 3);
    scene.restart(spec(1), 2 * HOUR);
    assert_eq!(scene.pool.window().total_shares(), 0);
}

#[test]
fn a_job_follows_the_nodes_time_whatever_the_boards_says() {
    let mut scene = Scene::unheard(spec(1), 0);
    scene.advance(SECOND);
    let key = scene.rig(1);
    assert_eq!(scene.rigs[&key].job().ntime, 1_795_368_906);
    scene.now.wall_ms = TODAY + 40 * YEAR;
    scene.advance(HOUR);
    let ntime = scene.rigs[&key].job().ntime;
    assert!((1_795_368_906..1_795_368_906 + 3_700).contains(&ntime), "{ntime}");
}

#[test]
fn a_lowered_and_a_raised_window_keep_what_they_cover() {
    let mut scene = with_work();
    let mut short = spec(1);
    short.window_ms = HOUR;
    scene.restart(short, SECOND);
    assert_eq!(scene.pool.window().total_shares(), 3);
    let key = scene.rig(1);
    scene.work(key, "d", Want::Share);
    for _ in 0..3 {
        scene.restart(spec(1), SECOND);
        assert_eq!(scene.pool.window().total_shares(), 4);
    }
    let key = scene.rig(1);
    scene.work(key, "e", Want::Share);
    for _ in 0..3 {
        scene.restart(spec(1), SECOND);
        assert_eq!(scene.pool.window().total_shares(), 5);
    }
}

#[test]
fn a_ledger_stays_true_when_the_window_is_lengthened_after_a_block() {
    let with_window = |hours: u64| {
        let mut spec = spec(1);
        spec.window_ms = hours * HOUR;
        spec
    };
    let mut scene = Scene::start(with_window(1));
    let rig = scene.rig(1);
    for number in 0..30 {
        scene.work(rig, &format!("a{number}"), Want::Share);
        scene.advance(20 * SECOND);
    }
    scene.work(rig, "block", Want::Block);
    for hours in [24, 168, 2] {
        scene.restart(with_window(hours), SECOND);
        let rig = scene.rig(1);
        for number in 0..5 {
            scene.work(rig, &format!("b{number}"), Want::Share);
            scene.advance(20 * SECOND);
        }
    }
    // What the scene leaves is verified when it ends.
}
