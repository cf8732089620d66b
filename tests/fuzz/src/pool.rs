//! A whole pool: a script of what rigs, programs and the node do, a line each, whose first byte says who.
//!
//! | first byte | the rest of the line |
//! |---|---|
//! | `0` to `3` | bytes of that rig, which connects when it first speaks |
//! | `x` | rigs that hang up, by their digits |
//! | `c` | body of a call to the status port with the admin token, `p` a path that is read there |
//! | `t` | seconds that pass |
//! | `n` | what the node says next on its connection for calls, `l` on that of the long poll |
//! | `b` | a new block of somebody else's |
//! | `d` | the disk fails, or works again |

use edgepool::base::slots::Key;
use edgepool::base::time::Now;
use edgepool::coin::difficulty::Difficulty;
use edgepool::coin::params::coin;
use edgepool::coin::script::Script;
use edgepool::face::{LedgerSize, Site, http};
use edgepool::pool::spec::{ChainSpec, GuardSpec, NodeSpec, PoolSpec, PortSpec, StratumSpec, Terms, VardiffSpec};
use edgepool::pool::upstream::{LinkAction, LinkKind};
use edgepool::pool::{NodeId, Output, Pool};
use edgepool::wire::http::HttpRequest;

use super::disk::Disk;
use super::node::Node;

const NODE: NodeId = NodeId { chain: 0, node: 0 };
/// A day of 2026.
const TODAY_MS: u64 = 1_795_000_000_000;
/// Seconds that pass in one step at most.
const LONGEST_WAIT_S: u64 = 300;
/// Seconds after which no more pass.
const LONGEST_PLAY_S: u64 = 900;

/// Whatever happens, rigs hear whole lines, the books add up, and what was committed starts again.
pub fn pool(bytes: &[u8]) {
    let mut play = Play::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n').take(200) {
        if let Some((who, what)) = line.split_first() {
            play.act(*who, what);
        }
    }
    play.disk.fault = None;
    play.wait(10);
    let (work, found) = (play.pool.total_work(), play.pool.chains()[0].ledger.blocks().len());
    let again = Pool::new(spec(), play.disk.recover(), &play.disk, 2, play.now).expect("what was written is read");
    assert_eq!((again.total_work(), again.chains()[0].ledger.blocks().len()), (work, found));
}

struct Play {
    pool: Pool,
    now: Now,
    node: Node,
    disk: Disk,
    rigs: [Option<Key>; 4],
}

impl Play {
    fn new() -> Play {
        let now = Now { mono_ms: 0, wall_ms: TODAY_MS };
        let disk = Disk::default();
        let pool = Pool::new(spec(), disk.recover(), &disk, 1, now).expect("a new ledger is whole");
        let mut play = Play { pool, now, node: Node::new(), disk, rigs: [None; 4] };
        play.wait(1);
        play
    }

    fn act(&mut self, who: u8, what: &[u8]) {
        let now = self.now;
        match who {
            b'0'..=b'3' => {
                let rig = &mut self.rigs[usize::from(who - b'0')];
                let address = "10.0.0.9:5000".parse().expect("an address");
                let key = *rig.get_or_insert_with(|| self.pool.handle_miner_connected(address, 0, now));
                self.pool.handle_miner_bytes(key, what, now);
            }
            b'x' => {
                for digit in what.iter().filter(|digit| (b'0'..b'4').contains(digit)) {
                    if let Some(key) = self.rigs[usize::from(digit - b'0')].take() {
                        self.pool.handle_miner_closed(key);
                    }
                }
            }
            b'c' => self.ask("POST", "/", what),
            b'p' => self.ask("GET", &String::from_utf8_lossy(what), b""),
            b't' if self.now.mono_ms < LONGEST_PLAY_S * 1_000 => self.wait(number(what).min(LONGEST_WAIT_S)),
            b'n' => self.pool.handle_link_bytes(NODE, LinkKind::Calls, what, now),
            b'l' => self.pool.handle_link_bytes(NODE, LinkKind::LongPoll, what, now),
            b'b' => {
                if let Some((link, answer)) = self.node.extend() {
                    self.pool.handle_link_bytes(NODE, link, &answer, now);
                }
            }
            b'd' => {
                self.disk.fault = if self.disk.fault.is_none() { Some("no space left".into()) } else { None };
            }
            _ => {}
        }
        self.turn();
    }

    fn ask(&mut self, method: &str, path: &str, body: &[u8]) {
        let request = HttpRequest {
            method: method.into(),
            path: path.trim_end().into(),
            authorization: None,
            content_type: None,
            host: None,
            origin: None,
            keep_alive: true,
            body: body.into(),
        };
        let mut site = Site {
            pools: std::slice::from_mut(&mut self.pool),
            journals: &self.disk,
            now: self.now,
            started_ms: 0,
            ledger: LedgerSize::default(),
            is_admin: true,
            stop: false,
            must_commit: false,
        };
        let answer = http::answer(&mut site, &request);
        assert!(matches!(answer.status, 200 | 204 | 400..=599), "{}", answer.status);
    }

    /// Time passes, with everything that is due on the way.
    fn wait(&mut self, seconds: u64) {
        let end = self.now.mono_ms + seconds * 1_000;
        // A timer that is always due would be a bug of its own; here it must not hang the fuzzer.
        for _ in 0..20 * (seconds + 5) {
            self.turn();
            let next = self.pool.poll_timeout().max(self.now.mono_ms);
            if next > end {
                break;
            }
            self.move_to(next);
        }
        self.move_to(end);
    }

    fn move_to(&mut self, mono_ms: u64) {
        self.now = Now { mono_ms, wall_ms: self.now.wall_ms + mono_ms - self.now.mono_ms };
    }

    fn turn(&mut self) {
        if self.pool.poll_timeout() <= self.now.mono_ms {
            self.pool.handle_timeout(self.now);
        }
        self.deliver();
        if !self.pool.batch_due(self.now) {
            return;
        }
        match self.disk.write(self.pool.batch(self.now)) {
            Ok(()) => self.pool.handle_committed(self.now),
            Err(reason) => self.pool.handle_commit_failed(&reason, self.now),
        }
        self.deliver();
        assert!(self.pool.window().check());
        self.pool.chains()[0].ledger.check().expect("the ledger adds up");
    }

    fn deliver(&mut self) {
        while let Some(output) = self.pool.poll_output() {
            match output {
                Output::ToMiner { line, .. } if line.starts_with(b"HTTP/1.1 ") => {}
                Output::ToMiner { line, .. } => {
                    let json = line.strip_suffix(b"\n").expect("a line has its end");
                    assert!(!json.contains(&b'\n'));
                    serde_json::from_slice::<serde_json::Value>(json).expect("rigs hear JSON");
                }
                Output::CloseMiner { session, .. } => {
                    self.pool.handle_miner_closed(session);
                    let gone = self.rigs.iter_mut().find(|rig| **rig == Some(session));
                    if let Some(rig) = gone {
                        *rig = None;
                    }
                }
                Output::Link { action, .. } => self.link(action),
            }
        }
    }

    fn link(&mut self, action: LinkAction) {
        match action {
            LinkAction::ReadCredentials => self.pool.handle_credentials(NODE, Ok(None), self.now),
            LinkAction::Connect(link) => self.pool.handle_link_connected(NODE, link, self.now),
            LinkAction::Close(link) => self.node.forget(link),
            LinkAction::Send(link, bytes) => {
                if let Some(answer) = self.node.receive(link, &bytes) {
                    self.pool.handle_link_bytes(NODE, link, &answer, self.now);
                }
            }
        }
    }
}

fn number(text: &[u8]) -> u64 {
    std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1)
}

fn spec() -> PoolSpec {
    let litecoin = coin("litecoin").expect("a coin");
    PoolSpec {
        name: "ltc".into(),
        chains: vec![ChainSpec {
            name: "ltc".into(),
            coin: litecoin,
            network: litecoin.network("regtest").expect("a network"),
            nodes: vec![NodeSpec { url: "http://node".into(), authority: "node".into(), path: "/".into() }],
            terms: Terms {
                pool_script: Script::p2pkh(&[0xee; 20]),
                fee_ppm: 10_000,
                min_payout: 100_000,
                max_outputs: 10,
            },
            coinbase_tag: b"/fuzz/".to_vec(),
            payments: None,
            mine: true,
        }],
        stratum: StratumSpec {
            ports: vec![PortSpec::default()],
            max_connections: 100,
            idle_timeout_ms: 600_000,
            extranonce2_len: 4,
            guard: GuardSpec::default(),
        },
        vardiff: VardiffSpec {
            start: Difficulty::MIN,
            min: Difficulty::MIN,
            max: Difficulty::from_units(1 << 40).expect("not zero"),
            target_share_ms: 15_000,
        },
        window_ms: 24 * 3_600_000,
        max_miners: 4,
        commit_ms: 0,
    }
}
