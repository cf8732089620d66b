//! Chains that are mined together: one nonce wins the block of one, of several, of all; each block pays the same people,
//! and no chain waits for another.

use edgepool::base::slots::Key;
use edgepool::coin::address;
use edgepool::coin::difficulty::Difficulty;
use edgepool::coin::params::coin;
use edgepool::coin::script::Script;
use edgepool::pool::record::MinerId;
use edgepool::pool::spec::{ChainSpec, NodeSpec, PoolSpec, Terms};
use serde_json::{Value, json};

use crate::merged_block::{outputs, parent_of};
use crate::node::block_hash;
use crate::rig::{Share, Want};
use crate::scene::{SECOND, Scene, script, spec};

pub const FEE_SCRIPT: u8 = 0xdd;

/// A chain of a coin's regtest, or of the network that it has, by one node.
pub fn child(name: &str) -> ChainSpec {
    let coin = coin(name).unwrap();
    let ticker = coin.ticker.to_lowercase();
    ChainSpec {
        name: ticker.clone(),
        coin,
        network: coin.network("regtest").unwrap_or(&coin.networks[0]),
        nodes: vec![NodeSpec { url: format!("http://{ticker}"), authority: "node".into(), path: "/".into() }],
        terms: Terms {
            pool_script: Script::p2pkh(&[FEE_SCRIPT; 20]),
            fee_ppm: 20_000,
            min_payout: 100_000_000,
            max_outputs: 10,
        },
        coinbase_tag: b"/child/".to_vec(),
        payments: None,
        mine: true,
    }
}

/// Litecoin, and these chains merge-mined with it.
pub fn with_children(names: &[&str]) -> PoolSpec {
    let mut spec = spec(1);
    spec.max_miners = 32;
    spec.chains.extend(names.iter().map(|name| child(name)));
    spec
}

/// A pool of Litecoin and these chains, once it works for all of them.
pub fn start(names: &[&str]) -> Scene {
    let mut scene = Scene::start(with_children(names));
    scene.advance(3 * SECOND);
    scene
}

/// The account of a chain that is paid at a script.
pub fn account(scene: &Scene, chain: usize, script: &Script) -> MinerId {
    scene.pool.account_of(chain, script).expect("it was credited")
}

/// An address of a chain for a script.
pub fn address_on(scene: &Scene, chain: usize, script: &Script) -> String {
    let spec = &scene.pool.spec().chains[chain];
    address::encode(script, spec.coin, spec.network).unwrap()
}

/// A rig at work under a username.
pub fn rig_as(scene: &mut Scene, username: &str) -> Key {
    let key = scene.connect();
    scene.ask(key, "subscribe", "mining.subscribe", json!(["test/1"]));
    scene.authorize(key, username, "x");
    key
}

/// So many shares of a rig, each credited.
pub fn shares(scene: &mut Scene, key: Key, name: &str, count: u32) {
    for number in 0..count {
        let (_, reply) = scene.work(key, &format!("{name}{number}"), Want::Share);
        assert_eq!(reply["result"], true);
    }
}

/// The tip of a node moves on to a block of somebody else's, and the pool has followed it.
pub fn pass_block(scene: &mut Scene, node: usize, name: &str) {
    scene.new_tip(node, &name.repeat(32)[..64]);
    scene.advance(3 * SECOND);
}

/// The blocks of a chain, by height and status.
pub fn blocks(scene: &Scene, chain: usize) -> Vec<(u32, &'static str)> {
    let blocks = scene.pool.chains()[chain].ledger.blocks().iter();
    blocks.map(|block| (block.found.height, block.status.name())).collect()
}

/// Submits what was found earlier, and gives the reply.
pub fn send(scene: &mut Scene, key: Key, id: &str, share: &Share) -> Value {
    scene.submit(key, id, share);
    scene.advance(300);
    scene.rigs[&key].reply(id).expect("every share is answered").clone()
}

fn hex_of(script: &Script) -> String {
    hex::encode(script.as_bytes())
}

#[test]
fn one_nonce_wins_the_child_alone_the_parent_alone_or_both() {
    let mut scene = start(&["dogecoin"]);
    let key = scene.rig(1);
    scene.work(key, "child", Want::Only(1));
    assert_eq!((blocks(&scene, 0), blocks(&scene, 1)), (vec![], vec![(81, "accepted")]));
    assert!(scene.nodes[0].submitted.is_empty());

    scene.advance(3 * SECOND);
    let (share, reply) = scene.work(key, "both", Want::Every);
    assert_eq!(reply["result"], true);
    assert_eq!((blocks(&scene, 0), blocks(&scene, 1)[1..].to_vec()), (vec![(714, "accepted")], vec![(82, "accepted")]));
    assert_eq!(block_hash(&scene.nodes[0].submitted[0]), share.block_hash);
    assert_eq!(parent_of(&scene.nodes[1].submitted[1]), share.block_hash);

    // A child that is harder than its parent.
    scene.nodes[1].set("bits", "2000ffff".into());
    pass_block(&mut scene, 1, "ab");
    let key = scene.rig(2);
    scene.work(key, "parent", Want::Only(0));
    assert_eq!((blocks(&scene, 0).len(), blocks(&scene, 1).len()), (2, 2));
}

#[test]
fn after_a_nonce_that_won_both_the_work_is_for_the_next_blocks_of_both() {
    let mut scene = start(&["dogecoin", "pepecoin"]);
    let key = scene.rig(1);
    scene.work(key, "all", Want::Every);
    let next = [1, 2].map(|chain| blocks(&scene, chain)[0].0 + 1);
    let worked_on = |scene: &Scene| {
        let job = scene.pool.current_job().unwrap();
        (job.template.height, [1, 2].map(|chain| job.children.of(chain).unwrap().template.height))
    };
    assert_eq!(worked_on(&scene), (715, next), "a third of a second later");
}

#[test]
fn the_childs_coinbase_pays_the_same_people_by_the_childs_own_terms() {
    let mut scene = start(&["dogecoin"]);
    let witness = Script::witness(0, &[3; 20]).unwrap();
    let segwit = address_on(&scene, 0, &witness);
    let rigs = [scene.rig(1), scene.rig(2), rig_as(&mut scene, &segwit)];
    for (rig, count) in rigs.into_iter().zip([4, 3, 1]) {
        shares(&mut scene, rig, "w", count);
    }
    scene.advance(31 * SECOND);
    scene.work(rigs[0], "both", Want::Every);

    // 500,000 coins less 2 %, in eighths.
    let eighth = 49_000_000_000_000 / 8;
    // What needs segwit on the parent chain is the plain key hash where there is none.
    let expected = [(script(1), 4 * eighth), (script(2), 3 * eighth), (script(3), eighth)];
    let fees = (Script::p2pkh(&[FEE_SCRIPT; 20]), 1_000_000_000_000);
    let expected: Vec<_> = expected.iter().chain([&fees]).map(|(script, amount)| (hex_of(script), *amount)).collect();
    assert_eq!(outputs(&scene.nodes[1].submitted[0]), expected);
    let paid: Vec<String> = scene.rigs[&rigs[0]]
        .jobs
        .iter()
        .rev()
        .nth(1)
        .unwrap()
        .outputs()
        .into_iter()
        .map(|(script, _)| script)
        .collect();
    assert!(paid.contains(&hex_of(&witness)) && !paid.contains(&hex_of(&script(3))), "{paid:?}");

    for (number, eighths) in [(1, 4), (2, 3), (3, 1)] {
        let account = scene.pool.chains()[1].ledger.account(account(&scene, 1, &script(number)));
        assert_eq!((account.paid, account.balance), (eighths * eighth, 0));
    }
    let parent = scene.pool.chains()[0].ledger.account(account(&scene, 0, &witness));
    assert!(parent.paid > 0);
}

#[test]
fn a_new_child_tip_makes_new_work_and_none_that_is_clean() {
    let mut scene = start(&["dogecoin"]);
    let key = scene.rig(1);
    let (before, count) = (scene.rigs[&key].job().clone(), scene.rigs[&key].jobs.len());
    pass_block(&mut scene, 1, "ab");
    let after = scene.rigs[&key].job().clone();
    assert_eq!((scene.rigs[&key].jobs.len(), after.clean), (count + 1, false));
    assert_eq!(after.prev_hash, before.prev_hash);
    assert_ne!(after.aux(), before.aux());

    // The work of before is good for the parent, and for the child as it was.
    let share = scene.rig_mut(key).mine_job(&before, Want::Share);
    assert_eq!(send(&mut scene, key, "old share", &share)["result"], true);
    let late = scene.rig_mut(key).mine_job(&before, Want::Only(1));
    assert_eq!(send(&mut scene, key, "old child", &late)["result"], true);
    assert_eq!(parent_of(&scene.nodes[1].submitted[0]), late.block_hash);
    assert_eq!(blocks(&scene, 1), [(81, "submitted")]);
    let late = scene.rig_mut(key).mine_job(&before, Want::Block);
    assert_eq!(send(&mut scene, key, "old block", &late)["result"], true);
    assert_eq!(blocks(&scene, 0), [(714, "accepted")]);
    pass_block(&mut scene, 1, "cd");
    scene.advance(60 * SECOND);
    assert_eq!(blocks(&scene, 1)[0], (81, "orphaned"));
}

#[test]
fn a_child_that_runs_does_not_push_out_the_work_that_rigs_are_at() {
    let mut scene = start(&["dogecoin"]);
    let key = scene.rig(1);
    let count = scene.rigs[&key].jobs.len();
    for number in 0..40 {
        scene.new_tip(1, &format!("{number:02x}").repeat(32));
        scene.advance(SECOND / 4);
    }
    scene.advance(3 * SECOND);
    let made = scene.rigs[&key].jobs.len() - count;
    assert!((4..=7).contains(&made), "{made} jobs in 13 seconds");
    assert_eq!(scene.pool.current_job().unwrap().children.of(1).unwrap().template.height, 121);
}

#[test]
fn several_children_share_one_tree_and_one_nonce_wins_them_all() {
    let names = ["dogecoin", "pepecoin", "bellscoin", "luckycoin", "junkcoin", "shibacoin"];
    let mut scene = start(&names);
    let key = scene.rig(1);
    let (_, size, nonce) = scene.rigs[&key].job().aux().expect("the coinbase commits to the children");
    // Chain ids 16, 8211 and 8224 have their lowest bits in common.
    assert_eq!((size, nonce), (32, 0));
    scene.work(key, "every", Want::Every);
    for (chain, name) in (1..).zip(names) {
        let node = scene.first_node(chain);
        let height = scene.nodes[node].height() as u32 - 1;
        assert_eq!(blocks(&scene, chain), [(height, "accepted")], "{name}");
        assert_eq!(scene.nodes[node].submitted.len(), 1);
    }
    assert_eq!(blocks(&scene, 0), [(714, "accepted")]);
    // Each by itself.
    for chain in 1..=2 {
        let node = scene.first_node(chain);
        scene.nodes[node].set("bits", "200fffff".into());
        pass_block(&mut scene, node, "ab");
        let key = scene.rig(2);
        scene.work(key, "alone", Want::Only(chain));
        assert_eq!(blocks(&scene, chain).len(), 2);
        scene.nodes[node].set("bits", "2007ffff".into());
        pass_block(&mut scene, node, "cd");
    }
    assert_eq!(blocks(&scene, 0).len(), 1);
}

#[test]
fn a_version_rolled_onto_a_childs_chain_id_does_not_count_for_that_child() {
    let mut scene = start(&["dogecoin", "luckycoin", "junkcoin"]);
    let key = scene.rig(1);
    let mask = json!([["version-rolling"], {"version-rolling.mask": "1fffe000"}]);
    scene.ask(key, "configure", "mining.configure", mask);
    // The versions begin with 0x2013 and 0x2020.
    for (bits, refused, taken) in [(0x0013_0000, 2, 3), (0x0020_0000, 3, 2)] {
        let job = scene.rigs[&key].job().rolled(bits);
        let share = scene.rig_mut(key).mine_job(&job, Want::Every);
        let counts = [0, 1, 2, 3].map(|chain| blocks(&scene, chain).len());
        assert_eq!(send(&mut scene, key, &format!("{bits:x}"), &share)["result"], true);
        for (chain, count) in counts.into_iter().enumerate() {
            let more = usize::from(chain != refused);
            assert_eq!(blocks(&scene, chain).len(), count + more, "chain {chain} by {bits:08x}");
        }
        assert_eq!(blocks(&scene, taken).last().unwrap().1, "accepted");
        scene.advance(3 * SECOND);
    }
}

#[test]
fn no_rig_is_given_a_difficulty_above_the_easiest_chains() {
    let mut spec = with_children(&["dogecoin"]);
    spec.vardiff.start = Difficulty::from_units(1_000).unwrap();
    spec.vardiff.max = Difficulty::from_units(1_000).unwrap();
    let mut scene = Scene::start(spec);
    scene.advance(3 * SECOND);
    let key = scene.rig(1);
    let units = |scene: &Scene| (scene.rigs[&key].difficulty * 65_536.0).round() as u64;
    assert_eq!(units(&scene), 31, "one hash in 32 solves the child");
    // Harder than the parent, the child bounds nothing.
    scene.nodes[1].set("bits", "2000ffff".into());
    pass_block(&mut scene, 1, "ab");
    assert!(units(&scene) <= 63, "one hash in 64 solves the parent");
    let later = scene.rig(2);
    assert_eq!((scene.rigs[&later].difficulty * 65_536.0).round() as u64, 63);
}

#[test]
fn a_child_block_is_found_once_however_often_it_is_solved() {
    let mut scene = start(&["dogecoin"]);
    let key = scene.rig(1);
    let found = [0; 2].map(|_| scene.rig_mut(key).mine(Want::Only(1)));
    for (number, share) in found.iter().enumerate() {
        scene.submit(key, &format!("found{number}"), share);
    }
    scene.advance(SECOND);
    assert_eq!(blocks(&scene, 1), [(81, "accepted")]);
    assert_eq!(scene.nodes[1].submitted.len(), 1);
}

#[test]
fn a_thousand_miners_are_shared_out_on_both_chains() {
    let mut spec = with_children(&["dogecoin", "pepecoin"]);
    spec.max_miners = 1_024;
    spec.stratum.max_connections = 2_000;
    let mut scene = Scene::start(spec);
    scene.advance(3 * SECOND);
    for number in 0..1_000_u32 {
        let mut hash = [7; 20];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        let username = address_on(&scene, 0, &Script::p2pkh(&hash));
        let key = rig_as(&mut scene, &username);
        let share = scene.rig_mut(key).mine(Want::Share);
        scene.submit(key, "share", &share);
        scene.pool.handle_miner_closed(key);
        scene.rigs.remove(&key);
    }
    scene.advance(31 * SECOND);
    let key = scene.rig(1);
    scene.work(key, "every", Want::Every);
    for chain in 0..3 {
        let ledger = &scene.pool.chains()[chain].ledger;
        let block = &ledger.blocks()[0];
        assert_eq!((block.status.name(), block.found.parts.len()), ("accepted", 1_000));
        // Pepecoin's own block pays the pool alone.
        assert_eq!(block.found.outputs.len(), [9, 9, 0][chain]);
        let sums: u64 = block.found.parts.iter().map(|part| part.entitled).sum();
        let paid: u64 = block.found.outputs.iter().map(|output| output.amount).sum();
        assert_eq!(ledger.totals().owed, i128::from(sums - paid));
    }
}

#[test]
fn a_share_that_is_stale_for_the_parent_still_wins_the_child() {
    let mut scene = start(&["dogecoin"]);
    let key = scene.rig(1);
    let before = scene.rigs[&key].job().clone();
    scene.new_tip(0, &"ab".repeat(32));
    scene.turn();
    assert!(scene.rigs[&key].job().clean);
    let late = scene.rig_mut(key).mine_job(&before, Want::Only(1));
    assert_eq!(send(&mut scene, key, "late", &late)["error"][0], 21, "no credit");
    assert_eq!((blocks(&scene, 0), blocks(&scene, 1)), (vec![], vec![(81, "accepted")]));
}
