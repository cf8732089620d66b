//! A stratum miner as cgminer behaves, on a blocking socket. It computes coinbase, merkle root, header and proof of work
//! itself from what it is told, with no code of edgepool, and so is an oracle for it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::proof_of_work::{ProofOfWork, compact_target, sha256d};

/// How long a reply may take: the pool answers once a share is on disk.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The port that rigs of a pool connect to, and how they hash.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    pub number: u16,
    pub proof_of_work: ProofOfWork,
}

/// Code and text of a refusal: the first two members of stratum's error.
pub type Refusal = (i64, String);

/// One `mining.notify`, and what applied when it came.
#[derive(Clone, Debug)]
pub struct Job {
    pub id: String,
    /// As it stands in a header.
    pub prev_hash: [u8; 32],
    pub coinbase1: Vec<u8>,
    pub coinbase2: Vec<u8>,
    pub branch: Vec<[u8; 32]>,
    pub version: u32,
    pub bits: u32,
    pub ntime: u32,
    pub clean: bool,
    /// The difficulty announced last before the job: cgminer applies it from the next job on.
    pub difficulty: f64,
}

impl Job {
    /// Reads a notify's parameters; none where a miner could make nothing of them.
    pub fn parse(params: &Value, difficulty: f64) -> Option<Job> {
        let text = |index: usize| params.get(index)?.as_str();
        let bytes = |index: usize| hex::decode(text(index)?).ok();
        let word = |index: usize| text(index).filter(|t| t.len() == 8).and_then(|t| u32::from_str_radix(t, 16).ok());
        let hash = |value: &Value| <[u8; 32]>::try_from(hex::decode(value.as_str()?).ok()?).ok();
        let mut prev_hash = hash(params.get(1)?)?;
        // Stratum sends the previous hash as eight big-endian words.
        prev_hash.chunks_mut(4).for_each(<[u8]>::reverse);
        Some(Job {
            id: text(0)?.to_owned(),
            prev_hash,
            coinbase1: bytes(2)?,
            coinbase2: bytes(3)?,
            branch: params.get(4)?.as_array()?.iter().map(hash).collect::<Option<_>>()?,
            version: word(5)?,
            bits: word(6)?,
            ntime: word(7)?,
            clean: params.get(8)?.as_bool()?,
            difficulty,
        })
    }

    pub fn coinbase(&self, extranonce1: &[u8], extranonce2: &[u8]) -> Vec<u8> {
        [&self.coinbase1[..], extranonce1, extranonce2, &self.coinbase2[..]].concat()
    }

    pub fn merkle_root(&self, coinbase: &[u8]) -> [u8; 32] {
        self.branch.iter().fold(sha256d(coinbase), |root, other| sha256d(&[root, *other].concat()))
    }

    pub fn header(&self, version: u32, root: &[u8; 32], ntime: u32, nonce: u32) -> [u8; 80] {
        let mut header = [0; 80];
        header[..4].copy_from_slice(&version.to_le_bytes());
        header[4..36].copy_from_slice(&self.prev_hash);
        header[36..68].copy_from_slice(root);
        header[68..72].copy_from_slice(&ntime.to_le_bytes());
        header[72..76].copy_from_slice(&self.bits.to_le_bytes());
        header[76..].copy_from_slice(&nonce.to_le_bytes());
        header
    }
}

/// What a search looks for. On regtest about every second hash makes a block: of sha256d, whose easiest share takes 65,536
/// hashes, every share does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// A share of the job's difficulty, whether it makes a block or not.
    Share,
    /// A share that makes a block too.
    Block,
    /// A share that makes no block.
    NotBlock,
    /// A share that meets these compact bits, which are another chain's.
    Meets(u32),
    /// A hash that is neither: the pool must refuse it as too easy.
    TooEasy,
}

/// A found share, with what a test wants to know of it.
#[derive(Clone, Debug)]
pub struct Share {
    pub job_id: String,
    pub extranonce2: Vec<u8>,
    pub ntime: u32,
    pub nonce: u32,
    /// The rolled bits, where version rolling was agreed.
    pub version_bits: Option<u32>,
    /// The block's id, as a node prints it.
    pub block_hash: String,
}

pub struct Miner {
    stream: TcpStream,
    proof_of_work: ProofOfWork,
    input: Vec<u8>,
    next_id: u64,
    pub username: String,
    /// The session that the pool gave, by which it knows a rig again.
    pub session: String,
    pub extranonce1: Vec<u8>,
    pub extranonce2_len: usize,
    pub version_mask: u32,
    /// Announced last; judged only from the next job on.
    pub difficulty: f64,
    pub job: Option<Job>,
    extranonce2: u64,
    nonce: u32,
    /// Replies that came while another one was waited for.
    replies: Vec<Value>,
}

impl Miner {
    /// Connected, and nothing said yet.
    pub fn connect(port: Port) -> io::Result<Miner> {
        let stream = TcpStream::connect(("127.0.0.1", port.number))?;
        stream.set_nodelay(true)?;
        Ok(Miner {
            stream,
            proof_of_work: port.proof_of_work,
            input: Vec::new(),
            next_id: 0,
            username: String::new(),
            session: String::new(),
            extranonce1: Vec::new(),
            extranonce2_len: 0,
            version_mask: 0,
            difficulty: 0.0,
            job: None,
            extranonce2: 0,
            nonce: 0,
            replies: Vec::new(),
        })
    }

    /// A miner at work: subscribed, authorised, and with a first job.
    #[track_caller]
    pub fn at_work(port: Port, username: &str, password: &str) -> Miner {
        let mut miner = Miner::connect(port).expect("the pool listens");
        miner.subscribe();
        assert_eq!(miner.authorize(username, password), Ok(true));
        miner.wait_for_job(|_| true);
        miner
    }

    #[track_caller]
    pub fn subscribe(&mut self) {
        self.subscribe_with(json!(["cgminer/4.11.1"]));
    }

    /// A rig that was here before connects again: it names its session, and keeps the work that it had.
    #[track_caller]
    pub fn resumed(port: Port, before: &Miner) -> Miner {
        let mut miner = Miner::connect(port).expect("the pool listens");
        miner.subscribe_with(json!(["cgminer/4.11.1", before.session]));
        assert_eq!(miner.authorize(&before.username, "x"), Ok(true));
        miner.wait_for_job(|_| true);
        (miner.extranonce2, miner.nonce) = (before.extranonce2, before.nonce);
        miner
    }

    #[track_caller]
    fn subscribe_with(&mut self, params: Value) {
        let result = self.call("mining.subscribe", params).expect("subscribing is never refused");
        self.session = result[0][0][1].as_str().expect("a session").to_owned();
        self.extranonce1 = hex::decode(result[1].as_str().expect("extranonce1")).expect("hexadecimal");
        self.extranonce2_len = result[2].as_u64().expect("the length of extranonce2") as usize;
        assert!((2..=8).contains(&self.extranonce2_len), "cgminer submits nothing else: {result}");
    }

    /// Asks for version rolling (BIP 310), as newer cgminer does before it subscribes.
    #[track_caller]
    pub fn configure(&mut self) -> Value {
        let asked =
            json!([["version-rolling"], {"version-rolling.mask": "1fffe000", "version-rolling.min-bit-count": 2}]);
        let result = self.call("mining.configure", asked).expect("configuring is never refused");
        if let Some(mask) = result["version-rolling.mask"].as_str() {
            self.version_mask = u32::from_str_radix(mask, 16).expect("hexadecimal");
        }
        result
    }

    pub fn authorize(&mut self, username: &str, password: &str) -> Result<bool, Refusal> {
        self.username = username.to_owned();
        self.call("mining.authorize", json!([username, password])).map(|result| result == json!(true))
    }

    /// Sends a request and waits for its own reply; what the pool announces meanwhile is applied.
    #[track_caller]
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value, Refusal> {
        let id = self.send(method, params).expect("the pool reads");
        match self.reply(id, PATIENCE) {
            Ok(answer) => answer,
            Err(error) => panic!("no reply to {method}: {error}"),
        }
    }

    fn send(&mut self, method: &str, params: Value) -> io::Result<u64> {
        self.next_id += 1;
        let line = json!({"id": self.next_id, "method": method, "params": params}).to_string() + "\n";
        self.send_raw(line.as_bytes())?;
        Ok(self.next_id)
    }

    /// Bytes as they are, however wrong.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The answer to the request of this id.
    pub fn reply(&mut self, id: u64, timeout: Duration) -> io::Result<Result<Value, Refusal>> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(at) = self.replies.iter().position(|reply| reply["id"] == json!(id)) {
                return Ok(outcome(self.replies.swap_remove(at)));
            }
            self.read_message(deadline.saturating_duration_since(Instant::now()))?;
        }
    }

    /// The replies that are here, in the order in which they came, each with its id; waits at most `timeout` for more.
    pub fn replies(&mut self, timeout: Duration) -> io::Result<Vec<(u64, Result<Value, Refusal>)>> {
        if self.replies.is_empty() {
            match self.read_message(timeout) {
                Err(error) if error.kind() == ErrorKind::TimedOut => {}
                other => other?,
            }
        }
        Ok(self.replies.drain(..).map(|reply| (reply["id"].as_u64().unwrap_or_default(), outcome(reply))).collect())
    }

    /// Reads one line and applies it; `TimedOut` when none comes, `UnexpectedEof` when the pool closed.
    pub fn read_message(&mut self, timeout: Duration) -> io::Result<()> {
        let deadline = Instant::now() + timeout;
        let line = loop {
            if let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
                break self.input.drain(..=end).collect::<Vec<u8>>();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.input.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
                Err(error) => return Err(error),
            }
        };
        let message: Value = serde_json::from_slice(&line)
            .unwrap_or_else(|error| panic!("the pool sent no JSON ({error}): {}", String::from_utf8_lossy(&line)));
        match message["method"].as_str() {
            Some("mining.notify") => {
                let job = Job::parse(&message["params"], self.difficulty);
                self.job = Some(job.unwrap_or_else(|| panic!("a notify that no miner understands: {message}")));
            }
            Some("mining.set_difficulty") => {
                self.difficulty = message["params"][0].as_f64().expect("a difficulty is a number");
                assert!(self.difficulty > 0.0, "{message}");
            }
            Some("mining.set_version_mask") => {
                let mask = message["params"][0].as_str().and_then(|text| u32::from_str_radix(text, 16).ok());
                self.version_mask = mask.expect("a mask");
            }
            Some("client.show_message" | "client.reconnect") => {}
            Some(other) => panic!("no miner knows {other}"),
            None => self.replies.push(message),
        }
        Ok(())
    }

    /// Reads until the job is one that is wanted, and gives it.
    #[track_caller]
    pub fn wait_for_job(&mut self, wanted: impl Fn(&Job) -> bool) -> Job {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(job) = self.job.as_ref().filter(|job| wanted(job)) {
                return job.clone();
            }
            if let Err(error) = self.read_message(deadline.saturating_duration_since(Instant::now())) {
                panic!("no such job came: {error}");
            }
        }
    }

    /// Takes in everything that has come so far.
    pub fn catch_up(&mut self) -> io::Result<()> {
        loop {
            match self.read_message(Duration::ZERO) {
                Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(()),
                other => other?,
            }
        }
    }

    /// Searches the current job.
    pub fn mine(&mut self, want: Want) -> Share {
        let job = self.job.clone().expect("a job came");
        self.mine_on(&job, want)
    }

    /// Searches a job, be it an old one.
    pub fn mine_on(&mut self, job: &Job, want: Want) -> Share {
        self.mine_with(job, want, 0, job.ntime)
    }

    /// Searches a job with chosen bits of the version, where rolling was agreed, and a chosen time.
    pub fn mine_with(&mut self, job: &Job, want: Want, version_bits: u32, ntime: u32) -> Share {
        let version = (job.version & !self.version_mask) | (version_bits & self.version_mask);
        self.extranonce2 += 1;
        let extranonce2 = self.extranonce2.to_be_bytes()[8 - self.extranonce2_len..].to_vec();
        let root = job.merkle_root(&job.coinbase(&self.extranonce1, &extranonce2));
        let network = compact_target(job.bits);
        let most = self.proof_of_work.most_hashes();
        for _ in 0..most {
            self.nonce = self.nonce.wrapping_add(1);
            let header = job.header(version, &root, ntime, self.nonce);
            let pow = self.proof_of_work.hash(&header);
            let is_share = self.proof_of_work.share_difficulty(&pow) >= job.difficulty;
            let is_block = pow <= network;
            let found = match want {
                Want::Share => is_share,
                Want::Block => is_share && is_block,
                Want::NotBlock => is_share && !is_block,
                Want::Meets(bits) => is_share && pow <= compact_target(bits),
                Want::TooEasy => !is_share && !is_block,
            };
            if found {
                let mut id = sha256d(&header);
                id.reverse();
                return Share {
                    job_id: job.id.clone(),
                    extranonce2,
                    ntime,
                    nonce: self.nonce,
                    version_bits: (self.version_mask != 0).then_some(version_bits & self.version_mask),
                    block_hash: hex::encode(id),
                };
            }
        }
        panic!("no {want:?} in {most} hashes at difficulty {} and bits {:08x}", job.difficulty, job.bits);
    }

    /// Sends a share without waiting; the id tells its reply.
    pub fn send_share(&mut self, share: &Share) -> io::Result<u64> {
        let mut params = vec![
            json!(self.username),
            json!(share.job_id),
            json!(hex::encode(&share.extranonce2)),
            json!(format!("{:08x}", share.ntime)),
            json!(format!("{:08x}", share.nonce)),
        ];
        params.extend(share.version_bits.map(|bits| json!(format!("{bits:08x}"))));
        self.send("mining.submit", Value::Array(params))
    }

    /// Sends a share and waits for the verdict: cgminer takes JSON `true` alone as success.
    #[track_caller]
    pub fn submit(&mut self, share: &Share) -> Result<bool, Refusal> {
        let id = self.send_share(share).expect("the pool reads");
        match self.reply(id, PATIENCE) {
            Ok(answer) => answer.map(|result| result == json!(true)),
            Err(error) => panic!("no verdict on a share: {error}"),
        }
    }
}

fn outcome(reply: Value) -> Result<Value, Refusal> {
    match &reply["error"] {
        Value::Null => Ok(reply["result"].clone()),
        error => {
            let text = error[1].as_str().unwrap_or_else(|| panic!("an error without text: {reply}"));
            Err((error[0].as_i64().unwrap_or_else(|| panic!("an error without code: {reply}")), text.to_owned()))
        }
    }
}
