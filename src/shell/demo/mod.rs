//! `edgepool demo`: the whole pool with nothing else installed. The pool is the one that ships, and so are its
//! node client, stratum port and ledger; only the coin nodes and the rigs are the demo's own.

mod block;
mod calls;
pub mod chain;
mod mempool;
pub mod miner;
pub mod node;
mod retarget;
mod rigs;
mod rules;
mod spec;
mod view;
pub mod work;

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::clock::Clock;
use super::config::{self, Config};
use super::daemon::Daemon;
use super::secrets::random_seed;
use chain::{Chain, ChainSpec};
use miner::Miner;
use node::EmbeddedNode;
use rigs::RIGS;
use view::View;

/// The ports of the demo, if they are free.
const PORTS: [u16; 2] = [8080, 3333];
const MIN_PAYOUT: &str = "1";

/// A chain of the demo, and how often its blocks come on average, in seconds.
type Paced = (fn() -> ChainSpec, u32);

/// Without merged mining.
const ALONE: &[Paced] = &[(ChainSpec::litecoin, 3)];
/// With it, each at a pace of its own: a child of which the pool makes the blocks, so that they pay the miners, and one
/// whose node makes them, so that they are owed.
const MERGED: &[Paced] = &[(ChainSpec::litecoin, 5), (ChainSpec::dogecoin, 3), (ChainSpec::pepecoin, 8)];

/// How the demo is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// For how long; `None`: until it is interrupted.
    pub seconds: Option<u64>,
    /// Where the ledger is kept; `None`: in a directory that is removed at the end.
    pub data_dir: Option<PathBuf>,
    /// Whether chains are merge-mined.
    pub merge: bool,
}

/// Runs the demo to its end and prints a summary. The error is for the terminal.
pub fn run(options: &Options) -> Result<(), String> {
    let scratch =
        Scratch::new(options.data_dir.as_deref()).map_err(|error| format!("no directory for the ledger: {error}"))?;
    let failed = |error: io::Error| format!("the demo can't start: {error}");
    let clock = Clock::start();
    let seed = random_seed().map_err(failed)?;
    let password = format!("{seed:016x}");
    let hashrate: u32 = RIGS.iter().map(|rig| rig.hashrate).sum();
    let start = |(spec, block_interval_s): &Paced| {
        let start_hashes = u64::from(hashrate * block_interval_s);
        let spec = ChainSpec { block_interval_s: *block_interval_s, start_hashes, seed, ..spec() };
        EmbeddedNode::start(Chain::new(spec, (clock.now().wall_ms / 1_000) as u32), &format!("demo:{password}"))
    };
    let chains = if options.merge { MERGED } else { ALONE };
    let nodes = chains.iter().map(start).collect::<io::Result<Vec<EmbeddedNode>>>().map_err(failed)?;
    let specs: Vec<ChainSpec> = chains.iter().map(|(spec, _)| spec()).collect();
    let addresses: Vec<SocketAddr> = nodes.iter().map(EmbeddedNode::addr).collect();
    let config = configuration(&scratch.path, &specs, &addresses, &password)?;

    let mut daemon = Daemon::start(&config, clock).map_err(|error| error.to_string())?;
    let (Some(stratum), Some(rpc)) = (daemon.stratum_address(), daemon.rpc_address()) else {
        return Err("the demo's ports are not open".to_string());
    };
    let rigs = RIGS.iter().map(|rig| rig.start(stratum, &specs)).collect::<io::Result<Vec<Miner>>>().map_err(failed)?;
    let deadline = options.seconds.map(|seconds| clock.now().mono_ms + seconds * 1_000);
    let mut view = View::new(rpc, stratum, nodes.iter().map(|node| node.chain.clone()).collect());
    daemon
        .run(|site| {
            view.refresh(site);
            site.stop |= deadline.is_some_and(|at| site.now.mono_ms >= at);
        })
        .map_err(|error| format!("the event loop failed: {error}"))?;
    drop(rigs);
    let now = clock.now();
    view.finish(&mut daemon.site(now));
    Ok(())
}

/// The demo's configuration, through the same reading and checking as any other.
fn configuration(data_dir: &Path, specs: &[ChainSpec], nodes: &[SocketAddr], password: &str) -> Result<Config, String> {
    let [rpc, stratum] = PORTS.map(free_port);
    let chain = |(spec, node): (&ChainSpec, &SocketAddr)| {
        json!({
            "coin": spec.coin.name,
            "network": spec.network.name,
            "nodes": [{ "url": format!("http://{node}"), "user": "demo", "password": password }],
            "payout": { "address": rigs::pool_address(spec), "min_payout": MIN_PAYOUT },
        })
    };
    let mut chains = specs.iter().zip(nodes).map(chain);
    let mut pool = chains.next().expect("there is a parent chain");
    pool["name"] = "demo".into();
    pool["stratum"] = json!({ "listen": stratum.to_string() });
    pool["vardiff"] = json!({ "start": 0.0005, "min": 0.0001, "target_share_s": 1 });
    pool["payout"]["window_hours"] = 1.into();
    pool["merge"] = chains.collect::<Vec<Value>>().into();
    let text = json!({ "data_dir": data_dir, "rpc": { "listen": rpc.to_string() }, "pools": [pool] });
    config::parse(&text.to_string(), "the demo").map_err(|errors| errors.to_string())
}

/// The usual port, or any other that is free.
fn free_port(usual: u16) -> SocketAddr {
    let address = SocketAddr::from(([127, 0, 0, 1], usual));
    let free = |address: SocketAddr| TcpListener::bind(address)?.local_addr();
    free(address).or_else(|_| free(SocketAddr::from(([127, 0, 0, 1], 0)))).unwrap_or(address)
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
