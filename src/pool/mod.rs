//! The pool: a pure state machine. Bytes and time in; bytes and ledger batches out. It owns sessions, jobs,
//! the contribution window and, for each chain, nodes and ledger. It never opens a socket, asks for the
//! time, draws a random number of its own, or touches a disk: the shell does, and so does a simulator.
//!
//! After each `handle_*` call, drain [`Pool::poll_output`]; when [`Pool::batch_due`], write
//! [`Pool::batch`] and say so; sleep until [`Pool::poll_timeout`].

mod announce;
pub mod blocks;
pub mod chain;
pub mod child;
pub mod clock;
pub mod coinbases;
pub mod commit;
mod extranonce;
pub mod firmware;
pub mod guard;
pub mod handover;
pub mod identity;
pub mod job;
pub mod judge;
pub mod ledger;
mod line;
pub mod miners;
mod mining;
pub mod naming;
pub mod node_state;
pub mod password;
pub mod payees;
pub mod paying;
pub mod payments;
pub mod record;
mod recover;
pub mod resume;
pub mod session;
mod shares;
pub mod spec;
pub mod split;
pub mod submission;
mod tell;
pub mod upstream;
pub mod username;
pub mod vardiff;
pub mod window;
mod work;
pub mod workers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::base::limits::UNAUTHORISED_MS;
use crate::base::slots::{Key, Slots};
use crate::base::time::{Now, SECOND};
use crate::coin::pow::Hasher;
use crate::wire::stratum::Line;

use chain::Chain;
use clock::PoolClock;
use commit::Commits;
use extranonce::Extranonces;
use firmware::CoinbaseClass;
use guard::Guard;
use job::{Job, Jobs};
use judge::Reject;
use ledger::LedgerError;
use miners::Miners;
use payments::Payments;
use record::Entry;
use resume::Sessions;
use session::Session;
use spec::PoolSpec;
use upstream::{LinkAction, LinkKind, Upstream};
use window::Window;
use workers::{Counts, Rates, Workers};

pub use line::farewell;
pub use recover::RecoverError;

/// Names a node of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId {
    /// Index of the chain in its pool.
    pub chain: u8,
    /// Index of the node in its chain, or [`NodeId::WALLET`].
    pub node: u8,
}

impl NodeId {
    /// In place of an index: the chain's connection to the wallet that it pays from. It has calls only.
    pub const WALLET: u8 = u8::MAX;
}

/// Something for the shell to do.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send to a miner. The same bytes may go to many.
    ToMiner {
        /// Which connection.
        session: Key,
        /// What.
        line: Line,
    },
    /// Close a miner's connection once what was sent has left.
    CloseMiner {
        /// Which connection.
        session: Key,
        /// For the log.
        reason: String,
    },
    /// Act on a connection to a node.
    Link {
        /// Which node.
        node: NodeId,
        /// What to do.
        action: LinkAction,
    },
}

/// See the module.
pub struct Pool {
    spec: PoolSpec,
    clock: PoolClock,
    sessions: Slots<Session>,
    guard: Guard,
    resumable: Sessions,
    extranonces: Extranonces,
    workers: Workers,
    miners: Miners,
    window: Window,
    chains: Vec<Chain>,
    jobs: Jobs,
    next_job: u64,
    /// Until when the work that merge-mined chains made is paid for, in monotonic milliseconds.
    child_work_ms: u64,
    /// Why the newest template could not be made into a job.
    job_fault: Option<String>,
    /// Why no block of a merge-mined chain could be made of its newest template, by chain.
    child_faults: BTreeMap<usize, String>,
    /// Why the ledger takes no shares although it can be written.
    ledger_full: Option<String>,
    /// How full the ledger is.
    ledger_used_percent: u64,
    /// The file that keeps payments from being built.
    payments_held: Option<String>,
    /// What the last check of a chain's ledger found against the law.
    audit: BTreeMap<usize, String>,
    /// Chains whose ledger changed since it was checked.
    audit_due: BTreeSet<usize>,
    commits: Commits,
    outputs: VecDeque<Output>,
    rates: Rates,
    counts: Counts,
    rejects: BTreeMap<&'static str, u64>,
    hasher: Hasher,
    total_work: u128,
    total_shares: u64,
    next_tick_ms: u64,
}

impl Pool {
    /// A node's connection is open.
    pub fn handle_link_connected(&mut self, node: NodeId, link: LinkKind, now: Now) {
        if node.node == NodeId::WALLET {
            return self.with_wallet(node, now, |payments| payments.handle_connected(now));
        }
        self.with_node(node, now, |upstream| upstream.handle_connected(link, now));
    }

    /// A node sent something.
    pub fn handle_link_bytes(&mut self, node: NodeId, link: LinkKind, bytes: &[u8], now: Now) {
        if node.node == NodeId::WALLET {
            return self.with_wallet(node, now, |payments| payments.handle_bytes(bytes, now));
        }
        self.with_node(node, now, |upstream| upstream.handle_bytes(link, bytes, now));
    }

    /// A node's connection is closed, or could not be opened.
    pub fn handle_link_closed(&mut self, node: NodeId, link: LinkKind, reason: &str, now: Now) {
        if node.node == NodeId::WALLET {
            return self.with_wallet(node, now, |payments| payments.handle_closed(reason, now));
        }
        self.with_node(node, now, |upstream| upstream.handle_closed(link, reason, now));
    }

    /// What a node's [`LinkAction::ReadCredentials`] asked for: the value of its Authorization header, or why
    /// there is none.
    pub fn handle_credentials(&mut self, node: NodeId, credentials: Result<Option<String>, String>, now: Now) {
        if node.node == NodeId::WALLET {
            return self.with_wallet(node, now, |payments| payments.handle_credentials(credentials, now));
        }
        self.with_node(node, now, |upstream| upstream.handle_credentials(credentials, now));
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        for chain in 0..self.chains.len() {
            for node in &mut self.chains[chain].nodes {
                if node.poll_timeout() <= now.mono_ms {
                    node.handle_timeout(now);
                }
            }
            self.drain_nodes(chain, now);
            if let Some(payments) = &mut self.chains[chain].payments
                && payments.poll_timeout() <= now.mono_ms
            {
                payments.handle_timeout(now);
                self.drain_payments(chain, now);
            }
        }
        if now.mono_ms >= self.next_tick_ms {
            self.next_tick_ms = now.mono_ms + SECOND;
            self.window.advance(self.clock.pool_ms(now));
            self.refresh_job(now);
            self.tend_sessions(now);
            self.forget_departed(now);
            self.guard.sweep(now);
            self.schedule_payments(now);
            self.run_audit();
        }
    }

    /// When [`Pool::handle_timeout`] or a batch is due, in monotonic milliseconds.
    pub fn poll_timeout(&self) -> u64 {
        let nodes = self.chains.iter().flat_map(|chain| &chain.nodes).map(|node| node.poll_timeout());
        let wallets = self.chains.iter().filter_map(|chain| chain.payments.as_ref()).map(Payments::poll_timeout);
        let links = nodes.chain(wallets).min().unwrap_or(self.next_tick_ms);
        links.min(self.next_tick_ms).min(self.commit_deadline())
    }

    /// The next thing for the shell to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// How much of the ledger's map is used. Near the end merge-mined chains, whose blocks may be many, are left alone;
    /// and then shares are refused, so that there is always room for a block.
    pub fn handle_headroom(&mut self, used_bytes: u64, map_bytes: u64) {
        let full = used_bytes.saturating_mul(100) >= map_bytes.saturating_mul(95);
        self.ledger_full = full.then(|| "ledger is nearly full: raise map_mib".to_string());
        self.ledger_used_percent = used_bytes.saturating_mul(100) / map_bytes.max(1);
    }

    /// Whether the room that is left in the ledger is the parent's.
    fn is_ledger_tight(&self) -> bool {
        self.ledger_used_percent >= 90
    }

    /// What the operator asked for.
    pub fn spec(&self) -> &PoolSpec {
        &self.spec
    }

    /// The chains, the parent first.
    pub fn chains(&self) -> &[Chain] {
        &self.chains
    }

    /// The contribution window.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// The registry of miners.
    pub fn miners(&self) -> &Miners {
        &self.miners
    }

    /// The rigs.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Open stratum connections.
    pub fn connections(&self) -> usize {
        self.sessions.len()
    }

    /// Of the rigs that are sent jobs, how many are sent the coinbase of each class.
    pub fn connections_by_class(&self) -> [usize; CoinbaseClass::COUNT] {
        let mut connections = [0; CoinbaseClass::COUNT];
        for (_, session) in self.sessions.iter().filter(|(_, session)| session.is_mining()) {
            connections[session.class.index()] += 1;
        }
        connections
    }

    /// The class that most rigs are of; of those with equally many the smallest.
    pub fn usual_class(&self) -> CoinbaseClass {
        let connections = self.connections_by_class();
        let usual = CoinbaseClass::all().rev().max_by_key(|class| connections[class.index()]);
        usual.filter(|class| connections[class.index()] > 0).unwrap_or(CoinbaseClass::DEFAULT)
    }

    /// The job that rigs work on.
    pub fn current_job(&self) -> Option<&Job> {
        self.jobs.current()
    }

    /// The pool's own time.
    pub fn clock(&self) -> &PoolClock {
        &self.clock
    }

    /// Hashrates of the whole pool.
    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// Submissions since start by outcome.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Refused submissions since start, by reason.
    pub fn rejects(&self) -> &BTreeMap<&'static str, u64> {
        &self.rejects
    }

    /// Work accepted since the ledger began, in difficulty units.
    pub fn total_work(&self) -> u128 {
        self.total_work
    }

    /// Monotonic milliseconds of the last commit of this run.
    pub fn committed_ms(&self) -> Option<u64> {
        self.commits.committed_ms
    }

    /// What keeps the pool from working as it should, in words; empty when all is well.
    pub fn troubles(&self) -> Vec<String> {
        let mut troubles = Vec::new();
        if let Some(fault) = &self.commits.fault {
            troubles.push(format!("the ledger cannot be written: {fault}"));
        }
        troubles.extend(self.ledger_full.clone());
        troubles.extend(self.audit.values().cloned());
        troubles.extend(self.job_fault.clone());
        troubles.extend(lacks_template(&self.chains[0]));
        troubles
    }

    /// The end is near: makes what waits due at once, so that everything accepted is acknowledged.
    pub fn handle_stop(&mut self) {
        self.commits.hurry();
    }

    /// The time as of the last whole second that the pool was told of, in monotonic milliseconds.
    fn ticked_ms(&self) -> u64 {
        self.next_tick_ms.saturating_sub(SECOND)
    }

    fn with_node(&mut self, id: NodeId, now: Now, act: impl FnOnce(&mut Upstream)) {
        let chain = id.chain as usize;
        if let Some(upstream) = self.chains.get_mut(chain).and_then(|chain| chain.nodes.get_mut(id.node as usize)) {
            act(upstream);
            self.drain_nodes(chain, now);
        }
    }

    fn with_wallet(&mut self, id: NodeId, now: Now, act: impl FnOnce(&mut Payments)) {
        let chain = id.chain as usize;
        if let Some(payments) = self.chains.get_mut(chain).and_then(|chain| chain.payments.as_mut()) {
            act(payments);
            self.drain_payments(chain, now);
        }
    }

    /// Applies an event to its chain's ledger and puts it in line for the journal.
    fn record(&mut self, chain: usize, entry: Entry) -> Result<(), LedgerError> {
        self.chains[chain].ledger.apply(self.commits.next_entry(), &entry)?;
        self.commits.record(entry);
        self.audit_due.insert(chain);
        Ok(())
    }

    /// Redoes the ledgers' sums after money moved; outside of the turn that found a block.
    fn run_audit(&mut self) {
        for chain in std::mem::take(&mut self.audit_due) {
            match self.chains[chain].ledger.check() {
                Ok(()) => _ = self.audit.remove(&chain),
                Err(error) => {
                    log::error!("{}: {error}", self.spec.name);
                    self.audit.insert(chain, error.to_string());
                }
            }
        }
    }

    fn tend_sessions(&mut self, now: Now) {
        let idle_ms = self.spec.stratum.idle_timeout_ms;
        // Without a job or room in the ledger no share is credited, and silence tells nothing of a rig.
        let takes_shares = self.jobs.current().is_some() && self.ledger_full.is_none();
        let mut late = Vec::new();
        let mut changed = Vec::new();
        for (key, session) in self.sessions.iter_mut() {
            if now.mono_ms.saturating_sub(session.heard_ms) > idle_ms {
                late.push((key, "sent nothing for too long"));
            } else if session.authorised.is_empty()
                && now.mono_ms.saturating_sub(session.connected_ms) > UNAUTHORISED_MS
            {
                late.push((key, "did not authorize in time"));
            } else if !takes_shares {
                session.vardiff.wait(now.mono_ms);
            } else if session.is_mining() && session.vardiff.handle_timeout(&self.spec.vardiff, now.mono_ms).is_some() {
                changed.push(key);
            }
        }
        for (key, reason) in late {
            self.close(key, reason);
        }
        for key in changed {
            self.announce_difficulty(key, now);
        }
    }
}

/// Said of a chain that no work can be made for, with what is wrong with each of its nodes.
fn lacks_template(chain: &Chain) -> Option<String> {
    if chain.nodes.iter().any(|node| node.ready_template().is_some()) {
        return None;
    }
    let states: Vec<String> = chain.nodes.iter().map(Upstream::state_text).collect();
    Some(format!("no node of {} gives a fresh template ({})", chain.spec.name, states.join("; ")))
}
