//! A pool with its nodes, rigs and disk, under virtual time. Turns run in the daemon's order: inputs, outputs,
//! commit, outputs.

use std::collections::BTreeMap;

use edgepool::base::slots::Key;
use edgepool::base::time::Now;
use edgepool::coin::difficulty::Difficulty;
use edgepool::coin::params::coin;
use edgepool::coin::script::Script;
use edgepool::face::{LedgerSize, Site};
use edgepool::pool::handover::{HandoverError, decode, encode};
use edgepool::pool::spec::{ChainSpec, GuardSpec, NodeSpec, PoolSpec, PortSpec, StratumSpec, Terms, VardiffSpec};
use edgepool::pool::upstream::{LinkAction, LinkKind};
use edgepool::pool::{NodeId, Output, Pool};
use serde_json::{Value, json};

use crate::disk::Disk;
use crate::node::{FakeNode, Mode, Reply};
use crate::rig::{Rig, Share};
use crate::wallet::{Break, Wallet};

pub const SECOND: u64 = 1_000;
pub const HOUR: u64 = 3_600 * SECOND;
pub const YEAR: u64 = 365 * 24 * HOUR;
/// A day of 2026.
pub const TODAY: u64 = 1_795_000_000 * SECOND;

/// What left the pool, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A call to a node.
    Call(usize, String),
    Committed {
        blocks: usize,
        journal: usize,
    },
    CommitFailed,
    /// A call to the wallet.
    Wallet(String),
    /// A line to a rig.
    Line(Value),
}

pub struct Scene {
    pub pool: Pool,
    pub now: Now,
    /// Those of the parent chain, then those of each merge-mined one.
    pub nodes: Vec<FakeNode>,
    /// That of the first chain that pays from one.
    pub wallet: Wallet,
    pub rigs: BTreeMap<Key, Rig>,
    pub disk: Disk,
    pub effects: Vec<Effect>,
    /// Turns since the last [`Scene::advance`] began.
    pub turns: u32,
    /// Commits since the first start.
    pub commits: u32,
    /// The process dies at this commit.
    pub dies: Option<(u32, Death)>,
    /// The process is dead: nothing is done until it starts again.
    pub is_dead: bool,
    seed: u64,
}

/// Where in a commit a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// Nothing of it is on disk.
    Before,
    /// All of it is, and nobody was told.
    After,
}

pub fn spec(nodes: usize) -> PoolSpec {
    let litecoin = coin("litecoin").unwrap();
    let node = |index| NodeSpec { url: format!("http://node{index}"), authority: "node".into(), path: "/".into() };
    let terms =
        Terms { pool_script: Script::p2pkh(&[0xee; 20]), fee_ppm: 10_000, min_payout: 100_000, max_outputs: 10 };
    PoolSpec {
        name: "ltc".into(),
        chains: vec![ChainSpec {
            name: "ltc".into(),
            coin: litecoin,
            network: litecoin.network("regtest").unwrap(),
            nodes: (0..nodes).map(node).collect(),
            terms,
            coinbase_tag: b"/test/".to_vec(),
            payments: None,
            mine: true,
        }],
        stratum: StratumSpec {
            ports: vec![PortSpec::default()],
            max_connections: 100,
            idle_timeout_ms: 600_000,
            extranonce2_len: 8,
            guard: GuardSpec::default(),
        },
        // As easy as can be, so that searching costs little; tests of vardiff widen this.
        vardiff: VardiffSpec {
            start: Difficulty::MIN,
            min: Difficulty::MIN,
            max: Difficulty::MIN,
            target_share_ms: 15_000,
        },
        window_ms: 24 * HOUR,
        max_miners: 8,
        commit_ms: 250,
    }
}

/// A pool as a request to the RPC port sees it.
pub fn site<'a>(pool: &'a mut Pool, disk: &'a Disk, now: Now, is_admin: bool) -> Site<'a> {
    Site {
        pools: std::slice::from_mut(pool),
        journals: disk,
        now,
        started_ms: 0,
        ledger: LedgerSize::default(),
        is_admin,
        stop: false,
        must_commit: false,
    }
}

/// A regtest address of its own for each number.
pub fn address(number: u8) -> String {
    let litecoin = coin("litecoin").unwrap();
    edgepool::coin::address::encode(&script(number), litecoin, litecoin.network("regtest").unwrap()).unwrap()
}

pub fn script(number: u8) -> Script {
    Script::p2pkh(&[number; 20])
}

impl Scene {
    /// A pool whose nodes are well, after its first seconds.
    pub fn start(spec: PoolSpec) -> Scene {
        let mut scene = Scene::unheard(spec, TODAY);
        scene.advance(SECOND);
        scene
    }

    /// A pool that was just made.
    pub fn unheard(spec: PoolSpec, wall_ms: u64) -> Scene {
        let now = Now { mono_ms: 0, wall_ms };
        let nodes = (0..spec.chains.len()).flat_map(|chain| FakeNode::all_of(chain, &spec.chains[chain])).collect();
        let (rigs, disk) = (BTreeMap::new(), Disk::default());
        let pool = Pool::new(spec, disk.recover(), &disk, 1, now).unwrap();
        let (effects, turns, commits, dies, is_dead) = (Vec::new(), 0, 0, None, false);
        let wallet = Wallet::default();
        Scene { pool, now, nodes, wallet, rigs, disk, effects, turns, commits, dies, is_dead, seed: 1 }
    }

    /// The process dies, and starts again `pause_ms` later with what is on disk.
    pub fn restart(&mut self, spec: PoolSpec, pause_ms: u64) {
        self.begin(spec, pause_ms);
        self.advance(SECOND);
    }

    /// The same, with chains or nodes that were not there before.
    pub fn restart_with_nodes(&mut self, spec: PoolSpec, pause_ms: u64) {
        for (chain, of) in spec.chains.iter().enumerate() {
            let known = |node: &FakeNode| self.nodes.iter().any(|known| known.id == node.id);
            let new: Vec<FakeNode> = FakeNode::all_of(chain, of).filter(|node| !known(node)).collect();
            self.nodes.extend(new);
        }
        self.restart(spec, pause_ms);
    }

    fn begin(&mut self, spec: PoolSpec, pause_ms: u64) {
        self.seed += 1;
        self.is_dead = false;
        self.now = Now { mono_ms: 0, wall_ms: self.now.wall_ms + pause_ms };
        self.pool =
            Pool::new(spec, self.disk.recover(), &self.disk, self.seed, self.now).expect("what was written is read");
        self.rigs.clear();
        self.effects.clear();
        for node in &mut self.nodes {
            node.forget_connections();
        }
        self.wallet.is_open = false;
    }

    /// The process stops in order: what the next one is left, as it is written.
    pub fn stop(&mut self) -> Vec<u8> {
        self.pool.handle_stop();
        self.turn();
        encode(&[self.pool.handover(self.now).expect("everything is on disk")])
    }

    /// The process starts again, with what the one before left.
    pub fn start_with(&mut self, left: &[u8], spec: PoolSpec, pause_ms: u64) -> Result<(), HandoverError> {
        let handover = decode(left)?.pop().expect("there is one pool");
        self.begin(spec, pause_ms);
        let outcome = self.pool.take_over(handover, self.now);
        self.advance(SECOND);
        outcome
    }

    /// One turn of the loop at the present time.
    pub fn turn(&mut self) {
        if self.is_dead {
            return;
        }
        self.turns += 1;
        if self.pool.poll_timeout() <= self.now.mono_ms {
            self.pool.handle_timeout(self.now);
        }
        self.deliver();
        if self.is_dead {
            return;
        }
        if self.pool.batch_due(self.now) {
            self.commits += 1;
            let dies = |death| self.dies == Some((self.commits, death));
            self.is_dead = dies(Death::Before);
            if self.is_dead {
                return;
            }
            let batch = self.pool.batch(self.now);
            let committed = Effect::Committed { blocks: batch.blocks.len(), journal: batch.journal.len() };
            match self.disk.write(batch) {
                Ok(()) => {
                    self.is_dead = dies(Death::After);
                    if self.is_dead {
                        return;
                    }
                    self.effects.push(committed);
                    self.pool.handle_committed(self.now);
                }
                Err(reason) => {
                    self.effects.push(Effect::CommitFailed);
                    self.pool.handle_commit_failed(&reason, self.now);
                }
            }
            self.deliver();
            // Nothing that is counted changes without a commit.
            assert!(self.pool.window().check());
            for chain in self.pool.chains() {
                chain.ledger.check().unwrap();
            }
        }
    }

    /// Time passes; everything that is due on the way is done.
    pub fn advance(&mut self, by_ms: u64) {
        let end = self.now.mono_ms + by_ms;
        self.turns = 0;
        let mut standing = 0;
        loop {
            self.turn();
            if self.is_dead {
                break;
            }
            let next = self.pool.poll_timeout().max(self.now.mono_ms);
            standing = if next == self.now.mono_ms { standing + 1 } else { 0 };
            assert!(standing < 4, "the pool asks to be called again at once, again and again");
            if next > end {
                break;
            }
            self.now = Now { mono_ms: next, wall_ms: self.now.wall_ms + next - self.now.mono_ms };
        }
        self.now = Now { mono_ms: end, wall_ms: self.now.wall_ms + end - self.now.mono_ms };
    }

    /// The place of a chain's first node among all.
    pub fn first_node(&self, chain: usize) -> usize {
        self.nodes.iter().position(|node| usize::from(node.id.chain) == chain).expect("each chain has a node")
    }

    /// A node's tip moves on to a block of somebody else's.
    pub fn new_tip(&mut self, node: usize, hash: &str) {
        self.nodes[node].extend(hash);
        self.wake(node);
    }

    /// A node's chain has another branch from `height` on.
    pub fn reorganise(&mut self, node: usize, height: u64, branch: &[String]) {
        self.nodes[node].reorganise(height, branch);
        self.wake(node);
    }

    fn wake(&mut self, node: usize) {
        if let Some(bytes) = self.nodes[node].wake() {
            self.pool.handle_link_bytes(self.nodes[node].id, LinkKind::LongPoll, &bytes, self.now);
        }
    }

    /// From now on the node fails in this way; its connections end.
    pub fn break_node(&mut self, node: usize, mode: Mode) {
        self.nodes[node].mode = mode;
        self.nodes[node].forget_connections();
        for link in [LinkKind::LongPoll, LinkKind::Calls] {
            self.pool.handle_link_closed(self.nodes[node].id, link, "reset", self.now);
        }
        self.turn();
    }

    pub fn state(&self, node: usize) -> &'static str {
        let NodeId { chain, node } = self.nodes[node].id;
        self.pool.chains()[usize::from(chain)].nodes[usize::from(node)].status(self.now).state.name()
    }

    pub fn connect(&mut self) -> Key {
        self.connect_by(0)
    }

    /// Connects by one of the pool's ports.
    pub fn connect_by(&mut self, port: usize) -> Key {
        let key = self.pool.handle_miner_connected("10.0.0.9:5000".parse().unwrap(), port, self.now);
        self.rigs.insert(key, self.new_rig());
        key
    }

    /// Connects from another place.
    pub fn connect_from(&mut self, host: &str) -> Key {
        let key = self.pool.handle_miner_connected(format!("{host}:5000").parse().unwrap(), 0, self.now);
        self.rigs.insert(key, self.new_rig());
        key
    }

    fn new_rig(&self) -> Rig {
        let children = (1..self.pool.chains().len()).map(|chain| self.nodes[self.first_node(chain)].bits());
        Rig::new(children.collect())
    }

    /// A rig at work for that address.
    pub fn rig(&mut self, number: u8) -> Key {
        let key = self.connect();
        self.ask(key, "subscribe", "mining.subscribe", json!(["test/1"]));
        self.authorize(key, &address(number), "x");
        key
    }

    pub fn authorize(&mut self, key: Key, username: &str, password: &str) {
        self.ask(key, "authorize", "mining.authorize", json!([username, password]));
        self.rigs.get_mut(&key).unwrap().username = username.to_string();
    }

    /// Sends a request and runs a turn.
    pub fn ask(&mut self, key: Key, id: &str, method: &str, params: Value) {
        let line = json!({"id": id, "method": method, "params": params}).to_string() + "\n";
        self.pool.handle_miner_bytes(key, line.as_bytes(), self.now);
        self.turn();
    }

    pub fn submit(&mut self, key: Key, id: &str, share: &Share) {
        let Share { job_id, extranonce2, ntime, nonce, version_bits, .. } = share;
        let username = self.rigs[&key].username.clone();
        let mut params =
            vec![username, job_id.clone(), extranonce2.clone(), format!("{ntime:08x}"), format!("{nonce:08x}")];
        params.extend(version_bits.map(|bits| format!("{bits:08x}")));
        let params = json!(params);
        self.ask(key, id, "mining.submit", params);
    }

    /// Mines and submits, waits for the next commit, and gives the reply.
    pub fn work(&mut self, key: Key, id: &str, want: crate::rig::Want) -> (Share, Value) {
        let share = self.rig_mut(key).mine(want);
        self.submit(key, id, &share);
        self.advance(300);
        (share, self.rigs[&key].reply(id).expect("every share is answered").clone())
    }

    pub fn rig_mut(&mut self, key: Key) -> &mut Rig {
        self.rigs.get_mut(&key).unwrap()
    }

    fn deliver(&mut self) {
        while let Some(output) = self.pool.poll_output() {
            match output {
                Output::ToMiner { session, line } => {
                    let Some(rig) = self.rigs.get_mut(&session) else { continue };
                    let before = rig.lines.len();
                    rig.receive(&line);
                    self.effects.extend(rig.lines[before..].iter().cloned().map(Effect::Line));
                }
                Output::CloseMiner { session, reason } => {
                    if let Some(rig) = self.rigs.get_mut(&session) {
                        rig.closed = Some(reason);
                    }
                }
                Output::Link { node: node @ NodeId { node: NodeId::WALLET, .. }, action } => {
                    self.act_on_wallet(node, action);
                }
                Output::Link { node, action } => {
                    let place = self.nodes.iter().position(|known| known.id == node).expect("the pool has no others");
                    self.act(place, action);
                }
            }
        }
    }

    fn act_on_wallet(&mut self, wallet: NodeId, action: LinkAction) {
        match action {
            LinkAction::ReadCredentials => {
                self.pool.handle_credentials(wallet, Ok(Some("Basic dTpw".into())), self.now);
            }
            LinkAction::Connect(link) if self.wallet.is_away => {
                self.wallet.is_open = false;
                self.pool.handle_link_closed(wallet, link, "connection refused", self.now);
            }
            LinkAction::Connect(link) => {
                self.wallet.is_open = true;
                self.pool.handle_link_connected(wallet, link, self.now);
            }
            LinkAction::Close(_) => self.wallet.is_open = false,
            LinkAction::Send(link, bytes) if self.wallet.is_open && !self.is_dead => {
                let broken = self.wallet.next_break();
                let is_heard = !matches!(broken, Some(Break::Unheard | Break::Node));
                let answer = if is_heard { self.wallet.receive(&bytes) } else { Vec::new() };
                self.effects.extend(self.wallet.calls.last().cloned().map(Effect::Wallet));
                match broken {
                    None => self.pool.handle_link_bytes(wallet, link, &answer, self.now),
                    Some(Break::Death) => self.is_dead = true,
                    Some(Break::Unheard | Break::Unanswered | Break::Node) => {
                        self.wallet.is_open = false;
                        self.pool.handle_link_closed(wallet, link, "reset", self.now);
                    }
                }
            }
            LinkAction::Send(..) => {}
        }
    }

    fn act(&mut self, node: usize, action: LinkAction) {
        let id = self.nodes[node].id;
        match action {
            LinkAction::ReadCredentials => {
                self.pool.handle_credentials(id, Ok(Some("Basic dTpw".into())), self.now);
            }
            LinkAction::Connect(link) if self.nodes[node].mode == Mode::Refused => {
                self.pool.handle_link_closed(id, link, "connection refused", self.now);
            }
            LinkAction::Connect(link) => {
                self.nodes[node].open.insert(link);
                self.pool.handle_link_connected(id, link, self.now);
            }
            LinkAction::Close(link) => self.nodes[node].close(link),
            // The connection ended in the meantime.
            LinkAction::Send(link, _) if !self.nodes[node].open.contains(&link) => {}
            LinkAction::Send(link, bytes) => {
                let (height, reply) = (self.nodes[node].height(), self.nodes[node].receive(link, &bytes));
                self.effects.push(Effect::Call(node, self.nodes[node].calls.last().unwrap().clone()));
                match reply {
                    Reply::Bytes(bytes) => self.pool.handle_link_bytes(id, link, &bytes, self.now),
                    Reply::Broken(bytes) => {
                        self.nodes[node].close(link);
                        self.pool.handle_link_bytes(id, link, &bytes, self.now);
                        self.pool.handle_link_closed(id, link, "reset", self.now);
                    }
                    Reply::Nothing => {}
                }
                if self.nodes[node].height() != height {
                    self.wake(node);
                }
            }
        }
    }
}

/// Whatever a test did, the ledger that it leaves behind is true.
#[cfg(feature = "shell")]
impl Drop for Scene {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let differences =
                edgepool::shell::ledger::verify::differences(&self.disk, self.disk.recover(), &self.pool.spec().chains);
            assert!(differences.is_empty(), "{}", differences.join("\n"));
        }
    }
}
