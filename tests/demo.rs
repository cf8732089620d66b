//! The demo's parts around the edgepool binary as it ships: their node, their rigs, and blocks between them.

#![cfg(feature = "shell")]

mod program;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use edgepool::coin::address;
use edgepool::coin::script::Script;
use edgepool::shell::demo::chain::{Chain, ChainSpec};
use edgepool::shell::demo::miner::Miner;
use edgepool::shell::demo::node::EmbeddedNode;
use serde_json::json;

const COOKIE: &str = "__cookie__:0123456789abcdef";

/// The pool's process, ended with its owner.
struct Pool(Child);

impl Pool {
    fn start(config: &Path, log: &Path) -> Pool {
        let log = fs::File::options().create(true).append(true).open(log).unwrap();
        let mut command = program::command();
        command.args(["run", "--config"]).arg(config);
        Pool(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(90);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn address_of(script: &Script) -> String {
    address_on(ChainSpec::litecoin(), script)
}

fn address_on(chain: ChainSpec, script: &Script) -> String {
    address::encode(script, chain.coin, chain.network).unwrap()
}

/// A configuration of a pool at the node; gives its path.
fn configure(folder: &Path, node: SocketAddr, stratum: SocketAddr, pool_script: &Script) -> PathBuf {
    fs::write(folder.join("cookie"), COOKIE).unwrap();
    let config = json!({
        "data_dir": folder,
        "rpc": {"listen": format!("127.0.0.1:{}", free_port())},
        "pools": [{
            "name": "demo",
            "coin": "litecoin",
            "network": "regtest",
            "nodes": [{"url": format!("http://{node}"), "cookie_file": folder.join("cookie")}],
            "stratum": {"listen": stratum.to_string()},
            "vardiff": {"start": 0.001, "min": 0.0001, "max": 1, "target_share_s": 1},
            "payout": {"address": address_of(pool_script)}
        }]
    });
    let path = folder.join("edgepool.json");
    fs::write(&path, config.to_string()).unwrap();
    path
}

#[test]
fn rigs_make_blocks_that_pay_them_and_come_back_when_the_pool_does() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("demo-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as u32;
    let spec = ChainSpec { block_interval_s: 2, start_hashes: 300, ..ChainSpec::litecoin() };
    let node = EmbeddedNode::start(Chain::new(spec, now_s), COOKIE).unwrap();
    let height = || node.chain.lock().unwrap().height();

    let stratum = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let pool_script = Script::witness(0, &[9; 20]).unwrap();
    let config = configure(&folder, node.addr(), stratum, &pool_script);
    let (pool_log, scripts) = (folder.join("log"), [Script::p2pkh(&[1; 20]), Script::witness(0, &[2; 32]).unwrap()]);
    let rigs: Vec<Miner> = scripts
        .iter()
        .map(|script| Miner::spawn(stratum, &format!("{}.rig", address_of(script)), 150, "demo-rig/1").unwrap())
        .collect();

    let pool = Pool::start(&config, &pool_log);
    wait_for("blocks", || height() >= 6);
    drop(pool);
    wait_for("the rigs notice", || rigs.iter().all(|rig| !rig.tally().at_work));
    let before: Vec<u64> = rigs.iter().map(|rig| rig.tally().accepted).collect();
    let _pool = Pool::start(&config, &pool_log);
    wait_for("the rigs work again", || rigs.iter().zip(&before).all(|(rig, before)| rig.tally().accepted > *before));
    let tip = height();
    wait_for("a block after the restart", || height() > tip);

    for rig in &rigs {
        let tally = rig.tally();
        // On a busy machine many come late, at a block every two seconds.
        assert!(tally.accepted > tally.rejected, "{tally:?}");
        assert!(tally.hashes > tally.accepted, "{tally:?}");
    }
    let chain = node.chain.lock().unwrap();
    let block = chain.block(chain.height()).unwrap();
    for script in scripts.iter().chain([&pool_script]) {
        let paid = block.outputs.iter().any(|output| output.script == *script && output.value > 0);
        assert!(paid, "{} is paid in block {}", address_of(script), block.height);
    }
    drop(chain);
    fs::remove_dir_all(&folder).unwrap();
}

/// The whole demo with its three chains, as people start it: blocks of each, some of them won by one nonce, and at the end
/// the books of each are those of its chain.
#[test]
fn three_chains_are_mined_by_the_same_hashes_and_the_books_of_each_balance() {
    let mut demo = program::command()
        .args(["demo", "--merge", "--seconds", "240"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("edgepool can be started");
    let mut lines = BufReader::new(demo.stdout.take().expect("it is piped")).lines().map(|line| line.unwrap());
    let mut wait_for = |mut missing: Vec<&str>| {
        while !missing.is_empty() {
            let line = lines.next().unwrap_or_else(|| panic!("never told: {missing:?}"));
            missing.retain(|start| !line.starts_with(start));
        }
    };
    wait_for(vec!["LTC block", "DOGE block", "PEP block", "  one nonce won "]);
    // Once the P2TR address is paid on Litecoin, the next block of Dogecoin owes it its part.
    wait_for(vec!["  rltc1p"]);
    wait_for(vec!["DOGE block"]);
    let interrupted = Command::new("kill").args(["-INT", &demo.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(demo.wait().unwrap().code(), Some(0));
    let telling = |text: &str| rest.iter().filter(|line| line.contains(text)).collect::<Vec<_>>();
    assert_eq!(telling("the books balance").len(), 3, "{rest:#?}");
    let summaries = telling("the chain has the same of");
    for (summary, ticker) in summaries.iter().zip(["LTC", "DOGE", "PEP"]) {
        assert!(summary.contains(ticker), "{summary}");
        let (_, agreed) = summary.split_once("the same of ").unwrap();
        let numbers: Vec<u64> = agreed.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        assert!(numbers[0] > 0 && numbers[0] == numbers[1], "the chain and the ledger agree: {summary}");
    }
    // The P2TR address has no counterpart on Dogecoin: it is shown there as it is, and is owed.
    let table = rest.iter().skip_while(|line| !line.starts_with("doge · ")).take_while(|line| !line.starts_with("pep"));
    let nameless: Vec<&str> = table.filter(|line| line.starts_with("rltc1p")).map(String::as_str).collect();
    let [row] = nameless[..] else { panic!("one row of the P2TR address: {rest:#?}") };
    let owed = row.strip_suffix("no address").and_then(|cells| cells.split_whitespace().last());
    assert!(owed.is_some_and(|owed| owed.parse::<f64>().unwrap() > 0.0), "{row}");
}
