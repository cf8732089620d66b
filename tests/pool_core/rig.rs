//! A rig: it reads what the pool sends and works out headers by itself, with no code of the pool's.

use bitcoin_hashes::sha256d;
use serde_json::Value;

/// One `mining.notify`, with the difficulty that was announced before it.
#[derive(Clone, Debug)]
pub struct Job {
    pub id: String,
    pub prev_hash: String,
    pub clean: bool,
    pub difficulty: f64,
    coinbase1: Vec<u8>,
    coinbase2: Vec<u8>,
    branch: Vec<Vec<u8>>,
    version: u32,
    /// Of the version, what the rig rolled.
    rolled: Option<u32>,
    bits: u32,
    pub ntime: u32,
}

/// What a search looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Meets the job's difficulty and makes no block, of no chain.
    Share,
    /// Makes a block of the parent chain.
    Block,
    /// Makes a block of this chain, and of no other.
    Only(usize),
    /// Makes a block of every chain.
    Every,
    /// Misses the job's difficulty.
    TooEasy,
}

#[derive(Clone, Debug)]
pub struct Share {
    pub job_id: String,
    pub extranonce2: String,
    pub ntime: u32,
    pub nonce: u32,
    /// The bits that were rolled, if the rig says so.
    pub version_bits: Option<u32>,
    /// As nodes print it.
    pub block_hash: String,
}

#[derive(Default)]
pub struct Rig {
    pub username: String,
    /// Everything received, in order.
    pub lines: Vec<Value>,
    pub jobs: Vec<Job>,
    pub difficulty: f64,
    /// The bits of the merge-mined chains, in their order. No rig is told them: the test is.
    pub children: Vec<u32>,
    /// Why the pool closed the connection.
    pub closed: Option<String>,
    extranonce1: Vec<u8>,
    next_extranonce2: u64,
}

impl Job {
    fn parse(params: &Value, difficulty: f64) -> Job {
        let text = |index: usize| params[index].as_str().unwrap();
        let bytes = |index: usize| hex::decode(text(index)).unwrap();
        let word = |index: usize| u32::from_str_radix(text(index), 16).unwrap();
        // Eight words, each reversed; as nodes print it, the last word comes first.
        let prev: Vec<String> = bytes(1).chunks(4).rev().map(hex::encode).collect();
        Job {
            id: text(0).to_string(),
            prev_hash: prev.concat(),
            coinbase1: bytes(2),
            coinbase2: bytes(3),
            branch: params[4].as_array().unwrap().iter().map(|n| hex::decode(n.as_str().unwrap()).unwrap()).collect(),
            version: word(5),
            rolled: None,
            bits: word(6),
            ntime: word(7),
            clean: params[8].as_bool().unwrap(),
            difficulty,
        }
    }

    /// The job as the pool would have sent it under another name: the coinbase's first half ends with the low
    /// halves of the job's number and of the sending's.
    pub fn renamed(&self, id: String, sending: u32) -> Job {
        let mut job = Job { id, ..self.clone() };
        let end = job.coinbase1.len();
        job.coinbase1[end - 2..].copy_from_slice(&(sending as u16).to_be_bytes());
        job
    }

    /// The job with these bits of the version rolled.
    pub fn rolled(&self, bits: u32) -> Job {
        Job { version: self.version | bits, rolled: Some(bits), ..self.clone() }
    }

    /// What the coinbase says of merge-mined chains: the root as nodes print it, the size of the tree, and the nonce.
    pub fn aux(&self) -> Option<(String, u32, u32)> {
        let script = &self.coinbase1[..];
        let at = script.windows(4).position(|four| four == *b"\xfa\xbemm")? + 4;
        let word = |at: usize| u32::from_le_bytes(script[at..at + 4].try_into().unwrap());
        Some((hex::encode(&script[at..at + 32]), word(at + 32), word(at + 36)))
    }

    /// The amounts that the coinbase pays, by output script in hexadecimal, without the commitment.
    pub fn outputs(&self) -> Vec<(String, u64)> {
        // After the tag and the sequence: a count, then the outputs.
        let start = self.coinbase2.windows(4).position(|four| four == [0xff; 4]).unwrap() + 4;
        let mut rest = &self.coinbase2[start + 1..];
        let mut outputs = Vec::new();
        for _ in 0..self.coinbase2[start] {
            let value = u64::from_le_bytes(rest[..8].try_into().unwrap());
            let length = rest[8] as usize;
            outputs.push((hex::encode(&rest[9..9 + length]), value));
            rest = &rest[9 + length..];
        }
        outputs.retain(|(script, _)| !script.starts_with("6a24"));
        outputs
    }
}

impl Rig {
    /// One that searches for blocks of merge-mined chains with these bits, too.
    pub fn new(children: Vec<u32>) -> Rig {
        Rig { children, ..Rig::default() }
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line: Value = serde_json::from_slice(line).expect("the pool sends JSON");
            match line["method"].as_str() {
                Some("mining.set_difficulty") => self.difficulty = line["params"][0].as_f64().unwrap(),
                Some("mining.notify") => self.jobs.push(Job::parse(&line["params"], self.difficulty)),
                _ => {}
            }
            if line["id"] == "subscribe" {
                self.extranonce1 = hex::decode(line["result"][1].as_str().unwrap()).unwrap();
                assert_eq!(line["result"][2], 8);
            }
            self.lines.push(line);
        }
    }

    pub fn job(&self) -> &Job {
        self.jobs.last().expect("the rig has work")
    }

    /// What was answered to the request `id`.
    pub fn reply(&self, id: &str) -> Option<&Value> {
        self.lines.iter().find(|line| line["id"] == id)
    }

    /// The names of what was received: methods, and ids of replies.
    pub fn order(&self) -> Vec<&str> {
        let name = |line: &'_ Value| line["method"].as_str().or(line["id"].as_str()).is_some();
        self.lines.iter().filter(|l| name(l)).map(|l| l["method"].as_str().or(l["id"].as_str()).unwrap()).collect()
    }

    pub fn mine(&mut self, want: Want) -> Share {
        let job = self.job().clone();
        self.mine_job(&job, want)
    }

    pub fn mine_job(&mut self, job: &Job, want: Want) -> Share {
        let extranonce2 = self.next_extranonce2.to_be_bytes();
        self.next_extranonce2 += 1;
        let coinbase = [&job.coinbase1[..], &self.extranonce1, &extranonce2, &job.coinbase2].concat();
        let root = job.branch.iter().fold(hash(&coinbase), |root, node| hash(&[&root[..], node].concat()));
        let share_target = (0xffff_u128 << 112) / (job.difficulty * 65_536.0) as u128;
        let targets: Vec<u128> = std::iter::once(&job.bits).chain(&self.children).map(|bits| target(*bits)).collect();
        for nonce in 0..200_000 {
            let header = job.header(&root, nonce);
            let pow = scrypt(&header);
            let is_share = pow < share_target;
            let mut solved = targets.iter().enumerate().filter(|(_, target)| pow < **target).map(|(chain, _)| chain);
            let fits = match want {
                Want::Share => is_share && solved.next().is_none(),
                Want::Block => solved.next() == Some(0),
                Want::Only(chain) => solved.eq([chain]),
                Want::Every => solved.count() == targets.len(),
                Want::TooEasy => !is_share,
            };
            if fits {
                let mut id = hash(&header);
                id.reverse();
                let (extranonce2, block_hash) = (hex::encode(extranonce2), hex::encode(id));
                let (job_id, version_bits) = (job.id.clone(), job.rolled);
                return Share { job_id, extranonce2, ntime: job.ntime, nonce, version_bits, block_hash };
            }
        }
        panic!("no header is a {want:?} at {} with {:08x} {:08x?}", job.difficulty, job.bits, self.children);
    }
}

impl Job {
    fn header(&self, root: &[u8; 32], nonce: u32) -> [u8; 80] {
        let mut prev = hex::decode(&self.prev_hash).unwrap();
        prev.reverse();
        let words = [self.ntime, self.bits, nonce].map(u32::to_le_bytes).concat();
        [&self.version.to_le_bytes()[..], &prev, root, &words].concat().try_into().unwrap()
    }
}

/// The highest half of the target that bits stand for.
fn target(bits: u32) -> u128 {
    u128::from(bits & 0x7f_ffff) << (8 * ((bits >> 24) - 3) - 128)
}

fn hash(data: &[u8]) -> [u8; 32] {
    sha256d::Hash::hash(data).to_byte_array()
}

/// The highest half of the proof of work: more than enough to compare it.
fn scrypt(header: &[u8; 80]) -> u128 {
    let mut pow = [0; 32];
    scrypt::scrypt(header, header, &scrypt::Params::new(10, 1, 1).unwrap(), &mut pow).unwrap();
    u128::from_le_bytes(pow[16..].try_into().unwrap())
}
