//! A pool with a node, and rigs around it: what a rig says goes in as bytes, what it is told waits as lines.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;

use edgepool::base::slots::Key;
use edgepool::base::time::Now;
use edgepool::pool::record::{Entry, Journal, Recovered};
use edgepool::pool::upstream::{LinkAction, LinkKind};
use edgepool::pool::{NodeId, Output, Pool};
use edgepool::shell::config;
use serde_json::{Value, json};

use crate::node::Node;

/// Regtest addresses that a node validated.
const LITECOIN: &str = "rltc1qxvenxvenxvenxvenxvenxvenxvenxvenuxr9sr";
const BITCOIN: &str = "mmjv2METU5E68VeWKkKzgx9oVo4thkSw5x";

/// The other end of a connection, as far as it was read.
#[derive(Default)]
struct Wire {
    bytes: Vec<u8>,
    lines: VecDeque<String>,
    closed: Option<String>,
}

pub struct Table {
    pub pool: Pool,
    pub coin: &'static str,
    now: Now,
    node: Node,
    wires: BTreeMap<Key, Wire>,
}

struct NoJournal;

impl Journal for NoJournal {
    fn visit(&self, _from: u64, _each: &mut dyn FnMut(u64, Entry) -> ControlFlow<()>) -> Result<(), String> {
        Ok(())
    }
}

impl Table {
    /// A pool whose configuration says no more than it must, but for difficulties that a test can mine at: 2 or 64
    /// units to start with, of which 65,536 are difficulty 1.
    pub fn of(coin: &'static str) -> Table {
        let start = if coin == "bitcoin" { 2.0 } else { 64.0 };
        Table::with(coin, |pool| pool["vardiff"] = json!({"start": start / 65_536.0, "min": 1.0 / 65_536.0}))
    }

    /// The same with changes to the pool's configuration.
    pub fn with(coin: &'static str, change: impl FnOnce(&mut Value)) -> Table {
        let mut entry = json!({
            "coin": coin,
            "network": "regtest",
            "nodes": [{"url": "http://127.0.0.1:1", "user": "u", "password": "p"}],
            "payout": {"address": BITCOIN},
        });
        change(&mut entry);
        let text = json!({"ledger": {"commit_ms": 0}, "pools": [entry]}).to_string();
        let config = config::parse(&text, "test").expect("the configuration is right");
        let spec = config.pools.into_iter().next().expect("it has a pool").spec;
        let now = Now { mono_ms: 0, wall_ms: 1_795_000_000_000 };
        let recovered = Recovered { clock: None, miners: Vec::new(), cells: Vec::new(), blocks: Vec::new() };
        let pool = Pool::new(spec, recovered, &NoJournal, 1, now).unwrap();
        let mut table = Table { pool, coin, now, node: Node::of(coin), wires: BTreeMap::new() };
        table.wait(1_000);
        assert!(table.pool.current_job().is_some(), "the pool has work");
        table
    }

    /// A miner's address on this chain.
    pub fn address(&self) -> &'static str {
        if self.coin == "bitcoin" { BITCOIN } else { LITECOIN }
    }

    pub fn connect(&mut self) -> Key {
        let key = self.pool.handle_miner_connected("10.0.0.9:5000".parse().unwrap(), 0, self.now);
        self.wires.insert(key, Wire::default());
        self.turn();
        key
    }

    /// A rig sends these bytes.
    pub fn say(&mut self, rig: Key, bytes: impl AsRef<[u8]>) {
        self.pool.handle_miner_bytes(rig, bytes.as_ref(), self.now);
        self.turn();
    }

    /// The next line that a rig was sent and has not read.
    #[track_caller]
    pub fn line(&mut self, rig: Key) -> String {
        self.wires.get_mut(&rig).unwrap().lines.pop_front().expect("the pool says something")
    }

    /// The same, as JSON.
    #[track_caller]
    pub fn json(&mut self, rig: Key) -> Value {
        serde_json::from_str(&self.line(rig)).expect("each line is JSON")
    }

    /// The next line must be this one.
    #[track_caller]
    pub fn hears(&mut self, rig: Key, expected: &str) {
        assert_eq!(self.line(rig), expected);
    }

    #[track_caller]
    pub fn hears_nothing(&mut self, rig: Key) {
        assert_eq!(self.wires[&rig].lines.front(), None);
    }

    pub fn has_line(&self, rig: Key) -> bool {
        !self.wires[&rig].lines.is_empty()
    }

    pub fn closed(&self, rig: Key) -> Option<&str> {
        self.wires[&rig].closed.as_deref()
    }

    /// What the rig was sent and did not read is thrown away.
    pub fn skip(&mut self, rig: Key) {
        self.wires.get_mut(&rig).unwrap().lines.clear();
    }

    pub fn wait(&mut self, ms: u64) {
        let end = self.now.mono_ms + ms;
        self.turn();
        while self.pool.poll_timeout() <= end {
            self.pass(self.pool.poll_timeout().max(self.now.mono_ms));
            self.turn();
        }
        self.pass(end);
    }

    /// Somebody else found a block.
    pub fn new_block(&mut self, hash: &str) {
        let (link, bytes) = self.node.extend(hash).expect("the pool waits for blocks");
        self.pool.handle_link_bytes(NODE, link, &bytes, self.now);
        self.turn();
    }

    fn pass(&mut self, mono_ms: u64) {
        self.now = Now { mono_ms, wall_ms: self.now.wall_ms + mono_ms - self.now.mono_ms };
    }

    fn turn(&mut self) {
        if self.pool.poll_timeout() <= self.now.mono_ms {
            self.pool.handle_timeout(self.now);
        }
        self.deliver();
        if self.pool.batch_due(self.now) {
            self.pool.batch(self.now);
            self.pool.handle_committed(self.now);
            self.deliver();
        }
    }

    fn deliver(&mut self) {
        while let Some(output) = self.pool.poll_output() {
            match output {
                Output::ToMiner { session, line } => self.wires.get_mut(&session).unwrap().receive(&line),
                Output::CloseMiner { session, reason } => {
                    self.wires.get_mut(&session).unwrap().closed = Some(reason);
                }
                Output::Link { action, .. } => self.act(action),
            }
        }
    }

    fn act(&mut self, action: LinkAction) {
        match action {
            LinkAction::ReadCredentials => self.pool.handle_credentials(NODE, Ok(None), self.now),
            LinkAction::Connect(link) => self.pool.handle_link_connected(NODE, link, self.now),
            LinkAction::Send(link, bytes) => self.answer(link, &bytes),
            LinkAction::Close(_) => {}
        }
    }

    fn answer(&mut self, link: LinkKind, request: &[u8]) {
        if let Some(bytes) = self.node.receive(link, request) {
            self.pool.handle_link_bytes(NODE, link, &bytes, self.now);
        }
    }
}

const NODE: NodeId = NodeId { chain: 0, node: 0 };

impl Wire {
    /// Whole lines only, each ended by a bare newline: clients cut there and nowhere else.
    fn receive(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        while let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.bytes.drain(..=end).collect();
            let line = String::from_utf8(line).expect("lines are text");
            assert!(!line.contains('\r'));
            self.lines.push_back(line.trim_end_matches('\n').to_string());
        }
    }
}
