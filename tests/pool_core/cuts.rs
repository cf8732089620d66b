//! The power is cut at each point of the turn in which a block is found.

use edgepool::pool::record::BlockStatus;
use serde_json::json;

use crate::rig::Want;
use crate::scene::{SECOND, Scene, address, spec};

#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Cut {
    /// The share was read.
    Judged,
    /// The batch is on disk.
    Written,
    /// The pool knows that it is; nothing has left.
    Committed,
    /// The node has the block, and has said so.
    Submitted,
    /// That is on disk too.
    Settled,
}

#[track_caller]
fn case(cut: Cut, status: Option<BlockStatus>, submissions: usize) {
    let mut scene = Scene::start(spec(1));
    let key = scene.rig(1);
    scene.work(key, "share", Want::Share);
    scene.advance(31 * SECOND);
    let block = scene.rig_mut(key).mine(Want::Block);
    let (ntime, nonce) = (format!("{:08x}", block.ntime), format!("{:08x}", block.nonce));
    let params = json!([address(1), block.job_id, block.extranonce2, ntime, nonce]);
    let line = json!({"id": "block", "method": "mining.submit", "params": params}).to_string() + "\n";
    scene.pool.handle_miner_bytes(key, line.as_bytes(), scene.now);
    assert!(scene.pool.batch_due(scene.now), "a block does not wait for the next interval");
    if cut == Cut::Written || cut == Cut::Committed {
        scene.disk.write(scene.pool.batch(scene.now)).unwrap();
    }
    match cut {
        Cut::Judged | Cut::Written => {}
        Cut::Committed => scene.pool.handle_committed(scene.now),
        Cut::Submitted => scene.turn(),
        Cut::Settled => {
            scene.turn();
            scene.turn();
        }
    }
    assert_eq!(scene.nodes[0].has(&block.block_hash), cut >= Cut::Submitted, "{cut:?}");
    assert_eq!(scene.rigs[&key].reply("block").is_some(), cut >= Cut::Submitted, "{cut:?}");

    scene.restart(spec(1), SECOND);
    scene.advance(60 * SECOND);
    let ledger = &scene.pool.chains()[0].ledger;
    let found: Vec<&BlockStatus> = ledger.blocks().iter().map(|block| &block.status).collect();
    assert_eq!(found, status.iter().collect::<Vec<_>>(), "{cut:?}");
    assert_eq!(scene.nodes[0].submitted.len(), submissions, "{cut:?}");
    assert_eq!(scene.nodes[0].has(&block.block_hash), status.is_some(), "{cut:?}");
    // One miner with all the work is paid all but the fee, once.
    let paid: u64 = ledger.accounts().map(|(_, account)| account.paid).sum();
    assert_eq!(paid, if status.is_some() { 312_500_000 - 3_125_000 } else { 0 }, "{cut:?}");
    for tip in 1..=6 {
        scene.new_tip(0, &format!("{tip:02x}").repeat(32));
        scene.advance(SECOND);
    }
    assert!(scene.disk.blocks.is_empty(), "{cut:?}: a buried block is kept by nobody");
    // The share of the block is credited exactly when the rig may have been told so.
    assert_eq!(scene.pool.window().total_shares(), if cut == Cut::Judged { 1 } else { 2 }, "{cut:?}");
}

#[test]
fn a_power_cut_at_any_point_leaves_all_of_a_block_or_nothing() {
    case(Cut::Judged, None, 0);
    case(Cut::Written, Some(BlockStatus::Accepted), 1);
    case(Cut::Committed, Some(BlockStatus::Accepted), 1);
    case(Cut::Submitted, Some(BlockStatus::Accepted), 2);
    case(Cut::Settled, Some(BlockStatus::Accepted), 1);
}
