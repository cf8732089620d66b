//! `edgepool demo`: the whole pool with nothing else installed. The pool is the one that ships, and so are its
//! node client, stratum port and ledger; only the coin node and the rigs are the demo's own.

mod block;
mod calls;
pub mod chain;
mod mempool;
pub mod miner;
pub mod node;
mod retarget;
mod rules;
mod view;
pub mod work;

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::coin::address;
use crate::coin::script::Script;

use super::clock::Clock;
use super::config::{self, Config};
use super::daemon::Daemon;
use super::secrets::random_seed;
use chain::{Chain, ChainSpec};
use miner::Miner;
use node::EmbeddedNode;
use view::View;

/// Blocks come this often on average, in seconds.
const BLOCK_INTERVAL_S: u32 = 3;
/// The ports of the demo, if they are free.
const PORTS: [u16; 2] = [8080, 3333];

/// The rigs: kind of address, worker name, hashes per second. Together they take about a third of one core. The last
/// earns less than the demo's minimum payout in a block, so that it is seen how its part is carried.
const RIGS: [(&str, &str, u32); 4] =
    [("p2wpkh", "attic", 600), ("p2pkh", "barn", 300), ("p2sh", "cellar", 200), ("p2tr", "shed", 60)];
const MIN_PAYOUT: &str = "1";
/// What the rigs call themselves.
const AGENT: &str = "edgepool-demo/1";

/// Runs the demo for `seconds`, or until it is interrupted, and prints a summary. The ledger is in `data_dir`, or
/// in a directory that is removed at the end. The error is for the terminal.
pub fn run(seconds: Option<u64>, data_dir: Option<&Path>) -> Result<(), String> {
    let scratch = Scratch::new(data_dir).map_err(|error| format!("no directory for the ledger: {error}"))?;
    let failed = |error: io::Error| format!("the demo can't start: {error}");
    let clock = Clock::start();
    let seed = random_seed().map_err(failed)?;
    let total: u32 = RIGS.iter().map(|(.., hashrate)| hashrate).sum();
    let spec =
        ChainSpec { block_interval_s: BLOCK_INTERVAL_S, start_hashes: u64::from(total * BLOCK_INTERVAL_S), seed };
    let chain = Chain::new(spec, (clock.now().wall_ms / 1_000) as u32);
    let password = format!("{seed:016x}");
    let node = EmbeddedNode::start(chain, &format!("demo:{password}")).map_err(failed)?;
    let config = configuration(&scratch.path, node.addr(), &password)?;

    let mut daemon = Daemon::start(&config, clock).map_err(|error| error.to_string())?;
    let (Some(stratum), Some(rpc)) = (daemon.stratum_address(), daemon.rpc_address()) else {
        return Err("the demo's ports are not open".to_string());
    };
    let start = |(kind, worker, hashrate): &(&str, &str, u32)| {
        Miner::spawn(stratum, &format!("{}.{worker}", address_of(kind)), *hashrate, AGENT)
    };
    let rigs = RIGS.iter().map(start).collect::<io::Result<Vec<Miner>>>().map_err(failed)?;
    let deadline = seconds.map(|seconds| clock.now().mono_ms + seconds * 1_000);
    let mut view = View::new(rpc, stratum);
    daemon
        .run(|site| {
            view.refresh(site);
            site.stop |= deadline.is_some_and(|at| site.now.mono_ms >= at);
        })
        .map_err(|error| format!("the event loop failed: {error}"))?;
    drop(rigs);
    let now = clock.now();
    view.finish(&mut daemon.site(now), &node.chain.lock().expect("nothing panics while it holds the chain"));
    Ok(())
}

/// The demo's configuration, through the same reading and checking as any other.
fn configuration(data_dir: &Path, node: SocketAddr, password: &str) -> Result<Config, String> {
    let [rpc, stratum] = PORTS.map(free_port);
    let text = json!({
        "data_dir": data_dir,
        "rpc": { "listen": rpc.to_string() },
        "pools": [{
            "name": "demo",
            "coin": "litecoin",
            "network": "regtest",
            "nodes": [{ "url": format!("http://{node}"), "user": "demo", "password": password }],
            "stratum": { "listen": stratum.to_string() },
            "vardiff": { "start": 0.0005, "min": 0.0001, "target_share_s": 1 },
            "payout": { "address": address_of("pool"), "min_payout": MIN_PAYOUT, "window_hours": 1 },
        }],
    });
    config::parse(&text.to_string(), "the demo").map_err(|errors| errors.to_string())
}

/// The usual port, or any other that is free.
fn free_port(usual: u16) -> SocketAddr {
    let address = SocketAddr::from(([127, 0, 0, 1], usual));
    let free = |address: SocketAddr| TcpListener::bind(address)?.local_addr();
    free(address).or_else(|_| free(SocketAddr::from(([127, 0, 0, 1], 0)))).unwrap_or(address)
}

/// An address that belongs to nobody: regtest coins are worth nothing.
fn address_of(kind: &str) -> String {
    let hash = |byte: u8| [byte; 20];
    let script = match kind {
        "p2pkh" => Script::p2pkh(&hash(0x11)),
        "p2sh" => Script::p2sh(&hash(0x22)),
        "p2wpkh" => Script::witness(0, &hash(0x33)).expect("20 bytes are a witness program"),
        "p2tr" => Script::witness(1, &[0x55; 32]).expect("32 bytes are a witness program"),
        _ => Script::p2pkh(&hash(0x44)),
    };
    address::encode(&script, Chain::coin(), Chain::network()).expect("each of these scripts has an address")
}

/// Where the demo's ledger is; removed at the end unless the operator named it.
struct Scratch {
    path: PathBuf,
    is_ours: bool,
}

impl Scratch {
    fn new(named: Option<&Path>) -> io::Result<Scratch> {
        let is_ours = named.is_none();
        let own = || std::env::temp_dir().join(format!("edgepool-demo-{}", std::process::id()));
        let path = named.map_or_else(own, Path::to_path_buf);
        fs::create_dir_all(&path)?;
        Ok(Scratch { path, is_ours })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.is_ours {
            // What can't be removed lies in the system's directory for such things.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
