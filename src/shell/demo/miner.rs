//! A rig for the demo: mines at the pool over real TCP with real scrypt on one thread, slowly enough to leave the
//! processor to others. Knows nothing of the pool but what stratum tells it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use super::node::is_pause;
use super::work::{Found, Work};
use crate::coin::difficulty::Difficulty;
use crate::shell::clock::Clock;
use crate::wire::line::LineBuffer;

/// A pool that is away is looked for again after this.
const RECONNECT: Duration = Duration::from_secs(1);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// A pool that answers nothing for this long is left.
const REPLY_MS: u64 = 60_000;
/// The thread hashes and listens in turns of this length, in milliseconds.
const TURN_MS: u64 = 50;
/// A turn that came late makes up for this much at most, in milliseconds.
const CATCH_UP_MS: u64 = 200;
/// Longest line that a pool may send, in bytes.
const LINE: usize = 256 * 1024;

const SUBSCRIBE: u64 = 1;
const AUTHORIZE: u64 = 2;
/// Ids from here on are of shares.
const FIRST_SHARE: u64 = 3;

/// A rig at work, until it is dropped.
pub struct Miner {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What a rig has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Whether it is connected and authorised.
    pub at_work: bool,
    /// Hashes made.
    pub hashes: u64,
    /// Shares that the pool took.
    pub accepted: u64,
    /// Shares that it did not.
    pub rejected: u64,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    at_work: AtomicBool,
    hashes: AtomicU64,
    accepted: AtomicU64,
    rejected: AtomicU64,
}

impl Miner {
    /// Starts a rig that makes at most `hashrate` hashes a second and names itself `agent`. The pool need not be
    /// there yet: it is looked for until it is.
    pub fn spawn(pool: SocketAddr, username: &str, hashrate: u32, agent: &str) -> io::Result<Miner> {
        let shared = Arc::new(Shared::default());
        let rig = Rig {
            pool,
            username: username.to_string(),
            agent: agent.to_string(),
            hashrate: u64::from(hashrate.max(1)),
            shared: shared.clone(),
            clock: Clock::start(),
        };
        let thread = thread::Builder::new().name("demo-rig".into()).spawn(move || rig.run())?;
        Ok(Miner { shared, thread: Some(thread) })
    }

    /// What it has done so far.
    pub fn tally(&self) -> Tally {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Tally {
            at_work: self.shared.at_work.load(Ordering::Relaxed),
            hashes: count(&self.shared.hashes),
            accepted: count(&self.shared.accepted),
            rejected: count(&self.shared.rejected),
        }
    }
}

impl Drop for Miner {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                log::error!("a rig of the demo ended with a panic");
            }
        }
    }
}

/// What lives in the thread.
struct Rig {
    pool: SocketAddr,
    username: String,
    agent: String,
    /// Hashes a second.
    hashrate: u64,
    shared: Arc<Shared>,
    clock: Clock,
}

impl Rig {
    fn run(&self) {
        while !self.is_stopping() {
            if let Err(ended) = self.connect() {
                log::debug!("rig {} lost the pool: {ended}", self.username);
            }
            self.shared.at_work.store(false, Ordering::Relaxed);
            if !self.is_stopping() {
                thread::park_timeout(RECONNECT);
            }
        }
    }

    fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::SeqCst)
    }

    /// One connection, from its start to its end.
    fn connect(&self) -> io::Result<()> {
        let stream = TcpStream::connect_timeout(&self.pool, CONNECT)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(CONNECT))?;
        let mut session = Session {
            rig: self,
            stream,
            lines: LineBuffer::new(LINE),
            difficulty: Difficulty::ONE,
            extranonce: None,
            work: None,
            extranonce2: 0,
            next_id: FIRST_SHARE,
            heard_ms: self.clock.now().mono_ms,
            unanswered: 0,
        };
        session.send(SUBSCRIBE, "mining.subscribe", json!([self.agent]))?;
        session.send(AUTHORIZE, "mining.authorize", json!([self.username, "x"]))?;
        session.mine()
    }
}

/// One connection to the pool.
struct Session<'a> {
    rig: &'a Rig,
    stream: TcpStream,
    lines: LineBuffer,
    /// Announced last; it counts from the next job on, as in cgminer.
    difficulty: Difficulty,
    /// The pool's part, and the length of the rig's own.
    extranonce: Option<(Vec<u8>, usize)>,
    work: Option<Work>,
    /// Each job gets a part of its own of the coinbase, so that two jobs that differ in nothing else have no share
    /// in common.
    extranonce2: u64,
    next_id: u64,
    heard_ms: u64,
    /// Requests that the pool owes an answer.
    unanswered: u64,
}

impl Session<'_> {
    /// Hashes and listens in turns, as the hashrate allows.
    fn mine(&mut self) -> io::Result<()> {
        let mut due_ms = self.rig.clock.now().mono_ms;
        // Thousandths of hashes that the time so far allows.
        let mut budget = 0;
        while !self.rig.is_stopping() {
            let now_ms = self.rig.clock.now().mono_ms;
            let passed = now_ms.saturating_sub(due_ms) + TURN_MS;
            budget += passed.min(CATCH_UP_MS) * self.rig.hashrate;
            due_ms = now_ms + TURN_MS;
            let count = budget / 1_000;
            budget %= 1_000;
            if let Some(work) = &mut self.work {
                let found = work.search(count);
                self.rig.shared.hashes.fetch_add(count, Ordering::Relaxed);
                for share in found {
                    self.submit(&share)?;
                }
            }
            self.listen_until(due_ms)?;
        }
        Ok(())
    }

    fn submit(&mut self, share: &Found) -> io::Result<()> {
        let params = json!([
            self.rig.username,
            share.job_id,
            hex::encode(&share.extranonce2),
            format!("{:08x}", share.ntime),
            format!("{:08x}", share.nonce),
        ]);
        let id = self.next_id;
        self.next_id += 1;
        self.send(id, "mining.submit", params)
    }

    fn send(&mut self, id: u64, method: &str, params: Value) -> io::Result<()> {
        let line = json!({"id": id, "method": method, "params": params}).to_string() + "\n";
        self.stream.write_all(line.as_bytes())?;
        if self.unanswered == 0 {
            self.heard_ms = self.rig.clock.now().mono_ms;
        }
        self.unanswered += 1;
        Ok(())
    }

    /// Takes in what the pool says until then, at least what has come already.
    fn listen_until(&mut self, due_ms: u64) -> io::Result<()> {
        let mut piece = [0; 4_096];
        loop {
            let now_ms = self.rig.clock.now().mono_ms;
            let left = due_ms.saturating_sub(now_ms).max(1);
            self.stream.set_read_timeout(Some(Duration::from_millis(left)))?;
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(io::Error::other("the pool closed the connection")),
                Ok(count) => {
                    self.heard_ms = now_ms;
                    let mut buffer = self.lines.take();
                    let mut lines = buffer.feed(&piece[..count]);
                    while let Some(line) = lines.next() {
                        let line = line.map_err(io::Error::other)?;
                        let message: Value = serde_json::from_slice(line)?;
                        self.take(&message)?;
                    }
                    self.lines = buffer;
                }
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(error),
            }
            let now_ms = self.rig.clock.now().mono_ms;
            if self.unanswered > 0 && now_ms.saturating_sub(self.heard_ms) > REPLY_MS {
                return Err(io::Error::other("the pool does not answer"));
            }
            if now_ms >= due_ms || self.rig.is_stopping() {
                return Ok(());
            }
        }
    }

    fn take(&mut self, message: &Value) -> io::Result<()> {
        let params = &message["params"];
        let senseless = || io::Error::other(format!("senseless: {message}"));
        match message["method"].as_str() {
            Some("mining.notify") => {
                let (extranonce1, extranonce2_len) = self.extranonce.as_ref().ok_or_else(senseless)?;
                self.extranonce2 += 1;
                let extranonce2 = self.extranonce2.to_le_bytes();
                let (extranonce2, _) = extranonce2.split_at(*extranonce2_len);
                let work = Work::parse(params, extranonce1, extranonce2, self.difficulty);
                self.work = Some(work.ok_or_else(senseless)?);
            }
            Some("mining.set_difficulty") => {
                let difficulty = params[0].as_f64().and_then(Difficulty::from_f64);
                self.difficulty = difficulty.ok_or_else(senseless)?;
            }
            // Version masks and messages for a display: nothing that this rig makes use of.
            Some(_) => {}
            None => return self.take_reply(message),
        }
        Ok(())
    }

    fn take_reply(&mut self, reply: &Value) -> io::Result<()> {
        self.unanswered = self.unanswered.saturating_sub(1);
        let is_true = reply["result"] == true;
        match reply["id"].as_u64() {
            Some(SUBSCRIBE) => {
                let extranonce1 = reply["result"][1].as_str().and_then(|text| hex::decode(text).ok());
                let extranonce2_len = reply["result"][2].as_u64().and_then(|length| usize::try_from(length).ok());
                let extranonce = extranonce1.zip(extranonce2_len.filter(|length| (1..=8).contains(length)));
                self.extranonce = Some(extranonce.ok_or_else(|| io::Error::other(format!("no extranonce: {reply}")))?);
            }
            Some(AUTHORIZE) if is_true => self.rig.shared.at_work.store(true, Ordering::Relaxed),
            Some(AUTHORIZE) => return Err(io::Error::other(format!("not authorised: {}", reply["error"]))),
            Some(_) if is_true => {
                self.rig.shared.accepted.fetch_add(1, Ordering::Relaxed);
            }
            Some(_) => {
                log::debug!("rig {}: share refused: {}", self.rig.username, reply["error"]);
                self.rig.shared.rejected.fetch_add(1, Ordering::Relaxed);
            }
            None => return Err(io::Error::other(format!("an answer to nothing: {reply}"))),
        }
        Ok(())
    }
}
