//! `edgepool bench load`: what a crowd of rigs costs. The pool is this program in a process of its own; the node
//! and every rig are played here, over real sockets. What is measured holds for both of them on one machine: the
//! rigs take processor time too, so the pool's own is told beside each figure.

mod bare;
mod crowd;
mod figures;
mod node;
mod process;
mod rig;
mod template;

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};

use super::ledger::Scratch;
use crate::coin::address;
use crate::coin::params::{Algorithm, Coin, coin};
use crate::coin::script::Script;
use crate::shell::config::Config;
use crate::shell::descriptors;
use crate::shell::store::Store;
use crowd::Crowd;
use figures::Figures;
use node::Node;
use process::{PoolProcess, Taste};

/// Transactions of a template: a full block has two to four thousand.
const TRANSACTIONS: usize = 2_000;
/// Blocks that come while notifying is measured.
const BLOCKS: usize = 20;
/// Between two blocks, so that the one before has nothing left to do.
const PAUSE: Duration = Duration::from_millis(100);
/// Rigs that send shares: what matters is how many shares are on their way, not on how many sockets.
const SENDERS: usize = 500;
/// Addresses that the rigs work for.
const ADDRESSES: usize = 100;
/// Fewer than a job remembers.
const MOST_SHARES: u64 = 1_000_000;

/// Descriptors that are not of rigs: the pool keeps back about as many.
const SPARE: usize = 256;

/// What to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Rigs.
    pub connections: usize,
    /// How long shares are sent.
    pub seconds: u64,
    /// On whose disk; the system's directory for temporary files when absent.
    pub data_dir: Option<PathBuf>,
}

/// Why nothing was measured, for the terminal.
#[derive(Debug)]
pub struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

fn io_failure(doing: &str) -> impl Fn(io::Error) -> Failure {
    move |error| Failure(format!("{doing}: {error}"))
}

/// Makes every share of a pool 65,536 times easier, so that whatever a rig sends meets difficulty 1/65,536: the
/// benchmark has no hashrate, and the path of a share is the same.
pub fn ease(config: &mut Config) {
    for chain in config.pools.iter_mut().flat_map(|pool| &mut pool.spec.chains) {
        // One for each pool, for as long as the process runs.
        chain.coin = Box::leak(Box::new(Coin { algorithm: Algorithm::EasySha256d, ..*chain.coin }));
    }
}

/// Measures and prints.
pub fn run(options: &Options, out: &mut impl Write) -> Result<(), Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let registered = signal_hook::flag::register(signal, interrupted.clone());
        registered.map_err(io_failure("listening for signals"))?;
    }
    let most = descriptors::raise().saturating_sub(SPARE);
    if options.connections > most {
        return Err(Failure(format!("the limit of open files (ulimit -Hn) allows --connections {most} at most")));
    }
    let below = options.data_dir.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = Scratch::below(&below).map_err(|error| Failure(error.to_string()))?;
    let node = Node::start(TRANSACTIONS).map_err(io_failure("starting the node"))?;
    let mut figures = Figures::default();
    crowded(&scratch.0.join("hard"), &node, options, &interrupted, &mut figures)?;
    credited(&scratch.0.join("easy"), &node, options, &interrupted, &mut figures)?;
    let Options { connections, seconds, .. } = options;
    let head = format!("{connections} connections, templates of {TRANSACTIONS} transactions, shares for {seconds} s\n");
    write!(out, "{head}\n{figures}").map_err(io_failure("printing"))
}

/// Everything but shares.
fn crowded(
    directory: &Path,
    node: &Node,
    options: &Options,
    interrupted: &Arc<AtomicBool>,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let pool = PoolProcess::start(directory, node.address, Taste::Hard, options.connections)?;
    let idle = pool.memory();
    figures.idle(idle);

    let (cpu, begun) = (pool.cpu_s(), Instant::now());
    let mut crowd = Crowd::connect(pool.stratum, options.connections, interrupted)?;
    figures.connected(options.connections, begun.elapsed(), pool.cpu_s() - cpu);
    // What was taken only to take them in is given back, or is not.
    crowd.idle(Duration::from_secs(1))?;
    figures.clients(options.connections, idle, pool.memory());

    let cpu = pool.cpu_s();
    let (mut firsts, mut lasts) = (Vec::new(), Vec::new());
    for _ in 0..BLOCKS {
        crowd.idle(PAUSE)?;
        node.announce();
        let reached = crowd.notified()?;
        let sent = node.sent().ok_or_else(|| Failure("rigs have a job that the node sent no template for".into()))?;
        firsts.push(reached.first.saturating_duration_since(sent));
        lasts.push(reached.last.saturating_duration_since(sent));
    }
    figures.notified(&firsts, &lasts, (pool.cpu_s() - cpu) / BLOCKS as f64);

    let bytes = crowd.job_bytes();
    drop((crowd, pool));
    // It takes two descriptors for each socket.
    if 2 * options.connections <= descriptors::raise().saturating_sub(SPARE) {
        figures.bare(bytes, &bare::spreads(options.connections, bytes, BLOCKS)?);
    }
    Ok(())
}

/// Shares, and that each that was accepted is in the ledger of a pool that was killed after its last answer.
fn credited(
    directory: &Path,
    node: &Node,
    options: &Options,
    interrupted: &Arc<AtomicBool>,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let pool = PoolProcess::start(directory, node.address, Taste::Easy, options.connections)?;
    let mut crowd = Crowd::connect(pool.stratum, options.connections.min(SENDERS), interrupted)?;
    let (cpu, begun) = (pool.cpu_s(), Instant::now());
    let answers = crowd.submit(SENDERS, Duration::from_secs(options.seconds), MOST_SHARES)?;
    figures.accepted(answers, begun.elapsed(), pool.cpu_s() - cpu);
    let shown = pool.credited_shares()?;
    pool.kill();
    let failed = |error: crate::shell::store::StoreError| Failure(error.to_string());
    let ledger = Store::open_read_only(directory).map_err(failed)?;
    let written = ledger.load(0).map_err(failed)?.clock.map_or(0, |clock| clock.total_shares);
    if (shown, written) != (answers.accepted, answers.accepted) {
        let accepted = answers.accepted;
        return Err(Failure(format!("{accepted} shares were accepted, {shown} credited and {written} written")));
    }
    figures.written(written);
    Ok(())
}

/// An address that belongs to nobody: regtest coins are worth nothing.
fn address_of(number: usize) -> String {
    let mut hash = [0x5a; 20];
    hash[..8].copy_from_slice(&(number as u64).to_be_bytes());
    let script = Script::witness(0, &hash).expect("20 bytes are a witness program");
    let bitcoin = coin("bitcoin").expect("bitcoin is in the table of coins");
    let regtest = bitcoin.networks.iter().find(|network| network.name == "regtest").expect("every coin has a regtest");
    address::encode(&script, bitcoin, regtest).expect("a witness program has an address where there is segwit")
}
