//! The world around one pool under virtual time. It drives the pool as the daemon does (inputs, outputs, commit,
//! outputs), and everything in it follows from one seed.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher};

use edgepool::base::rng::Rng;
use edgepool::base::slots::Key;
use edgepool::base::time::Now;
use edgepool::pool::record::{BlockJudged, BlockStatus, Entry};
use edgepool::pool::spec::{FeeFrom, PoolSpec, Terms};
use edgepool::pool::upstream::{LinkAction, LinkKind};
use edgepool::pool::{NodeId, Output, Pool};

use crate::books;
use crate::bytes::{self, Hash};
use crate::chain::Chain;
use crate::death::{Point, kinds};
use crate::disk::Disk;
use crate::miner::Miner;
use crate::node::{Fault, Kind, Reply};
use crate::oracle::{Fate, Oracle, hold};
use crate::setup::{kind, spec};
use crate::side::Side;
use crate::wallet::{Trouble, script};

pub const SECOND: u64 = 1_000;
/// A day of 2026.
const TODAY: u64 = 1_795_000_000 * SECOND;
/// A coinbase matures and a block is final at this depth, so that a seed sees many whole lives.
pub const MATURITY: u32 = 24;
/// A payment is settled at this depth.
pub const CONFIRMATIONS: u32 = 18;
/// The chain never undoes more than this: less than what is final anywhere.
pub const DEEPEST: u32 = 14;
/// Usernames that rigs have.
pub const PEOPLE: u8 = 15;
pub const WINDOW_MS: u64 = 288 * 2 * SECOND;
pub const POOL: u8 = 0xee;

pub struct World {
    pub pool: Pool,
    pub now: Now,
    pub rng: Rng,
    /// The parent chain, and the one that is merge-mined with it.
    pub chains: [Chain; 2],
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

impl World {
    pub fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let spec = spec(&mut rng);
        let now = Now { mono_ms: 0, wall_ms: TODAY };
        let disk = Disk::default();
        let mut sides = Vec::new();
        let chains = [0, 1].map(|index| {
            let of = &spec.chains[index];
            let kind = kind(of, index, &mut rng);
            let Terms { fee_ppm, min_payout, pool_script, max_outputs } = of.terms.clone();
            let first = books::Terms { fee_ppm, min_payout, pool_script: pool_script.as_bytes().to_vec() };
            // A block that the node makes pays the pool alone.
            sides.push(Side::new(index, first, if matches!(kind, Kind::Own(..)) { 1 } else { max_outputs }));
            let mut chain = Chain::new(index, of, kind, script(POOL).to_vec(), MATURITY, rng.next_u64());
            chain.wallet.receivers_pay = of.payments.as_ref().unwrap().fee_from == FeeFrom::Receivers;
            (0..rng.below(4)).for_each(|_| chain.wallet.give(60_000_000));
            chain
        });
        let mut world = World {
            pool: Pool::new(spec.clone(), disk.recover(), &disk, rng.next_u64(), now).unwrap(),
            now,
            chains,
            rng,
            miners: BTreeMap::new(),
            disk,
            oracle: Oracle::new(sides, WINDOW_MS),
            armed: None,
            is_dead: false,
            waiting: BTreeMap::new(),
            transcript: DefaultHasher::new(),
            spec,
            is_verbose: false,
            runs: 0,
        };
        if world.rng.below(16) == 0 {
            world.forsake_child();
        }
        world
    }

    /// The nodes of the merge-mined chain are away, until the end.
    fn forsake_child(&mut self) {
        self.oracle.mark("the child never comes");
        self.chains[1].is_forsaken = true;
        self.chains[1].nodes.iter_mut().for_each(|node| node.fault = Fault::Refused);
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
            self.oracle.ground.shares[share].fate = Fate::Unseen;
        }
        self.miners.clear();
        self.is_dead = false;
        self.runs += 1;
        self.now = Now { mono_ms: 0, wall_ms: self.now.wall_ms + pause_ms };
        for chain in &mut self.chains {
            for node in &mut chain.nodes {
                node.close(LinkKind::LongPoll);
                node.close(LinkKind::Calls);
            }
            chain.wallet.is_open = false;
        }
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
        self.oracle.see_commit(&batch, &self.chains.each_ref().map(|chain| &chain.wallet.deepest));
        for (_, entry) in &batch.journal {
            match entry {
                Entry::BlockJudged(judged) => self.check_judgement(judged),
                Entry::BlockFound(found) if found.chain == 0 && self.is_child_idle() => {
                    self.oracle.mark("the parent's block while the child is down");
                }
                _ => {}
            }
        }
        if kinds.contains(&crate::death::Kind::BothFound) {
            self.oracle.mark("one nonce wins both");
        }
        kinds.iter().for_each(|kind| self.point(Point::After(*kind)));
        if !self.is_dead {
            self.pool.handle_committed(self.now);
        }
    }

    /// A block is judged by what nodes said of it.
    fn check_judgement(&self, judged: &BlockJudged) {
        let chain = usize::from(judged.chain);
        let (books, hash) = (&self.oracle.sides[chain].books, judged.hash);
        let is_told = |hash: &Hash| self.chains[chain].nodes.iter().any(|node| node.has_told(hash));
        let height = books.blocks[books.find(&hash).expect("it was found")].found.height;
        let sibling = |block: &books::Block| block.found.height == height && is_told(&block.found.hash);
        match judged.status {
            BlockStatus::Accepted | BlockStatus::Confirmed => {
                hold("a block is accepted by a node's own word", is_told(&hash), || format!("{judged:?}"));
            }
            BlockStatus::Orphaned(_) => {
                let said = self.chains[chain].nodes.iter().flat_map(|node| node.told_another(height, &hash));
                let times: Vec<u64> = said.collect();
                let apart = times.iter().max().zip(times.iter().min()).map_or(0, |(last, first)| last - first);
                let is_away = apart >= 10 * SECOND;
                let is_beaten = books.blocks.iter().any(|block| block.found.hash != hash && sibling(block));
                hold("a block is orphaned by more than one answer", is_away || is_beaten, || format!("{judged:?}"));
            }
            BlockStatus::Submitted | BlockStatus::Rejected(_) => {}
        }
    }

    fn is_child_idle(&self) -> bool {
        self.pool.chains()[1].nodes.iter().all(|node| node.ready_template().is_none())
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
    pub fn wake(&mut self, chain: usize, index: usize) {
        let Chain { tree, nodes, .. } = &mut self.chains[chain];
        if self.is_dead || nodes[index].fault != Fault::None {
            return;
        }
        if let Some(bytes) = nodes[index].wake(tree, self.now.wall_ms) {
            self.pool.handle_link_bytes(id(chain, index), LinkKind::LongPoll, &bytes, self.now);
        }
    }

    /// A node hears of what the network does, if it can.
    pub fn sync_node(&mut self, chain: usize, index: usize) {
        let Chain { tree, nodes, .. } = &mut self.chains[chain];
        let node = &mut nodes[index];
        let before = node.view;
        if !node.is_isolated && node.behind_since.is_none() {
            node.sync(tree);
        }
        if node.view != before {
            self.wake(chain, index);
        }
    }

    /// From now on a node fails in this way; its connections end.
    pub fn break_node(&mut self, chain: usize, index: usize, fault: Fault) {
        self.chains[chain].nodes[index].fault = fault;
        for link in [LinkKind::LongPoll, LinkKind::Calls] {
            self.chains[chain].nodes[index].close(link);
            if !self.is_dead {
                self.pool.handle_link_closed(id(chain, index), link, "reset", self.now);
            }
        }
    }

    pub fn break_wallet(&mut self, chain: usize, trouble: Trouble) {
        let wallet = &mut self.chains[chain].wallet;
        wallet.trouble = trouble;
        if std::mem::take(&mut wallet.is_open) && !self.is_dead {
            self.pool.handle_link_closed(wallet_id(chain), LinkKind::Calls, "reset", self.now);
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
                self.oracle.ground.shares[share].fate = Fate::Unseen;
                continue;
            };
            let Some(answer) = miner.answers.remove(&id) else {
                if miner.is_closed {
                    self.oracle.ground.shares[share].fate = Fate::Unseen;
                } else {
                    self.waiting.insert(id, (key, share));
                }
                continue;
            };
            let code = answer["error"][0].as_i64();
            let is_ledger = answer["error"][1].as_str().is_some_and(|word| word.starts_with("ledger"));
            self.oracle.ground.shares[share].fate = match code {
                None => Fate::Acknowledged,
                Some(_) if is_ledger => Fate::Revoked,
                Some(_) => Fate::Refused,
            };
            self.oracle.mark(code.map_or("share accepted".into(), |code| format!("reject {code}")));
        }
        self.miners.retain(|_, miner| !miner.is_closed);
    }

    /// Own blocks that a network has and no journal: they left when the disk failed, before a crash.
    pub fn unjournaled(&self, chain: usize) -> BTreeSet<Hash> {
        let tree = &self.chains[chain].tree;
        let own = tree.branch(&tree.tip).filter(|(_, block)| block.own.is_some()).map(|(hash, _)| hash);
        own.filter(|hash| self.oracle.sides[chain].books.find(hash).is_none()).collect()
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
                Output::Link { node: NodeId { chain, node: NodeId::WALLET }, action } => {
                    self.act_on_wallet(usize::from(chain), action);
                }
                Output::Link { node: NodeId { chain, node }, action } => {
                    self.act(usize::from(chain), usize::from(node), action);
                }
            }
        }
    }

    fn act(&mut self, chain: usize, index: usize, action: LinkAction) {
        let (id, now) = (id(chain, index), self.now);
        let Chain { tree, nodes, .. } = &mut self.chains[chain];
        let node = &mut nodes[index];
        match action {
            LinkAction::ReadCredentials => self.pool.handle_credentials(id, Ok(Some("Basic dTpw".into())), now),
            LinkAction::Connect(link) if node.fault == Fault::Refused => {
                self.pool.handle_link_closed(id, link, "connection refused", now);
            }
            LinkAction::Connect(link) => {
                node.open.insert(link);
                self.pool.handle_link_connected(id, link, now);
            }
            LinkAction::Close(link) => node.close(link),
            // The connection ended in the meantime.
            LinkAction::Send(link, _) if !node.open.contains(&link) => {}
            LinkAction::Send(link, bytes) => {
                bytes.hash(&mut self.transcript);
                let before = node.view;
                let (method, reply) = node.receive(link, &bytes, tree, now.wall_ms);
                if let Some(point) = Point::before_answer(&method) {
                    self.point(point);
                }
                if self.is_dead {
                    return;
                }
                if matches!(reply, Reply::Broken(_)) && method.starts_with("submit") {
                    self.oracle.mark("answer lost after submitting");
                }
                self.pass_on(id, link, reply);
                if let Some(point) = Point::after_answer(&method) {
                    self.point(point);
                }
                if self.chains[chain].nodes[index].view != before {
                    self.wake(chain, index);
                }
            }
        }
    }

    fn act_on_wallet(&mut self, chain: usize, action: LinkAction) {
        let (id, now) = (wallet_id(chain), self.now);
        let Chain { tree, wallet, .. } = &mut self.chains[chain];
        match action {
            LinkAction::ReadCredentials => self.pool.handle_credentials(id, Ok(Some("Basic dTpw".into())), now),
            LinkAction::Connect(link) if wallet.trouble == Trouble::Refused => {
                self.pool.handle_link_closed(id, link, "connection refused", now);
            }
            LinkAction::Connect(link) => {
                wallet.is_open = true;
                self.pool.handle_link_connected(id, link, now);
            }
            LinkAction::Close(_) => wallet.is_open = false,
            LinkAction::Send(link, bytes) if wallet.is_open => {
                bytes.hash(&mut self.transcript);
                let sent = wallet.sent.len();
                let (method, reply) = wallet.receive(&bytes, tree);
                for (id, bytes) in &wallet.sent[sent..] {
                    self.oracle.sides[chain].check_sent(id, bytes);
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
                self.pass_on(id, link, reply);
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
                let Chain { nodes, wallet, .. } = &mut self.chains[usize::from(id.chain)];
                match nodes.get_mut(usize::from(id.node)) {
                    Some(node) => node.close(link),
                    None => wallet.is_open = false,
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
    pub fn mine_elsewhere(&mut self, chain: usize, parent: Hash) -> Hash {
        let hash: Hash = bytes::sha256d(&self.rng.next_u64().to_be_bytes());
        let Chain { tree, wallet, .. } = &mut self.chains[chain];
        let minable = wallet.minable(tree, &parent);
        let txs = minable.into_iter().filter(|_| self.rng.below(3) > 0).collect();
        tree.add(hash, parent, None, txs, true);
        hash
    }
}

fn id(chain: usize, node: usize) -> NodeId {
    NodeId { chain: chain as u8, node: node as u8 }
}

fn wallet_id(chain: usize) -> NodeId {
    NodeId { chain: chain as u8, node: NodeId::WALLET }
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
