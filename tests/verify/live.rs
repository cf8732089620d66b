//! Beside a running pool: the file against what its RPC port says.

use std::net::{SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::path::Path;

use edgepool::base::time::Now;
use edgepool::coin::params::coin;
use edgepool::face::{Journals, LedgerSize, Site, methods};
use edgepool::pool::Pool;
use edgepool::pool::record::{Entry, Journal, Recovered};
use edgepool::pool::spec::{ChainSpec, GuardSpec, NodeSpec, PoolSpec, PortSpec, StratumSpec, VardiffSpec};
use edgepool::shell::ledger::verify::Options;
use edgepool::shell::ledger::{Task, Which};
use serde_json::json;

use crate::chain::{answer_one, configure};
use crate::keeper::{Ledgers, terms, true_ledger};
use crate::merged_keeper;
use crate::place::{Scratch, assert_found, unchecked, verify};

struct Entries(Vec<Entry>);

impl Journal for Entries {
    fn visit(&self, from: u64, each: &mut dyn FnMut(u64, Entry) -> ControlFlow<()>) -> Result<(), String> {
        let numbered = (1..).zip(self.0.iter().cloned());
        // Whoever breaks off has had enough: that is no error.
        let _ = numbered.skip_while(|(seq, _)| *seq < from).try_for_each(|(seq, entry)| each(seq, entry));
        Ok(())
    }
}

impl Journals for Entries {
    fn of(&self, _pool: usize) -> Box<dyn Journal + '_> {
        Box::new(Entries(self.0.clone()))
    }
}

fn node() -> NodeSpec {
    NodeSpec { url: "http://node".into(), authority: "node".into(), path: "/".into() }
}

fn spec() -> PoolSpec {
    let litecoin = coin("litecoin").unwrap();
    let easy = edgepool::coin::difficulty::Difficulty::MIN;
    PoolSpec {
        name: "ltc".into(),
        chains: vec![ChainSpec {
            name: "ltc".into(),
            coin: litecoin,
            network: litecoin.network("regtest").unwrap(),
            nodes: vec![node()],
            terms: terms(),
            coinbase_tag: Vec::new(),
            payments: None,
            mine: true,
        }],
        stratum: StratumSpec {
            ports: vec![PortSpec::default()],
            max_connections: 1,
            idle_timeout_ms: 600_000,
            extranonce2_len: 8,
            guard: GuardSpec::default(),
        },
        vardiff: VardiffSpec { start: easy, min: easy, max: easy, target_share_ms: 15_000 },
        window_ms: 86_400_000,
        max_miners: 8,
        commit_ms: 250,
    }
}

/// The RPC port of a pool with this ledger, until the process ends.
fn run(ledger: Ledgers) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let now = Now { mono_ms: 0, wall_ms: ledger.clock.wall_ms };
        let miners = ledger.miners.into_iter().collect();
        let recovered = Recovered { clock: Some(ledger.clock), miners, ..Recovered::default() };
        let journal = Entries(ledger.entries);
        let mut pool = Pool::new(spec(), recovered, &journal, 1, now).unwrap();
        for stream in listener.incoming() {
            answer_one(stream.unwrap(), |call| {
                let mut site = Site {
                    pools: std::slice::from_mut(&mut pool),
                    journals: &journal,
                    now,
                    started_ms: 0,
                    ledger: LedgerSize::default(),
                    is_admin: false,
                    stop: false,
                    must_commit: false,
                };
                match methods::call(&mut site, call["method"].as_str().unwrap(), call["params"].clone()) {
                    Ok(result) => json!({ "result": result, "error": null, "id": 1 }).to_string(),
                    Err(error) => {
                        let error = json!({ "code": error.code, "message": error.message });
                        json!({ "result": null, "error": error, "id": 1 }).to_string()
                    }
                }
            });
        }
    });
    address
}

fn compare(file: &Ledgers, live: Ledgers) -> Result<String, Vec<String>> {
    let scratch = Scratch::with(file);
    verify(&scratch.0, Path::new("none"), at(run(live)))
}

/// With the running pool at this address.
fn at(address: SocketAddr) -> Options {
    let authority = address.to_string();
    let url = NodeSpec { url: format!("http://{authority}"), authority, path: "/".into() };
    Options { url: Some(url), ..Options::default() }
}

#[test]
fn a_running_pool_with_the_same_ledger_says_the_same() {
    let ledger = true_ledger();
    let text = compare(&ledger, ledger.clone()).unwrap();
    assert!(text.contains("says the same at entry 47"), "{text}");
}

#[test]
fn a_running_pool_that_holds_other_sums_is_told_apart() {
    let (file, mut live) = (true_ledger(), true_ledger());
    let (index, found) = live.found(109, 0);
    found.outputs[0].amount -= 5;
    found.pool_amount += 5;
    let miner = found.outputs[0].miner;
    let height = found.height;
    let faults = compare(&file, live.clone()).unwrap_err();
    assert_found(&faults, "chain 0", "paid_total is");
    assert_found(&faults, &format!("miner {miner} ("), "balance is");

    let mut live = true_ledger();
    live.found(height, 0).1.hash = [0xab; 32];
    for entry in &mut live.entries[index + 1..index + 2] {
        let Entry::BlockJudged(judged) = entry else { panic!("its judgement follows") };
        judged.hash = [0xab; 32];
    }
    let faults = compare(&file, live).unwrap_err();
    assert_found(&faults, &format!("entry {} (block 109", index + 1), "hash is \"abab");
}

#[test]
fn a_pool_that_does_not_run_is_no_fault_and_unchecked_only_where_it_was_named() {
    let scratch = Scratch::with(&true_ledger());
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (checked, unchecked) = unchecked(&scratch.0, Path::new("none"), at(nobody));
    assert_found(&unchecked, "the running pool", "refused");
    assert!(checked.contains("pool ltc: 47 entries"), "{checked}");
    assert!(verify(&scratch.0, Path::new("none"), Options::default()).is_ok());
}

#[test]
fn a_pool_that_is_no_longer_configured_is_checked_by_itself() {
    let ledger = true_ledger();
    let scratch = Scratch::of_pools(&ledger, &["btc", "ltc"]);
    let address = run(ledger.clone());
    let text = verify(&scratch.0, Path::new("none"), at(address)).unwrap();
    // Without a configuration nobody says what is configured.
    let told = format!("pool btc does not run at http://{address}: not compared with the running pool");
    assert!(text.contains(&told) && !text.contains("configured"), "{text}");
    assert_eq!(text.matches("says the same at entry 47").count(), 1, "{text}");
    let which = Which { config: configure(&scratch, "127.0.0.1:9".parse().unwrap()), data_dir: None };
    let text = edgepool::shell::ledger::run(&which, &Task::Verify(at(address))).unwrap();
    assert!(text.contains("pool btc is not configured: not compared with the running pool"), "{text}");
    assert_eq!(text.matches("says the same at entry 47").count(), 1, "{text}");

    // Its books are checked all the same.
    let mut wrong = ledger.clone();
    wrong.found(109, 0).1.pool_amount += 1;
    let scratch = Scratch::of_pools(&wrong, &["btc"]);
    assert!(verify(&scratch.0, Path::new("none"), Options::default()).unwrap_err()[0].starts_with("pool btc, "));

    // Where none of the ledger's pools runs, another daemon was named than this ledger's.
    let scratch = Scratch::of_pools(&ledger, &["btc"]);
    let (_, unchecked) = unchecked(&scratch.0, Path::new("none"), at(address));
    assert_found(&unchecked, &format!("the pool at http://{address} is another"), "it has ltc");
}

#[test]
fn a_pool_that_was_configured_since_the_daemon_began_waits_for_a_restart() {
    let ledger = true_ledger();
    let scratch = Scratch::of_pools(&ledger, &["btc", "ltc"]);
    let config = configure(&scratch, "127.0.0.1:9".parse().unwrap());
    let renamed = std::fs::read_to_string(&config).unwrap().replace("\"name\":\"ltc\"", "\"name\":\"btc\"");
    let listen = run(ledger);
    let with_port = renamed.replacen('{', &format!("{{\"rpc\":{{\"listen\":\"{listen}\"}},"), 1);
    std::fs::write(&config, with_port).unwrap();
    let which = Which { config, data_dir: None };
    let text = edgepool::shell::ledger::run(&which, &Task::Verify(Options::default())).unwrap();
    assert!(text.contains("pool btc is not compared: the running pool at"), "{text}");
    assert!(text.contains("began without it; restart edgepool"), "{text}");
    assert!(text.contains("says the same at entry 47"), "{text}");
}

#[test]
fn a_chain_that_was_merged_since_the_daemon_began_waits_for_a_restart() {
    let ledger = true_ledger();
    let scratch = Scratch::with(&ledger);
    let address = run(ledger);
    let which = Which { config: merged_keeper::configure(&scratch, [None; 3]), data_dir: None };
    let text = edgepool::shell::ledger::run(&which, &Task::Verify(at(address))).unwrap();
    for chain in ["doge", "pep"] {
        let told = format!("{chain} is not compared: the running pool at http://{address} began without it; restart");
        assert!(text.contains(&told), "{text}");
    }
    assert!(!text.contains("is not configured") && text.contains("says the same at entry 47"), "{text}");
}
