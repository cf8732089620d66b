//! A rig of the demo: real scrypt on one thread, over real stratum, at the pace that it is told, so that a board
//! has time left for the pool.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::base::Hash32;
use crate::coin::block::header;
use crate::coin::difficulty::{Difficulty, Target};
use crate::coin::merkle;
use crate::coin::params::Algorithm;
use crate::coin::pow::sha256d;

/// After a lost connection, the next is tried after this.
const RECONNECT: Duration = Duration::from_secs(1);
/// The pace is kept by resting after each piece of work; a second has this many, so that new work is noticed
/// soon.
const PIECES: u32 = 20;

/// A running rig; it stops when this is dropped.
pub struct Miner {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Miner {
    /// Starts a rig that does `hashrate` hashes per second, or as many as it can.
    pub fn start(pool: SocketAddr, username: String, hashrate: u32) -> Miner {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // Whatever ended the connection, a rig comes back.
                let _ = mine(pool, &username, hashrate, &stopped);
                thread::park_timeout(RECONNECT);
            }
        });
        Miner { stop, thread: Some(thread) }
    }
}

impl Miner {
    /// Tells the rig to stop, and does not wait for it.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Miner {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            // A rig that panicked has stopped as well.
            let _ = thread.join();
        }
    }
}

/// A connection with what the pool last said.
struct Connection {
    reader: BufReader<TcpStream>,
    /// Part of a line that has not ended yet.
    partial: String,
    extranonce1: Vec<u8>,
    extranonce2_len: usize,
    difficulty: Difficulty,
    job: Option<Job>,
    id: u64,
}

#[derive(Clone)]
struct Job {
    id: String,
    prev_hash: Hash32,
    first: Vec<u8>,
    second: Vec<u8>,
    branch: Vec<Hash32>,
    version: u32,
    bits: u32,
    ntime: u32,
    target: Target,
}

fn mine(pool: SocketAddr, username: &str, hashrate: u32, stop: &AtomicBool) -> io::Result<()> {
    let mut connection = Connection::open(pool, username)?;
    let mut extranonce2 = 0u64;
    let mut nonce = 0u32;
    let mut root = None;
    while !stop.load(Ordering::Relaxed) {
        if connection.listen()? {
            root = None;
        }
        let Some(job) = connection.job.clone() else { continue };
        let begun = Instant::now();
        let mut hashes = 0;
        while hashes < (hashrate / PIECES).max(1) && begun.elapsed() < Duration::from_secs(1) / PIECES {
            let extranonce2 = &extranonce2.to_be_bytes()[8 - connection.extranonce2_len..];
            let root = *root.get_or_insert_with(|| job.root(&connection.extranonce1, extranonce2));
            let header = header(job.version, &job.prev_hash, &root, job.ntime, job.bits, nonce);
            hashes += 1;
            if job.target.is_met_by(&Algorithm::Scrypt.pow_hash(&header)) {
                connection.submit(username, &job, extranonce2, nonce)?;
            }
            nonce = nonce.wrapping_add(1);
        }
        if nonce > 1 << 24 {
            nonce = 0;
            extranonce2 += 1;
            root = None;
        }
        let due = Duration::from_secs(1) * hashes / hashrate.max(1);
        thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    Ok(())
}

impl Connection {
    fn open(pool: SocketAddr, username: &str) -> io::Result<Connection> {
        let stream = TcpStream::connect(pool)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut connection = Connection {
            reader: BufReader::new(stream),
            partial: String::new(),
            extranonce1: Vec::new(),
            extranonce2_len: 0,
            difficulty: Difficulty::ONE,
            job: None,
            id: 0,
        };
        let subscribed = connection.ask("mining.subscribe", json!(["edgepool-demo/1"]))?;
        let text = subscribed[1].as_str().unwrap_or_default();
        connection.extranonce1 = hex::decode(text).map_err(|_| ErrorKind::InvalidData)?;
        connection.extranonce2_len = subscribed[2].as_u64().filter(|length| *length <= 8).unwrap_or(4) as usize;
        connection.ask("mining.authorize", json!([username, "x"]))?;
        // From here on the pool speaks when it likes, and the rig works meanwhile.
        connection.reader.get_ref().set_read_timeout(Some(Duration::from_millis(1)))?;
        Ok(connection)
    }

    /// Sends a request and waits for its result.
    fn ask(&mut self, method: &str, params: Value) -> io::Result<Value> {
        let id = self.send(method, params)?;
        loop {
            let message = self.read()?.ok_or(ErrorKind::TimedOut)?;
            if message["id"] == id {
                return Ok(message["result"].clone());
            }
            self.take(&message);
        }
    }

    fn send(&mut self, method: &str, params: Value) -> io::Result<u64> {
        self.id += 1;
        let line = json!({ "id": self.id, "method": method, "params": params }).to_string() + "\n";
        self.reader.get_mut().write_all(line.as_bytes())?;
        Ok(self.id)
    }

    fn submit(&mut self, username: &str, job: &Job, extranonce2: &[u8], nonce: u32) -> io::Result<()> {
        let [ntime, nonce] = [job.ntime, nonce].map(|word| format!("{word:08x}"));
        self.send("mining.submit", json!([username, job.id, hex::encode(extranonce2), ntime, nonce])).map(drop)
    }

    /// Takes in all that the pool has said; whether there is other work now.
    fn listen(&mut self) -> io::Result<bool> {
        let mut changed = false;
        while let Some(message) = self.read()? {
            changed |= self.take(&message);
        }
        Ok(changed)
    }

    /// The next message, if a whole one is there.
    fn read(&mut self) -> io::Result<Option<Value>> {
        match self.reader.read_line(&mut self.partial) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => serde_json::from_str(&std::mem::take(&mut self.partial)).map(Some).map_err(io::Error::other),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Follows what the pool says of its own accord; whether there is other work now.
    fn take(&mut self, message: &Value) -> bool {
        let params = &message["params"];
        match message["method"].as_str() {
            Some("mining.set_difficulty") => {
                self.difficulty = params[0].as_f64().and_then(Difficulty::from_f64).unwrap_or(self.difficulty);
                false
            }
            Some("mining.notify") => {
                self.job = Job::read(params, self.difficulty);
                true
            }
            _ => false,
        }
    }
}

impl Job {
    fn read(params: &Value, difficulty: Difficulty) -> Option<Job> {
        let bytes = |value: &Value| hex::decode(value.as_str()?).ok();
        let word = |index: usize| u32::from_str_radix(params[index].as_str()?, 16).ok();
        let mut prev_hash: Hash32 = bytes(&params[1])?.try_into().ok()?;
        prev_hash.chunks_mut(4).for_each(|word| word.reverse());
        let branch = params[4].as_array()?.iter().map(|hash| bytes(hash)?.try_into().ok());
        Some(Job {
            id: params[0].as_str()?.to_string(),
            prev_hash,
            first: bytes(&params[2])?,
            second: bytes(&params[3])?,
            branch: branch.collect::<Option<Vec<Hash32>>>()?,
            version: word(5)?,
            bits: word(6)?,
            ntime: word(7)?,
            target: difficulty.target(Algorithm::Scrypt),
        })
    }

    fn root(&self, extranonce1: &[u8], extranonce2: &[u8]) -> Hash32 {
        let coinbase = [&self.first, extranonce1, extranonce2, &self.second].concat();
        merkle::root(sha256d(&coinbase), &self.branch)
    }
}
