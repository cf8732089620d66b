//! Several pools in one daemon, on real nodes: a Litecoin pool on litecoind and a Bitcoin pool on bitcoind. Each mines and
//! pays for itself, and what happens to one is not the other's. Where there is no bitcoind, a second Litecoin pool on a
//! node of its own stands beside the first.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::blocks::wait_for_work_on_tip;
use crate::blocks::{credit_share, find_block, mine_announced_block, paid_outputs, pool_address, script_of_type};
use crate::chain::Chain;
use crate::child::Child;
use crate::kind::BITCOIND;
use crate::merged::{CARRIED_OVER, CHILD_POOL, win};
use crate::miner::{Miner, PATIENCE, Port, Share, Want};
use crate::node::Node;
use crate::place::wait_for;
use crate::pool::{Entry, Pool};
use crate::reorganisations::wait_for_status;
use crate::rpc::{OF_THE_DAEMON, Rpc};

const NAMES: [&str; 2] = ["first", "second"];

/// Two pools, and a node for each.
struct Farm {
    daemon: Pool,
    ports: [Port; 2],
    nodes: [Node; 2],
}

impl Farm {
    fn start(test: &str) -> Farm {
        Farm::start_with(test, |_, _| {})
    }

    /// With changes to the pools' configurations.
    fn start_with(test: &str, change: impl FnOnce(&mut Value, &mut Value)) -> Farm {
        let second = if BITCOIND.is_here(&format!("Bitcoin's part in {test}")) { Chain::Bitcoin } else { Chain::Mweb };
        let nodes = [Chain::Mweb, second].map(Node::start);
        let mut entries = nodes.each_ref().map(|node| Entry::new(&[node], &pool_address(node)));
        for (entry, name) in entries.iter_mut().zip(NAMES) {
            entry.config["name"] = json!(name);
        }
        let [first, second] = &mut entries;
        change(&mut first.config, &mut second.config);
        let daemon = Pool::start_several(&entries);
        daemon.wait_until_ready();
        Farm { nodes, ports: entries.map(|entry| entry.port), daemon }
    }

    fn pool(&self, index: usize) -> Rpc {
        self.daemon.of(NAMES[index])
    }

    /// An address of each pool's coin.
    fn address(&self, index: usize, kind: &str, number: u8) -> String {
        self.nodes[index].address_of(&script_of_type(kind, number))
    }

    fn rig(&self, index: usize, kind: &str) -> Miner {
        Miner::at_work(self.ports[index], &self.address(index, kind, 1), "x")
    }

    /// The pools that `/health` complains about, with its status code.
    fn sick(&self) -> (u16, Vec<String>) {
        let reply = self.daemon.get("/health").expect("the status port answers");
        let told: Value = serde_json::from_slice(&reply.body).expect("JSON");
        let pools = told["pools"].as_array().expect("a list of pools").iter();
        (reply.status, pools.map(|pool| pool["pool"].as_str().expect("a name").to_owned()).collect())
    }

    #[track_caller]
    fn assert_verified(&self) {
        let text = succeeded(&self.daemon.command(&["ledger", "verify", "--node"]));
        for name in NAMES {
            assert!(text.contains(name), "{name} is not in\n{text}");
        }
    }
}

/// What a command printed.
#[track_caller]
fn succeeded(output: &Output) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn two_coins_are_mined_at_once_and_each_pays_its_own_miners() {
    let farm = Farm::start("two coins mined at once");
    // Terms are each pool's own.
    let fees = ["1.0", "2.5"];
    let hashes: Vec<Vec<String>> = thread::scope(|scope| {
        let work = |index: usize| {
            let (node, pool) = (&farm.nodes[index], farm.pool(index));
            let mut rigs = ["p2wpkh", "p2pkh"].map(|kind| farm.rig(index, kind));
            let mut hashes = Vec::new();
            for _ in 0..2 {
                for rig in &mut rigs {
                    credit_share(node, rig);
                }
                wait_for_work_on_tip(node, &mut rigs[0]);
                let block = mine_announced_block(node, &pool, &mut rigs[0], fees[index]);
                let paid = paid_outputs(&block);
                assert!(rigs.iter().all(|rig| paid.contains_key(&rig.username)), "{paid:?}");
                hashes.push(block["hash"].as_str().expect("a hash").to_owned());
            }
            hashes
        };
        let works = [0, 1].map(|index| scope.spawn(move || work(index)));
        works.map(|work| work.join().expect("a pool's work is done")).into()
    });
    for (index, hashes) in hashes.iter().enumerate() {
        for hash in hashes {
            wait_for_status(&farm.pool(index), hash, "accepted");
        }
        assert_eq!(farm.pool(index).ask("getbalances", json!([]))["conserved"], true);
        assert_eq!(farm.pool(index).ask("getpayoutinfo", json!([]))["pool_fee_percent"], fees[index]);
    }
    farm.assert_verified();

    // Whoever mistakes the port is told so.
    let mut stray = Miner::connect(farm.ports[1]).unwrap();
    stray.subscribe();
    let foreign = if BITCOIND.find().is_some() { farm.address(0, "p2wpkh", 1) } else { "nobody".to_owned() };
    assert!(!matches!(stray.authorize(&foreign, "x"), Ok(true)));
    assert_asked_by_name(&farm);
}

/// Every method, page and table tells of both pools, and of the one that is named.
fn assert_asked_by_name(farm: &Farm) {
    let daemon = &farm.daemon;
    let listed = daemon.ask("listpools", json!([]));
    let names: Vec<&str> = listed.as_array().unwrap().iter().map(|pool| pool["name"].as_str().unwrap()).collect();
    assert_eq!(names, NAMES);
    let help = daemon.ask("help", json!([]));
    let of_pools = help.as_str().unwrap().lines().filter_map(|line| line.split(' ').next());
    for method in of_pools.filter(|method| !OF_THE_DAEMON.contains(method)) {
        let (code, text) = daemon.rpc_as_admin(method, json!([])).expect_err(method);
        assert_eq!((code, text.as_str()), (-32602, "pool is missing: one of first, second"), "{method}");
    }
    for (index, node) in farm.nodes.iter().enumerate() {
        let pool = farm.pool(index);
        let address = farm.address(index, "p2wpkh", 1);
        for method in ["getpayoutinfo", "getminerstats", "getbalances", "gethistory", "getpayments", "listbanned"] {
            pool.ask(method, json!([]));
        }
        let blocks = pool.ask("getblocks", json!([]));
        assert_eq!(blocks[0]["hash"], node.tip());
        assert_eq!(pool.ask("getpayoutproof", json!([blocks[0]["hash"]]))["hash"], blocks[0]["hash"]);
        assert_eq!(pool.ask("getminerstats", json!([address]))["address"], json!(address));
        assert_eq!(pool.ask("validateaddress", json!([address]))["isvalid"], true);
        assert!(!pool.ask("getpayouthistory", json!([address])).as_array().unwrap().is_empty());
        assert_eq!(pool.rpc_as_admin("showmessage", json!(["Hello"])).unwrap()["rigs"], 0);
    }
    let metrics = String::from_utf8(daemon.get("/metrics").unwrap().body).unwrap();
    let measured = |name: &str| -> BTreeSet<&str> {
        let of_pool = metrics
            .lines()
            .filter_map(|line| line.split_once('{').filter(|(_, rest)| rest.starts_with(&format!("pool=\"{name}\""))));
        of_pool.map(|(metric, _)| metric).collect()
    };
    assert_eq!(measured(NAMES[0]), measured(NAMES[1]));
    assert!(measured(NAMES[0]).len() > 10, "{metrics}");
    for (name, node) in NAMES.iter().zip(&farm.nodes) {
        // Of the block that was just found its pool may not have the next template yet.
        let line = format!("{name} · {} regtest · height {}", node.kind().coin, node.height() + 1);
        wait_for(&line, 10, || {
            let status = succeeded(&Pool::run(&["status", "--url", &format!("http://127.0.0.1:{}", daemon.rpc_port)]));
            status.contains(&line).then_some(())
        });
    }
}

#[test]
fn three_chains_of_two_pools_pay_their_miners_directly() {
    let doge = Child::dogecoin(1);
    let farm = Farm::start_with("three chains", |entry, _| entry["merge"] = json!([doge.entry(CHILD_POOL)]));
    farm.pool(0).wait_for_node_state(0, "ready", |state| state == "ready");
    let of_child = |method: &str| farm.daemon.ask(method, json!([{"pool": NAMES[0], "chain": "doge"}]));
    wait_for("the child's work is announced", 60, || {
        of_child("getpayoutinfo")["block_value"].as_str().map(str::to_owned)
    });
    let mut rigs = [0, 1].map(|index| farm.rig(index, "p2wpkh"));
    for _ in 0..2 {
        for (index, (node, rig)) in farm.nodes.iter().zip(&mut rigs).enumerate() {
            credit_share(node, rig);
            wait_for_work_on_tip(node, rig);
            let block = mine_announced_block(node, &farm.pool(index), rig, "1.0");
            let paid = paid_outputs(&block);
            assert!(paid.contains_key(&rig.username), "{paid:?}");
            wait_for_status(&farm.pool(index), block["hash"].as_str().expect("a hash"), "accepted");
        }
        let (_, hash) = win(&doge, &mut rigs[0], Want::Block);
        let paid = paid_outputs(&doge.ask("getblock", json!([hash, 2])));
        assert!(paid.contains_key(CARRIED_OVER), "the same key is paid on the child: {paid:?}");
        wait_for("the child's block is accepted", 60, || {
            let blocks = of_child("getblocks");
            let block = blocks.as_array().unwrap().iter().find(|block| block["hash"] == hash)?.clone();
            (block["status"] == "accepted").then_some(())
        });
        assert_eq!(of_child("getbalances")["conserved"], true);
    }
    farm.assert_verified();
}

#[test]
fn a_node_that_dies_is_its_own_pools_trouble() {
    let farm = Farm::start("a node that dies");
    let mut rigs = [0, 1].map(|index| farm.rig(index, "p2tr"));
    farm.nodes[1].kill();
    farm.pool(1).wait_for_node_state(0, "unreachable", |state| state == "unreachable");
    assert_eq!(farm.sick(), (503, vec![NAMES[1].to_owned()]));
    for _ in 0..3 {
        credit_share(&farm.nodes[0], &mut rigs[0]);
    }
    let hash = find_block(&farm.nodes[0], &mut rigs[0]);
    wait_for_status(&farm.pool(0), &hash, "accepted");
    // Rigs of the other keep their last work, and a block of theirs waits for the node.
    rigs[1].catch_up().expect("the rig stays connected");
    let share = rigs[1].mine(Want::Block);
    assert_eq!(rigs[1].submit(&share), Ok(true));
    farm.nodes[1].restart();
    farm.nodes[1].block_in_chain(&share.block_hash);
    wait_for_status(&farm.pool(1), &share.block_hash, "accepted");
    wait_for("both are well", 60, || (farm.sick() == (200, Vec::new())).then_some(()));
    farm.assert_verified();
}

#[test]
fn a_crowd_at_one_pools_port_is_not_seen_at_the_others() {
    let most = 8;
    let farm = Farm::start_with("a crowd at one port", |_, entry| entry["stratum"]["max_connections"] = json!(most));
    let mut honest = [0, 1].map(|index| farm.rig(index, "p2wpkh"));
    credit_share(&farm.nodes[1], &mut honest[1]);
    let (over, port) = (AtomicBool::new(false), farm.ports[1]);
    let accepted = thread::scope(|scope| {
        // Some come and say nothing, some come for ever anew, some send shares that are worth nothing.
        scope.spawn(|| {
            let mut silent: Vec<TcpStream> = Vec::new();
            while !over.load(Ordering::Relaxed) {
                silent.extend(TcpStream::connect(("127.0.0.1", port.number)));
                if silent.len() > 200 {
                    silent.drain(..100);
                }
            }
        });
        let cheat = farm.address(1, "p2pkh", 2);
        let over = &over;
        scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let Ok(mut rig) = Miner::connect(port) else { continue };
                let lines = format!(
                    "{}\n{}\n{}",
                    json!({"id": 1, "method": "mining.subscribe", "params": ["cheat"]}),
                    json!({"id": 2, "method": "mining.authorize", "params": [cheat, "x"]}),
                    format!(
                        "{}\n",
                        json!({"id": 3, "method": "mining.submit", "params": [cheat, "1", "00000000", "65000000", "1"]})
                    )
                    .repeat(200),
                );
                let _ = rig.send_raw(lines.as_bytes());
                let _ = rig.read_message(std::time::Duration::from_millis(20));
            }
        });
        let mut accepted = 0;
        for _ in 0..8 {
            let rig = &mut honest[0];
            rig.catch_up().expect("the honest rig stays connected");
            let found: Vec<Share> = (0..20).map(|_| rig.mine(Want::NotBlock)).collect();
            let sent: Vec<u64> = found.iter().map(|share| rig.send_share(share).expect("the pool reads")).collect();
            for id in sent {
                assert_eq!(rig.reply(id, PATIENCE).unwrap(), Ok(json!(true)));
                accepted += 1;
            }
            // New rigs find a place as well.
            drop(farm.rig(0, "p2pkh"));
        }
        // Who has worked keeps its place at the crowded port too.
        find_block(&farm.nodes[1], &mut honest[1]);
        over.store(true, Ordering::Relaxed);
        accepted
    });
    assert_eq!(farm.pool(0).share_count(&honest[0].username), accepted);
    let info = farm.daemon.ask("getinfo", json!([]));
    assert!(farm.pool(1).part_of(&info)["connections"].as_u64().unwrap() <= most, "{info}");
    assert_eq!(
        farm.pool(0).part_of(&info)["turned_away"],
        json!({"full": 0, "crowded": 0, "banned": 0, "unauthorized": 0})
    );
    assert_eq!(farm.sick(), (200, Vec::new()));
}

#[test]
fn a_disk_that_takes_nothing_is_told_by_both_and_over_for_both() {
    let farm = Farm::start("a full disk");
    let mut rigs = [0, 1].map(|index| farm.rig(index, "p2wpkh"));
    let limit = |bytes: &str| {
        let id = farm.daemon.id().to_string();
        let set = Command::new("prlimit").args(["--pid", &id, &format!("--fsize={bytes}:")]).status();
        assert!(set.expect("prlimit is there").success());
    };
    for (node, rig) in farm.nodes.iter().zip(&mut rigs) {
        credit_share(node, rig);
    }
    // From here on every write to a file fails, as on a disk that is full.
    limit("0");
    for (node, rig) in farm.nodes.iter().zip(&mut rigs) {
        wait_for_work_on_tip(node, rig);
        let share = rig.mine(Want::Share);
        let (code, reason) = rig.submit(&share).expect_err("nothing can be written");
        assert!(code == 20 && reason.starts_with("ledger: "), "{code} {reason}");
    }
    wait_for("both complain", 10, || (farm.sick() == (503, NAMES.map(str::to_owned).to_vec())).then_some(()));
    limit("unlimited");
    wait_for("both are well", 60, || (farm.sick() == (200, Vec::new())).then_some(()));
    for (index, (node, rig)) in farm.nodes.iter().zip(&mut rigs).enumerate() {
        let hash = find_block(node, rig);
        wait_for_status(&farm.pool(index), &hash, "accepted");
    }
    farm.assert_verified();
}

#[test]
fn a_restart_loses_no_work_of_either_and_their_ledgers_move_together() {
    let mut farm = Farm::start("a restart");
    let mut rigs = [0, 1].map(|index| farm.rig(index, "p2wpkh"));
    for (node, rig) in farm.nodes.iter().zip(&mut rigs) {
        credit_share(node, rig);
        wait_for_work_on_tip(node, rig);
    }
    // Found before the stop and sent after it.
    let found = rigs.each_mut().map(|rig| rig.mine(Want::Share));
    assert!(farm.daemon.stop().success());
    farm.daemon.restart();
    farm.daemon.wait_until_ready();
    for (index, share) in found.iter().enumerate() {
        let mut rig = Miner::resumed(farm.ports[index], &rigs[index]);
        assert_eq!(rig.extranonce1, rigs[index].extranonce1, "the session is carried on");
        let id = rig.send_share(share).expect("the pool reads");
        assert_eq!(rig.reply(id, PATIENCE).unwrap(), Ok(json!(true)));
        assert_eq!(farm.pool(index).share_count(&rig.username), 2);
    }
    farm.daemon.kill();
    farm.daemon.restart();
    farm.daemon.wait_until_ready();
    for (index, rig) in rigs.iter().enumerate() {
        assert_eq!(farm.pool(index).share_count(&rig.username), 2, "what was answered is on disk");
    }
    assert!(farm.daemon.stop().success());
    farm.assert_verified();

    let path = |name: &str| farm.daemon.data_dir.join(name);
    let text = |path: &Path| path.to_str().expect("the folder's name is text").to_owned();
    let (exported, moved, again) = (text(&path("export")), text(&path("moved")), text(&path("again")));
    succeeded(&farm.daemon.command(&["ledger", "export", &exported]));
    succeeded(&farm.daemon.command(&["ledger", "import", &exported, "--data-dir", &moved]));
    let verified = succeeded(&farm.daemon.command(&["ledger", "verify", "--data-dir", &moved]));
    assert!(NAMES.iter().all(|name| verified.contains(name)), "{verified}");
    succeeded(&farm.daemon.command(&["ledger", "export", &again, "--data-dir", &moved]));
    assert_eq!(std::fs::read(exported).unwrap(), std::fs::read(again).unwrap());
}
