//! Merged mining with litecoind as the parent: what its blocks carry proves blocks of two more chains, which are judged in
//! full. Dogecoin's blocks are the pool's own and pay the miners; Pepecoin's are its node's, and are owed.

use std::thread;
use std::time::Duration;

use edgepool::coin::auxpow::check;
use serde_json::{Value, json};

use crate::blocks::{
    announced_outputs, announcement, paid_outputs, pool_address, script_of_type, wait_for_work_on_tip,
};
use crate::chain::Chain;
use crate::child::Child;
use crate::miner::{Miner, Share, Want};
use crate::node::Node;
use crate::place::wait_for;
use crate::pool::Pool;
use crate::proof_of_work::sha256d;
use crate::transactions::litoshi;

/// On both children the pool's own address, that of the same key as the first miner's, and one that the second names: P2PKH
/// of hashes that nobody has a key for.
pub const CHILD_POOL: &str = "mmjv2METU5E68VeWKkKzgx9oVo4thkSw5x";
pub const CARRIED_OVER: &str = "mfcGAzvis9JQAb6avB6WBGiGrgWzLxuGaC";
const NAMED: &str = "mh5CE8Nbj38iND267s4XnvhSmhDW7yWc6Q";
/// Four times as many as a block of litecoind takes (pepecoind takes as many): a nonce that wins such a block wins one of
/// Litecoin too.
const PEPECOIN_HASHES: u64 = 8;

/// Within this the pool works on a new tip of a child.
const CHILD_WORK: Duration = Duration::from_secs(3);

/// The parts of a test.
struct Scene {
    node: Node,
    doge: Child,
    pep: Child,
    pool: Pool,
    /// Of an address that carries over, one that comes with another of the child's, and one that does neither.
    rigs: [Miner; 3],
    nameless: String,
}

impl Scene {
    /// All of it at work, each rig with a share in the window.
    fn new() -> Scene {
        let node = Node::start(Chain::Mweb);
        // Every hash makes a block of Dogecoin, every second one a block of Litecoin; with dogecoind it is every second on
        // both, and the same ones.
        let doge = Child::dogecoin(1);
        let pep = Child::pepecoin(PEPECOIN_HASHES);
        let pool = Pool::start_with(&[&node], &pool_address(&node), |entry| {
            entry["merge"] = json!([doge.entry(CHILD_POOL), pep.entry(CHILD_POOL)]);
        });
        let [carried, named, nameless] =
            ["p2wpkh", "p2pkh", "p2tr"].map(|kind| node.address_of(&script_of_type(kind, 1)));
        let usernames = [carried, format!("{named},{NAMED}.barn"), nameless.clone()];
        let rigs = usernames.map(|username| Miner::at_work(pool.stratum_port, &username, "x"));
        let mut scene = Scene { node, doge, pep, pool, rigs, nameless };
        for chain in [1, 2] {
            scene.wait_for_state(chain, "ready");
        }
        for rig in &mut scene.rigs {
            let share = rig.mine(Want::NotBlock);
            assert_eq!(rig.submit(&share), Ok(true));
        }
        scene
    }

    #[track_caller]
    fn wait_for_state(&self, chain: usize, state: &str) {
        wait_for(&format!("chain {chain} is {state}"), 60, || {
            let info = self.pool.ask("getinfo", json!([]));
            (info["pools"][0]["chains"][chain]["nodes"][0]["state"] == state).then_some(())
        });
    }

    /// Finds a block of the parent with this rig, whatever else it wins; gives its id.
    fn win_parent(&mut self, rig: usize) -> String {
        let rig = &mut self.rigs[rig];
        rig.catch_up().unwrap();
        wait_for_work_on_tip(&self.node, rig);
        let share = rig.mine(Want::Block);
        assert_eq!(rig.submit(&share), Ok(true));
        self.node.block_in_chain(&share.block_hash);
        share.block_hash
    }

    fn reconnect(&mut self) {
        let usernames = self.rigs.each_ref().map(|rig| rig.username.clone());
        self.rigs = usernames.map(|username| Miner::at_work(self.pool.stratum_port, &username, "x"));
    }

    /// Blocks of a chain, newest first.
    fn blocks(&self, chain: &str) -> Vec<Value> {
        let blocks = self.pool.ask("getblocks", json!([100, {"chain": chain}]));
        blocks.as_array().expect("a list").clone()
    }

    #[track_caller]
    fn wait_until_accepted(&self, chain: &str, hash: &str) {
        wait_for(&format!("block {hash} of {chain} is accepted"), 60, || {
            let blocks = self.blocks(chain);
            let of: Vec<&Value> = blocks.iter().filter(|block| block["hash"] == hash).collect();
            assert_eq!(of.len(), 1, "it is recorded once: {blocks:?}");
            (of[0]["status"] == "accepted").then_some(())
        });
    }

    /// The books of a chain: each miner's account by its address, after the law was checked.
    fn owed(&self, chain: &str, address: &str) -> u64 {
        let balances = self.pool.ask("getbalances", json!([{"chain": chain}]));
        assert_eq!(balances["conserved"], true, "{balances}");
        let accounts = balances["balances"].as_array().unwrap().iter();
        accounts.filter(|account| account["address"] == address).map(|account| litoshi(&account["balance"])).sum()
    }

    #[track_caller]
    fn assert_verified(&self) {
        let output = self.pool.command(&["ledger", "verify", "--node"]);
        let text = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&text));
    }
}

/// Sends shares that are wanted until one of them wins a block of the child; gives it and the block's id. The pool may be
/// at a block that was won already: the next work comes within seconds.
pub fn win(child: &Child, rig: &mut Miner, want: Want) -> (Share, String) {
    let before = child.tip();
    for _ in 0..20 {
        rig.catch_up().unwrap();
        let share = rig.mine(want);
        let _ = rig.submit(&share);
        for _ in 0..10 {
            let tip = child.tip();
            if tip != before {
                return (share, tip);
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
    panic!("twenty shares that are good enough, and no block of the child");
}

/// A parent block as the proof in a child block shows it.
struct Parent {
    /// Its id, as a node prints it.
    id: String,
    header: Vec<u8>,
    /// Without witness.
    coinbase: Vec<u8>,
}

impl Parent {
    fn of(child: &Child, hash: &str) -> Parent {
        let block = child.raw_block(hash);
        let (_, proof, _) = check::split(&block).expect("a merge-mined block");
        let mut id = sha256d(&proof.parent);
        id.reverse();
        Parent { id: hex::encode(id), header: proof.parent.to_vec(), coinbase: proof.coinbase.to_vec() }
    }

    /// The very header and coinbase are those of a block in litecoind's chain.
    #[track_caller]
    fn assert_in(&self, node: &Node) {
        let block = node.block_in_chain(&self.id);
        assert_eq!(node.ask("getblockheader", json!([self.id, false])), hex::encode(&self.header));
        let mut txid = sha256d(&self.coinbase);
        txid.reverse();
        assert_eq!(block["tx"][0]["txid"], hex::encode(txid));
    }
}

#[test]
fn one_nonce_wins_on_every_chain_and_each_pays_or_owes_its_miners() {
    let mut scene = Scene::new();
    let Scene { node, doge, pool, rigs, .. } = &mut scene;
    let [rig, ..] = rigs;

    // What is announced for both chains is what one nonce pays on both.
    let (share, hash, parent, child) = loop {
        wait_for_work_on_tip(node, rig);
        let parent = announcement(pool, rig, "1.0");
        let child = pool.ask("getpayoutinfo", json!([{"chain": "doge"}]));
        let job = rig.job.clone().unwrap();
        let before = doge.tip();
        let share = rig.mine(Want::Block);
        assert_eq!(rig.submit(&share), Ok(true));
        node.block_in_chain(&share.block_hash);
        thread::sleep(Duration::from_millis(500));
        let is_new = doge.tip() != before;
        if is_new && share.job_id == job.id {
            break (share, doge.tip(), parent, child);
        }
    };
    let proved = Parent::of(doge, &hash);
    assert_eq!(proved.id, share.block_hash, "one nonce won both");
    proved.assert_in(node);
    assert_eq!(paid_outputs(&node.block_in_chain(&share.block_hash)), announced_outputs(&parent));
    let paid = paid_outputs(&doge.ask("getblock", json!([hash, 2])));
    assert_eq!(paid, announced_outputs(&child));
    assert!(paid.contains_key(CARRIED_OVER) && paid.contains_key(NAMED), "{paid:?}");
    assert_eq!(paid.len(), 3, "two miners and the pool: {paid:?}");
    scene.wait_until_accepted("doge", &hash);
    scene.wait_until_accepted("ltc", &share.block_hash);
    assert!(scene.owed("doge", &scene.nameless) > 0, "who has no address there is owed");
    assert_eq!(scene.owed("doge", NAMED), 0);

    // A hash that is no block of Litecoin is one of an easier chain.
    if scene.doge.takes_every_hash() {
        let (share, hash) = win(&scene.doge, &mut scene.rigs[1], Want::NotBlock);
        assert_eq!(Parent::of(&scene.doge, &hash).id, share.block_hash);
        assert!(scene.node.rpc("getblockheader", json!([share.block_hash])).is_err(), "litecoind never saw it");
        scene.wait_until_accepted("doge", &hash);
    }

    // The node's own block pays the pool, and its miners are owed.
    let want = Want::Meets(scene.pep.bits());
    let (share, hash) = win(&scene.pep, &mut scene.rigs[2], want);
    let proved = Parent::of(&scene.pep, &hash);
    assert_eq!(proved.id, share.block_hash);
    proved.assert_in(&scene.node);
    let paid = paid_outputs(&scene.pep.ask("getblock", json!([hash, 2])));
    assert_eq!(paid.keys().collect::<Vec<_>>(), [CHILD_POOL]);
    scene.wait_until_accepted("pep", &hash);
    let owed = [CARRIED_OVER, &scene.nameless].map(|address| scene.owed("pep", address));
    assert!(owed.iter().all(|owed| *owed > 0), "{owed:?}");
    scene.assert_verified();
}

#[test]
fn a_child_that_is_down_holds_nobody_back_and_no_block_of_it_is_lost() {
    let mut scene = Scene::new();
    // Killed right after a share that wins on both chains.
    let (id, hash) = loop {
        let tip = scene.doge.tip();
        thread::sleep(CHILD_WORK);
        let rig = &mut scene.rigs[0];
        rig.catch_up().unwrap();
        wait_for_work_on_tip(&scene.node, rig);
        let share = rig.mine(Want::Block);
        assert_eq!(rig.submit(&share), Ok(true));
        scene.pool.kill();
        scene.pool.restart();
        scene.pool.wait_until_ready();
        scene.reconnect();
        scene.node.block_in_chain(&share.block_hash);
        thread::sleep(Duration::from_secs(1));
        if scene.doge.tip() != tip {
            break (share.block_hash, scene.doge.tip());
        }
    };
    let proved = Parent::of(&scene.doge, &hash);
    assert_eq!(proved.id, id);
    proved.assert_in(&scene.node);
    scene.wait_until_accepted("doge", &hash);
    scene.wait_until_accepted("ltc", &id);

    // Blocks of the child that are found as its node goes, until the pool knows that it is gone.
    for chain in [1, 2] {
        scene.wait_for_state(chain, "ready");
    }
    thread::sleep(CHILD_WORK);
    let tip = scene.doge.tip();
    scene.doge.stop();
    let mut sent = Vec::new();
    loop {
        sent.push(scene.win_parent(sent.len() % 3));
        let info = scene.pool.ask("getinfo", json!([]));
        if info["pools"][0]["chains"][1]["nodes"][0]["state"] == "unreachable" {
            break;
        }
    }
    // From here on the parent is mined alone.
    for rig in 0..3 {
        scene.win_parent(rig);
    }
    assert_eq!(scene.pool.health().unwrap(), 200, "rigs go on");
    scene.doge.restart();
    scene.wait_for_state(1, "ready");
    let hash = wait_for("the block that waited", 20, || Some(scene.doge.tip()).filter(|now| *now != tip));
    let proved = Parent::of(&scene.doge, &hash);
    assert!(sent.contains(&proved.id), "{} is one of {sent:?}", proved.id);
    proved.assert_in(&scene.node);
    scene.wait_until_accepted("doge", &hash);
    let (share, hash) = win(&scene.doge, &mut scene.rigs[0], Want::Block);
    let proved = Parent::of(&scene.doge, &hash);
    assert_eq!(proved.id, share.block_hash);
    proved.assert_in(&scene.node);
    scene.wait_until_accepted("doge", &hash);
    for chain in ["ltc", "doge", "pep"] {
        scene.owed(chain, &scene.nameless);
    }
    scene.assert_verified();
}
