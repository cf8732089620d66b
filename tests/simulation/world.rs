//! The world around one pool under virtual time. It drives the pool as the daemon does (inputs, outputs, commit,
//! outputs), and everything in it follows from one seed.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher};

use edgepool::base::rng::Rng;
use edgepool::base::slots::Key;
use edgepool::base::time::Now;
use edgepool::coin::difficulty::Difficulty;
use edgepool::coin::params::{Network, coin};
use edgepool::coin::script::Script;
use edgepool::pool::record::{BlockJudged, BlockStatus, Entry};
use edgepool::pool::spec::{
    ChainSpec, FeeFrom, GuardSpec, NodeSpec, PaymentsSpec, PoolSpec, PortSpec, StratumSpec, Terms, VardiffSpec,
};
use edgepool::pool::upstream::{LinkAction, LinkKind};
use edgepool::pool::{NodeId, Output, Pool};

use crate::books;
use crate::bytes::{self, Hash};
use crate::death::{Point, kinds};
use crate::disk::Disk;
use crate::miner::Miner;
use crate::node::{Fault, Node, Reply};
use crate::oracle::{Fate, Oracle, hold};
use crate::tree::Tree;
use crate::wallet::{Trouble, Wallet, script};

pub const SECOND: u64 = 1_000;
/// A day of 2026.
const TODAY: u64 = 1_795_000_000 * SECOND;
/// A coinbase matures and a block is final at this depth, so that a seed sees many whole lives.
pub const MATURITY: u32 = 24;
/// A payment is settled at this depth.
pub const CONFIRMATIONS: u32 = 18;
/// The chain never undoes more than this: less than what is final anywhere.
pub const DEEPEST: u32 = 14;
pub const ADDRESSES: u8 = 8;
const WINDOW_MS: u64 = 288 * 2 * SECOND;
const POOL: u8 = 0xee;
const WALLET: NodeId = NodeId { chain: 0, node: NodeId::WALLET };

pub struct World {
    pub pool: Pool,
    pub now: Now,
    pub rng: Rng,
    pub tree: Tree,
    pub nodes: Vec<Node>,
    pub wallet: Wallet,
    pub miners: BTreeMap<Key, Miner>,
    pub disk: Disk,
    pub oracle: Oracle,
    /// The process dies when it comes here.
    pub armed: Option<Point>,
    pub is_dead: bool,
    /// Shares that were sent and not answered: the rig and the number of the share.
    pub waiting: BTreeMap<String, (Key, usize)>,
    pub transcript: DefaultHasher,
    pub spec: PoolSpec,
    /// Each step is told on the standard error.
    pub is_verbose: bool,
    runs: u64,
}

fn spec(rng: &mut Rng) -> PoolSpec {
    let litecoin = coin("litecoin").unwrap();
    let regtest = litecoin.network("regtest").unwrap();
    let network: &'static Network = Box::leak(Box::new(Network { maturity: MATURITY, ..*regtest }));
    let node = |name: String| NodeSpec { url: format!("http://{name}"), authority: name, path: "/".into() };
    let terms = Terms {
        pool_script: Script::p2pkh(&[POOL; 20]),
        fee_ppm: 10_000,
        min_payout: [100_000, 60_000_000, 150_000_000][rng.below(3) as usize],
        max_outputs: [2, 3, 10][rng.below(3) as usize],
    };
    let payments = PaymentsSpec {
        wallet: node("wallet".into()),
        every_ms: [None, Some(200 * SECOND)][rng.below(2) as usize],
        threshold: 1_000_000,
        max_outputs: [1, 2, 10][rng.below(3) as usize],
        confirmations: CONFIRMATIONS,
        fee_from: [FeeFrom::Pool, FeeFrom::Receivers][rng.below(2) as usize],
        fee_rate: None,
        max_fee: 10_000,
    };
    let difficulty = |units| Difficulty::from_units(units).unwrap();
    PoolSpec {
        name: "ltc".into(),
        chains: vec![ChainSpec {
            name: "ltc".into(),
            coin: litecoin,
            network,
            nodes: (0..1 + rng.below(3)).map(|index| node(format!("node{index}"))).collect(),
            terms,
            coinbase_tag: b"/sim/".to_vec(),
            payments: Some(payments),
        }],
        stratum: StratumSpec {
            ports: vec![PortSpec::default()],
            max_connections: 100,
            idle_timeout_ms: 600_000,
            extranonce2_len: 8,
            guard: GuardSpec::default(),
        },
        vardiff: VardiffSpec {
            start: difficulty(2),
            min: difficulty(1),
            max: difficulty(4),
            target_share_ms: 5 * SECOND,
        },
        window_ms: WINDOW_MS,
        max_miners: 7,
        commit_ms: 250,
    }
}

/// The address of a number, as usernames have it.
pub fn address(spec: &PoolSpec, number: u8) -> String {
    spec.chains[0].address_text(&Script::p2pkh(&[number; 20]))
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let spec = spec(&mut rng);
        let now = Now { mono_ms: 0, wall_ms: TODAY };
        let (tree, disk) = (Tree::new(), Disk::default());
        let terms = &spec.chains[0].terms;
        let first = books::Terms {
            fee_ppm: terms.fee_ppm,
            min_payout: terms.min_payout,
            pool_script: terms.pool_script.as_bytes().to_vec(),
        };
        let oracle = Oracle::new(first, WINDOW_MS, terms.max_outputs);
        let addresses = (1..=ADDRESSES).map(|number| (address(&spec, number), script(number).to_vec())).collect();
        let mut wallet = Wallet::new(tree.tip, script(POOL).to_vec(), addresses, MATURITY, rng.next_u64());
        wallet.receivers_pay = spec.chains[0].payments.as_ref().unwrap().fee_from == FeeFrom::Receivers;
        (0..rng.below(4)).for_each(|_| wallet.give(60_000_000));
        World {
            pool: Pool::new(spec.clone(), disk.recover(), &disk, rng.next_u64(), now).unwrap(),
            now,
            nodes: (0..spec.chains[0].nodes.len()).map(|_| Node::new(&tree)).collect(),
            rng,
            tree,
            wallet,
            miners: BTreeMap::new(),
            disk,
            oracle,
            armed: None,
            is_dead: false,
            waiting: BTreeMap::new(),
            transcript: DefaultHasher::new(),
            spec,
            is_verbose: false,
            runs: 0,
        }
    }

    /// The process may die here.
    pub fn point(&mut self, point: Point) {
        if self.armed == Some(point) && !self.is_dead {
            self.armed = None;
            self.is_dead = true;
            self.oracle.mark(format!("dies {point:?}"));
        }
    }

    /// The process dies, and starts again `pause_ms` later with what is on disk.
    pub fn restart(&mut self, pause_ms: u64) {
        self.settle();
        for (_, share) in std::mem::take(&mut self.waiting).into_values() {
            self.oracle.shares[share].fate = Fate::Unseen;
        }
        self.miners.clear();
        self.is_dead = false;
        self.runs += 1;
        self.now = Now { mono_ms: 0, wall_ms: self.now.wall_ms + pause_ms };
        for node in &mut self.nodes {
            node.close(LinkKind::LongPoll);
            node.close(LinkKind::Calls);
        }
        self.wallet.is_open = false;
        let seed = self.rng.next_u64();
        let pool = Pool::new(self.spec.clone(), self.disk.recover(), &self.disk, seed, self.now);
        self.pool = pool.unwrap_or_else(|error| panic!("property violated: what was written is read: {error}"));
        // Nothing on disk is lost: the ledger is what the journal says.
        self.oracle.audit(&self.pool, &self.disk, self.now.wall_ms);
    }

    /// One turn of the loop at the present time.
    pub fn turn(&mut self) {
        if self.is_dead {
            return;
        }
        if self.pool.poll_timeout() <= self.now.mono_ms {
            self.pool.handle_timeout(self.now);
        }
        self.deliver();
        if !self.is_dead && self.pool.batch_due(self.now) {
            self.commit();
            self.deliver();
        }
    }

    fn commit(&mut self) {
        let batch = self.pool.batch(self.now);
        let (kinds, batch) = (kinds(batch), batch.clone());
        format!("{batch:?}").hash(&mut self.transcript);
        kinds.iter().for_each(|kind| self.point(Point::Before(*kind)));
        if self.is_dead {
            return;
        }
        if let Err(reason) = self.disk.write(&batch) {
            self.oracle.mark("failed commit");
            return self.pool.handle_commit_failed(&reason, self.now);
        }
        self.oracle.see_commit(&batch, &self.wallet.deepest);
        for (_, entry) in &batch.journal {
            if let Entry::BlockJudged(judged) = entry {
                self.check_judgement(judged);
            }
        }
        kinds.iter().for_each(|kind| self.point(Point::After(*kind)));
        if !self.is_dead {
            self.pool.handle_committed(self.now);
        }
    }

    /// A block is judged by what nodes said of it.
    fn check_judgement(&self, judged: &BlockJudged) {
        let (books, hash) = (&self.oracle.books, judged.hash);
        let height = books.blocks[books.find(&hash).expect("it was found")].found.height;
        let sibling = |block: &books::Block| block.found.height == height && self.is_told(&block.found.hash);
        match judged.status {
            BlockStatus::Accepted | BlockStatus::Confirmed => {
                hold("a block is accepted by a node's own word", self.is_told(&hash), || format!("{judged:?}"));
            }
            BlockStatus::Orphaned(_) => {
                let said = self.nodes.iter().flat_map(|node| node.told_another(height, &hash));
                let times: Vec<u64> = said.collect();
                let apart = times.iter().max().zip(times.iter().min()).map_or(0, |(last, first)| last - first);
                let is_away = apart >= 10 * SECOND;
                let is_beaten = books.blocks.iter().any(|block| block.found.hash != hash && sibling(block));
                hold("a block is orphaned by more than one answer", is_away || is_beaten, || format!("{judged:?}"));
            }
            BlockStatus::Submitted | BlockStatus::Rejected(_) => {}
        }
    }

    fn is_told(&self, hash: &Hash) -> bool {
        self.nodes.iter().any(|node| node.has_told(hash))
    }

    /// Time passes; everything that is due on the way is done.
    pub fn advance(&mut self, by_ms: u64) {
        let end = self.now.mono_ms + by_ms;
        let mut standing = 0;
        loop {
            self.turn();
            let next = self.pool.poll_timeout().max(self.now.mono_ms);
            if self.is_dead || next > end {
                break;
            }
            standing = if next == self.now.mono_ms { standing + 1 } else { 0 };
            assert!(standing < 8, "property violated: the pool does not ask to be called again and again at once");
            self.now = Now { mono_ms: next, wall_ms: self.now.wall_ms + next - self.now.mono_ms };
        }
        self.now = Now { mono_ms: end, wall_ms: self.now.wall_ms + end - self.now.mono_ms };
    }

    /// A node that may have another tip now answers the long poll that waits.
    pub fn wake(&mut self, index: usize) {
        if self.is_dead || self.nodes[index].fault != Fault::None {
            return;
        }
        if let Some(bytes) = self.nodes[index].wake(&self.tree, self.now.wall_ms) {
            self.pool.handle_link_bytes(id(index), LinkKind::LongPoll, &bytes, self.now);
        }
    }

    /// Nodes and wallet hear of what the network does, those that can.
    pub fn sync_node(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let before = node.view;
        if !node.is_isolated && node.behind_since.is_none() {
            node.sync(&mut self.tree);
        }
        if self.nodes[index].view != before {
            self.wake(index);
        }
    }

    /// From now on a node fails in this way; its connections end.
    pub fn break_node(&mut self, index: usize, fault: Fault) {
        self.nodes[index].fault = fault;
        for link in [LinkKind::LongPoll, LinkKind::Calls] {
            self.nodes[index].close(link);
            if !self.is_dead {
                self.pool.handle_link_closed(id(index), link, "reset", self.now);
            }
        }
    }

    pub fn break_wallet(&mut self, trouble: Trouble) {
        self.wallet.trouble = trouble;
        if std::mem::take(&mut self.wallet.is_open) && !self.is_dead {
            self.pool.handle_link_closed(WALLET, LinkKind::Calls, "reset", self.now);
        }
    }

    /// Bytes from a rig, and the turn that they cause.
    pub fn hear(&mut self, key: Key, line: &str) {
        if !self.is_dead {
            self.pool.handle_miner_bytes(key, line.as_bytes(), self.now);
            self.turn();
        }
    }

    /// Takes in the answers that rigs have seen.
    pub fn settle(&mut self) {
        for (id, (key, share)) in std::mem::take(&mut self.waiting) {
            let Some(miner) = self.miners.get_mut(&key) else {
                self.oracle.shares[share].fate = Fate::Unseen;
                continue;
            };
            let Some(answer) = miner.answers.remove(&id) else {
                if miner.is_closed {
                    self.oracle.shares[share].fate = Fate::Unseen;
                } else {
                    self.waiting.insert(id, (key, share));
                }
                continue;
            };
            let code = answer["error"][0].as_i64();
            let is_ledger = answer["error"][1].as_str().is_some_and(|word| word.starts_with("ledger"));
            self.oracle.shares[share].fate = match code {
                None => Fate::Acknowledged,
                Some(_) if is_ledger => Fate::Revoked,
                Some(_) => Fate::Refused,
            };
            self.oracle.mark(code.map_or("share accepted".into(), |code| format!("reject {code}")));
        }
        self.miners.retain(|_, miner| !miner.is_closed);
    }

    /// Own blocks that the network has and no journal: they left when the disk failed, before a crash.
    pub fn unjournaled(&self) -> BTreeSet<Hash> {
        let main = self.tree.branch(&self.tree.tip);
        let own = main.filter(|(_, block)| block.own.is_some()).map(|(hash, _)| hash);
        own.filter(|hash| self.oracle.books.find(hash).is_none()).collect()
    }

    fn deliver(&mut self) {
        while !self.is_dead
            && let Some(output) = self.pool.poll_output()
        {
            match output {
                Output::ToMiner { session, line } => {
                    line.hash(&mut self.transcript);
                    if let Some(miner) = self.miners.get_mut(&session) {
                        miner.receive(&line);
                    }
                }
                Output::CloseMiner { session, .. } => {
                    if let Some(miner) = self.miners.get_mut(&session) {
                        miner.is_closed = true;
                    }
                }
                Output::Link { node: WALLET, action } => self.act_on_wallet(action),
                Output::Link { node, action } => self.act(node.node as usize, action),
            }
        }
    }

    fn act(&mut self, index: usize, action: LinkAction) {
        let (node, now) = (&mut self.nodes[index], self.now);
        match action {
            LinkAction::ReadCredentials => self.pool.handle_credentials(id(index), Ok(Some("Basic dTpw".into())), now),
            LinkAction::Connect(link) if node.fault == Fault::Refused => {
                self.pool.handle_link_closed(id(index), link, "connection refused", now);
            }
            LinkAction::Connect(link) => {
                node.open.insert(link);
                self.pool.handle_link_connected(id(index), link, now);
            }
            LinkAction::Close(link) => node.close(link),
            // The connection ended in the meantime.
            LinkAction::Send(link, _) if !node.open.contains(&link) => {}
            LinkAction::Send(link, bytes) => {
                bytes.hash(&mut self.transcript);
                let before = node.view;
                let (method, reply) = node.receive(link, &bytes, &mut self.tree, now.wall_ms);
                if let Some(point) = Point::before_answer(&method) {
                    self.point(point);
                }
                if self.is_dead {
                    return;
                }
                if matches!(reply, Reply::Broken(_)) && method == "submitblock" {
                    self.oracle.mark("answer lost after submitting");
                }
                self.pass_on(id(index), link, reply);
                if let Some(point) = Point::after_answer(&method) {
                    self.point(point);
                }
                if self.nodes[index].view != before {
                    self.wake(index);
                }
            }
        }
    }

    fn act_on_wallet(&mut self, action: LinkAction) {
        let now = self.now;
        match action {
            LinkAction::ReadCredentials => self.pool.handle_credentials(WALLET, Ok(Some("Basic dTpw".into())), now),
            LinkAction::Connect(link) if self.wallet.trouble == Trouble::Refused => {
                self.pool.handle_link_closed(WALLET, link, "connection refused", now);
            }
            LinkAction::Connect(link) => {
                self.wallet.is_open = true;
                self.pool.handle_link_connected(WALLET, link, now);
            }
            LinkAction::Close(_) => self.wallet.is_open = false,
            LinkAction::Send(link, bytes) if self.wallet.is_open => {
                bytes.hash(&mut self.transcript);
                let sent = self.wallet.sent.len();
                let (method, reply) = self.wallet.receive(&bytes, &self.tree);
                for (id, bytes) in &self.wallet.sent[sent..] {
                    self.oracle.check_sent(id, bytes);
                }
                if let Some(point) = Point::before_answer(&method) {
                    self.point(point);
                }
                if self.is_dead {
                    return;
                }
                if matches!(reply, Reply::Broken(_)) && method == "sendrawtransaction" {
                    self.oracle.mark("answer lost after sending");
                }
                self.pass_on(WALLET, link, reply);
                if let Some(point) = Point::after_answer(&method) {
                    self.point(point);
                }
            }
            LinkAction::Send(..) => {}
        }
    }

    fn pass_on(&mut self, id: NodeId, link: LinkKind, reply: Reply) {
        match reply {
            Reply::Bytes(bytes) => self.pool.handle_link_bytes(id, link, &bytes, self.now),
            Reply::Nothing => {}
            Reply::Broken(bytes) => {
                match self.nodes.get_mut(id.node as usize) {
                    Some(node) => node.close(link),
                    None => self.wallet.is_open = false,
                }
                self.pool.handle_link_bytes(id, link, &bytes, self.now);
                self.pool.handle_link_closed(id, link, "reset", self.now);
            }
        }
    }

    /// What the transcript has come to.
    pub fn digest(&self) -> u64 {
        self.transcript.finish()
    }

    /// A block of somebody else's on `parent`, with some of the transactions that wait.
    pub fn mine_elsewhere(&mut self, parent: Hash) -> Hash {
        let hash: Hash = bytes::sha256d(&self.rng.next_u64().to_be_bytes());
        let minable = self.wallet.minable(&self.tree, &parent);
        let txs = minable.into_iter().filter(|_| self.rng.below(3) > 0).collect();
        self.tree.add(hash, parent, None, txs, true);
        hash
    }
}

fn id(node: usize) -> NodeId {
    NodeId { chain: 0, node: node as u8 }
}

/// Whatever happened, the ledger that is left behind is true.
#[cfg(feature = "shell")]
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let differences =
                edgepool::shell::ledger::verify::differences(&self.disk, self.disk.recover(), &self.pool.spec().chains);
            assert!(differences.is_empty(), "{}", differences.join("\n"));
        }
    }
}
