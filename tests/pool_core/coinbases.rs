//! Rigs of different firmware are sent coinbases of different sizes, and a block settles by the one that found it.

use edgepool::pool::firmware::CoinbaseClass;
use edgepool::pool::record::BlockStatus;
use edgepool::pool::spec::PortSpec;
use serde_json::json;

use crate::node::block_hash;
use crate::rig::Want;
use crate::scene::{SECOND, Scene, address, script, spec};

const MINERS: u8 = 14;
/// Miners that a coinbase of 500 bytes pays beside the pool.
const NARROW: usize = 10;

/// A pool that could pay everybody in one coinbase of 755 bytes and more, but not in one of 500.
fn scene() -> Scene {
    let mut spec = spec(1);
    spec.max_miners = 32;
    spec.chains[0].terms.max_outputs = 40;
    spec.stratum.ports.push(PortSpec { class: CoinbaseClass::of_bytes(500) });
    let mut scene = Scene::start(spec);
    for number in 1..=MINERS {
        let rig = scene.rig(number);
        // The first works hardest, so that the ranking has no ties.
        for share in number..=MINERS {
            scene.work(rig, &format!("w{share}"), Want::Share);
        }
    }
    scene.advance(31 * SECOND);
    scene
}

/// A rig that calls itself `agent`; answers how many outputs its coinbase has.
fn outputs_for(scene: &mut Scene, port: usize, agent: &str, password: &str) -> (edgepool::base::slots::Key, usize) {
    let key = scene.connect_by(port);
    scene.ask(key, "subscribe", "mining.subscribe", json!([agent]));
    scene.authorize(key, &address(1), password);
    (key, scene.rigs[&key].job().outputs().len())
}

#[test]
fn the_coinbase_is_chosen_by_firmware_unless_port_or_password_say_otherwise() {
    let mut scene = scene();
    let everybody = usize::from(MINERS) + 1;
    let cases = [
        (0, "cgminer/4.11.1", "x", everybody),
        (0, "whatsminer/v1.1", "x", everybody),
        (0, "NiceHash/1.0.0", "x", NARROW + 1),
        (0, "", "x", everybody),
        (1, "whatsminer/v1.1", "x", NARROW + 1),
        (1, "cgminer/4.11.1", "cb=755", everybody),
        (0, "cgminer/4.11.1", "d=0.00001,cb=600", NARROW + 1),
        (0, "NiceHash/1.0.0", "cb=0", NARROW + 1),
        (0, "NiceHash/1.0.0", "cb=99999", everybody),
    ];
    for (port, agent, password, outputs) in cases {
        assert_eq!(outputs_for(&mut scene, port, agent, password).1, outputs, "{port} {agent} {password}");
    }
}

#[test]
fn a_connection_keeps_the_coinbase_that_it_was_sent_first() {
    let mut scene = scene();
    let (key, outputs) = outputs_for(&mut scene, 0, "cgminer/4.11.1", "x");
    scene.ask(key, "again", "mining.subscribe", json!(["NiceHash/1.0.0"]));
    scene.authorize(key, &format!("{}.second", address(1)), "cb=500");
    scene.advance(31 * SECOND);
    assert_eq!(scene.rigs[&key].job().outputs().len(), outputs);
    let (_, reply) = scene.work(key, "share", Want::Share);
    assert_eq!(reply["result"], true, "its shares are judged by what it was sent");
}

#[test]
fn a_block_settles_by_the_coinbase_that_it_was_found_with() {
    let mut scene = scene();
    let (wide, _) = outputs_for(&mut scene, 0, "cgminer/4.11.1", "x");
    let (narrow, outputs) = outputs_for(&mut scene, 0, "NiceHash/1.0.0", "x");
    assert_eq!(outputs, NARROW + 1, "some miners and the pool");
    let sent = scene.rigs[&narrow].job().outputs();
    assert_eq!(
        sent[..NARROW],
        scene.rigs[&wide].job().outputs()[..NARROW],
        "the first of the same ranking, paid the same"
    );

    let (share, reply) = scene.work(narrow, "block", Want::Block);
    assert_eq!(reply["result"], true);
    assert_eq!(block_hash(&scene.nodes[0].submitted[0]), share.block_hash);
    let ledger = &scene.pool.chains()[0].ledger;
    let block = ledger.blocks().last().unwrap();
    assert_eq!((&block.status, block.found.outputs.len()), (&BlockStatus::Accepted, NARROW));
    ledger.check().unwrap();
    for number in 1..=MINERS {
        let account = ledger.account(scene.pool.miners().find(&script(number).into()).unwrap());
        if usize::from(number) <= NARROW {
            assert_eq!((account.balance, account.paid), (0, sent[usize::from(number) - 1].1), "{number}");
        } else {
            assert!(account.balance > 0 && account.paid == 0, "{number} is owed what there was no room for");
        }
    }
    // A wide coinbase pays everybody, and of what is owed what the fee leaves room for.
    let owed = ledger.totals().owed;
    let (_, reply) = scene.work(wide, "next", Want::Block);
    assert_eq!(reply["result"], true);
    let ledger = &scene.pool.chains()[0].ledger;
    ledger.check().unwrap();
    assert_eq!(ledger.blocks().last().unwrap().found.outputs.len(), usize::from(MINERS));
    assert!(ledger.totals().owed < owed);
}
