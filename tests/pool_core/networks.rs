//! Nodes of another network: their templates look good and would pay nobody.

use crate::node::Mode;
use crate::rig::Want;
use crate::scene::{HOUR, SECOND, Scene, TODAY, spec};

/// Of the chain that the wrong node is on.
const FOREIGN: &str = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff0";

#[test]
fn a_node_of_another_network_is_shown_and_never_followed() {
    for network in ["main", "test", "signet"] {
        let mut scene = Scene::unheard(spec(1), TODAY);
        scene.nodes[0].mode = Mode::On(network);
        let key = scene.rig(1);
        scene.advance(HOUR);
        assert_eq!(scene.state(0), "wrong_network");
        let error = scene.pool.chains()[0].nodes[0].status(scene.now).error.unwrap();
        assert_eq!(error, format!("the node is on {network}, this pool on regtest"));
        assert!(scene.rigs[&key].jobs.is_empty());
        assert!(scene.turns < 3 * 3_600, "{} turns in an hour", scene.turns);
        // Its operator starts it anew with the right configuration.
        scene.break_node(0, Mode::Good);
        scene.advance(60 * SECOND);
        let key = scene.rig(1);
        assert_eq!((scene.state(0), scene.rigs[&key].jobs.len()), ("ready", 1));
    }
}

#[test]
fn a_node_that_comes_back_on_another_network_gives_no_job() {
    // The connections end while a call is under way, or while none is.
    for pause in [0, 500, 1_999, 2_000, 9_999, 10_000] {
        let mut scene = Scene::start(spec(1));
        let key = scene.rig(1);
        scene.advance(pause);
        let tip = scene.rigs[&key].job().prev_hash.clone();
        scene.nodes[0].extend(FOREIGN);
        scene.break_node(0, Mode::On("test"));
        scene.advance(120 * SECOND);
        assert_eq!(scene.state(0), "wrong_network");
        assert!(scene.rigs[&key].jobs.iter().all(|job| job.prev_hash == tip), "after {pause} ms");
        let (_, reply) = scene.work(key, "share", Want::Share);
        assert_eq!(reply["result"], true, "rigs keep the work that they have");
    }
}

#[test]
fn a_node_that_gives_templates_while_it_catches_up_is_waited_for_but_on_a_private_network() {
    let mut testnet = spec(1);
    testnet.chains[0].network = testnet.chains[0].coin.network("testnet").unwrap();
    let mut scene = Scene::unheard(testnet, TODAY);
    scene.nodes[0].mode = Mode::CatchingUp("test");
    scene.advance(HOUR);
    assert_eq!((scene.state(0), scene.pool.current_job().is_none()), ("syncing", true));
    assert!(scene.turns < 3 * 3_600, "{} turns in an hour", scene.turns);
    scene.nodes[0].mode = Mode::On("test");
    scene.advance(30 * SECOND);
    assert_eq!((scene.state(0), scene.pool.current_job().is_some()), ("ready", true));
    // A tip of last week says nothing where nobody else mines.
    let mut scene = Scene::unheard(spec(1), TODAY);
    scene.nodes[0].mode = Mode::CatchingUp("regtest");
    scene.advance(HOUR);
    assert_eq!((scene.state(0), scene.pool.current_job().is_some()), ("ready", true));
}

#[test]
fn a_node_that_does_not_tell_its_network_is_trusted() {
    let mut scene = Scene::unheard(spec(1), TODAY);
    scene.nodes[0].mode = Mode::Reticent;
    let key = scene.rig(1);
    scene.advance(SECOND);
    assert_eq!((scene.state(0), scene.rigs[&key].jobs.len()), ("ready", 1));
    scene.break_node(0, Mode::Reticent);
    scene.nodes[0].extend(FOREIGN);
    scene.advance(20 * SECOND);
    assert_eq!(scene.rigs[&key].job().prev_hash, FOREIGN);
}
